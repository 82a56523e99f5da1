//! Answers of a given form: by the target's own means, or by an instruction.

use tollgate_families::Traits;

use crate::exchange::{OutputForm, Request};
use crate::schema::{self, Schema};
use crate::unmapped::Unmapped;

/// Tells the model to answer with JSON. It is always the same, so that it does not change the prompt between turns.
const JSON_ALONE: &str =
    "Answer with one JSON object and nothing else: no other text and no code fences around it.";

/// How the form of an answer is told.
#[derive(Debug)]
pub(crate) enum Form<'r> {
    /// Not at all.
    Free,
    /// As a schema that the target keeps to.
    Schema { name: &'r str, description: Option<&'r str>, schema: Schema<'r> },
    /// By this instruction; nobody guarantees that the model follows it.
    Told(String),
}

/// How the form of a request's answer is told. What is not guaranteed as it was asked for is named.
pub(crate) fn form<'r>(request: &'r Request<'_>, traits: &Traits, unmapped: &mut Unmapped) -> Form<'r> {
    let structured = &traits.structured;
    match &request.output {
        OutputForm::Text => Form::Free,
        OutputForm::JsonSchema { name, description, schema, .. } if structured.json_schema => {
            let (schema, lost) = schema::answer(schema, &traits.schema, structured.closed_objects);
            if lost {
                unmapped.hint("response_format");
            }
            Form::Schema { name, description: description.as_deref(), schema }
        }
        OutputForm::JsonSchema { schema, .. } => {
            unmapped.hint("response_format");
            Form::Told(format!("{JSON_ALONE} It must match this JSON Schema:\n{}", schema.get()))
        }
        OutputForm::JsonObject => {
            unmapped.hint("response_format");
            Form::Told(JSON_ALONE.to_owned())
        }
    }
}
