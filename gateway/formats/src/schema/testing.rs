//! Dialects and schemas for tests.

use serde_json::value::RawValue;
use tollgate_families::{ApiFormat, SchemaDialect};

use crate::testing::target;

pub(super) fn dialect(model: &'static str, format: ApiFormat) -> &'static SchemaDialect {
    &target(model, format).traits.schema
}

pub(super) fn claude() -> &'static SchemaDialect {
    dialect("claude-sonnet-4-5", ApiFormat::Anthropic)
}

pub(super) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}
