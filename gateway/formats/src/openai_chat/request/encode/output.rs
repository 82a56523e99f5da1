//! The form of the answer: in the model's own way, or as an instruction where it has none.

use tollgate_families::Traits;

use crate::exchange::{OutputForm, Request, Text};
use crate::json::Object;
use crate::openai::{form, json_word};
use crate::schema;
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
            let is_said =
                json_word::is_in_instructions(&request.system) || json_word::is_in_first_turn(request);
            let instruction = (takes.json_word && !is_said).then(|| json_word::INSTRUCTION.to_owned());
            Plan { form: Form::Object, instruction }
        }
        OutputForm::JsonObject => {
            unmapped.hint("response_format");
            let instruction = "Answer with one JSON object and nothing else.".to_owned();
            Plan { form: Form::Text, instruction: Some(instruction) }
        }
        OutputForm::JsonSchema { name, description, schema, strict } if takes.json_schema && may_be_told => {
            let (json, strict) = form::fitted(schema, *strict, traits, unmapped);
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
