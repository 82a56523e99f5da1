//! The form of the answer: in the model's own way, or as an instruction where it has none.

use tollgate_families::Traits;

use crate::exchange::{OutputForm, Part, Request, Text};
use crate::json::Object;
use crate::schema::{self, Fitted};
use crate::unmapped::Unmapped;

/// What is written about the form of the answer.
#[derive(Debug, Default)]
pub(super) struct Plan<'r> {
    form: Form<'r>,
    /// What the developer's instructions end with.
    pub(super) instruction: Option<String>,
}

#[derive(Debug, Default)]
enum Form<'r> {
    #[default]
    Text,
    Object,
    Schema {
        name: Text<'r>,
        description: Option<&'r str>,
        schema: Text<'r>,
        strict: Option<bool>,
    },
}

/// Decides how the form is told. What is only told in words is named.
pub(super) fn plan<'r>(
    request: &'r Request<'_>,
    traits: &Traits,
    has_tools: bool,
    thinks: bool,
    unmapped: &mut Unmapped,
) -> Plan<'r> {
    let takes = &traits.structured;
    let may_be_told = (takes.with_tools || !has_tools) && (takes.while_thinking || !thinks);
    match &request.output {
        OutputForm::Text => Plan::default(),
        OutputForm::JsonObject if takes.json_object && may_be_told => {
            let lacks_word = takes.json_word && !says_json(request);
            Plan { form: Form::Object, instruction: lacks_word.then(|| "Answer with JSON.".to_owned()) }
        }
        OutputForm::JsonObject => {
            unmapped.hint("response_format");
            let instruction = "Answer with one JSON object and nothing else.".to_owned();
            Plan { form: Form::Text, instruction: Some(instruction) }
        }
        OutputForm::JsonSchema { name, description, schema, strict } if takes.json_schema && may_be_told => {
            let Fitted { json, may_be_strict, is_looser } = schema::fitted(schema, &traits.schema);
            let cannot_be_strict = *strict == Some(true) && !may_be_strict;
            if is_looser || cannot_be_strict {
                unmapped.hint("response_format.json_schema");
            }
            let strict = if cannot_be_strict { Some(false) } else { *strict };
            let (name, description) = (schema::form_name(name), description.as_deref());
            let form = Form::Schema { name, description, schema: json, strict };
            Plan { form, instruction: None }
        }
        OutputForm::JsonSchema { schema, .. } => {
            unmapped.hint("response_format");
            let instruction = format!(
                "Answer with JSON that matches this JSON Schema, and nothing else:\n{}",
                schema.get()
            );
            let form = if takes.json_object && may_be_told { Form::Object } else { Form::Text };
            Plan { form, instruction: Some(instruction) }
        }
    }
}

/// Whether the word stands where the prompt begins. What is said later is not looked at: a turn more must not change
/// how the prompt begins.
fn says_json(request: &Request<'_>) -> bool {
    let said = |text: &str| text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"));
    let first = request.turns.first().into_iter().flat_map(|turn| &turn.parts);
    request.system.iter().any(|text| said(&text.text))
        || first.into_iter().any(|part| matches!(part, Part::Text { text, .. } if said(text)))
}

impl Plan<'_> {
    pub(super) fn write(&self, body: &mut Object<'_>) {
        match &self.form {
            Form::Text => {}
            Form::Object => {
                body.raw("response_format", r#"{"type":"json_object"}"#);
            }
            Form::Schema { name, description, schema, strict } => {
                body.object("response_format", |format| {
                    format.put("type", "json_schema").object("json_schema", |form| {
                        form.put("name", name).given("description", *description);
                        form.raw("schema", schema).given("strict", *strict);
                    });
                });
            }
        }
    }
}
