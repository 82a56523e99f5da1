//! JSON Schemas (draft 2020-12) of the events, for consumers that are not written in Rust.
//!
//! Invariant: the files in `schemas/json/` are generated from the types of this crate and never edited by
//! hand; a test fails when they differ. `schemas/json/released/` keeps what was released, and another test
//! refuses a change that a consumer of the released version could not live with.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::backend_state::BackendState;
use crate::cache::{CacheInvalidate, CacheStore};
use crate::content::{CompletionEvent, PromptEvent};
use crate::usage::{BootClosed, UsageEvent};

/// The schema of one event.
#[derive(Debug, Clone)]
pub struct EventSchema {
    /// File name in `schemas/json/` without its ending, for example `usage.v1`.
    pub name: &'static str,
    /// CloudEvents type of the event.
    pub event_type: &'static str,
    /// The schema of the event's data.
    pub schema: Schema,
}

/// The schemas of every event, in the order of their names.
#[must_use]
pub fn all() -> Vec<EventSchema> {
    vec![
        event::<BackendState>("backend-state.v1", crate::backend_state::STATE_TYPE),
        event::<BootClosed>("boot-closed.v1", crate::usage::BOOT_CLOSED_TYPE),
        event::<CacheInvalidate>("cache-invalidated.v1", crate::cache::INVALIDATE_TYPE),
        event::<CacheStore>("cache-stored.v1", crate::cache::STORE_TYPE),
        event::<CompletionEvent>("completion.v1", crate::content::COMPLETION_TYPE),
        event::<PromptEvent>("prompt.v1", crate::content::PROMPT_TYPE),
        event::<UsageEvent>("usage.v1", crate::usage::EVENT_TYPE),
    ]
}

/// As text for a file: two spaces of indent and a newline at the end.
///
/// # Errors
/// When the schema cannot be written as JSON.
pub fn to_text(schema: &Schema) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(schema).map(|text| text + "\n")
}

fn event<T: JsonSchema>(name: &'static str, event_type: &'static str) -> EventSchema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), format!("urn:tollgate:event:{event_type}").into());
    EventSchema { name, event_type, schema }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_has_its_own_name_and_the_version_of_its_event_type() {
        let schemas = all();
        assert!(schemas.is_sorted_by(|a, b| a.name < b.name));
        for EventSchema { name, event_type, .. } in schemas {
            assert_eq!(name.rsplit_once('.').unwrap().1, event_type.rsplit_once('.').unwrap().1, "{name}");
        }
    }

    #[test]
    fn schemas_are_draft_2020_12_objects() {
        for EventSchema { name, schema, .. } in all() {
            assert_eq!(
                schema.get("$schema").unwrap(),
                "https://json-schema.org/draft/2020-12/schema",
                "{name}"
            );
            assert_eq!(schema.get("type").unwrap(), "object", "{name}");
        }
    }
}
