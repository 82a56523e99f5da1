//! The JSON Schema of the configuration, for editors and consoles. Generated from the types: a test fails when the
//! files of the repository differ.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Config;

/// The schema of the whole file (draft 2020-12).
#[must_use]
pub fn schema() -> Schema {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>();
    schema.insert("$id".to_owned(), "urn:tollgate:gateway-config".into());
    // The name of whatever machine this runs on.
    if let Some(gateway_id) = schema.pointer_mut("/properties/gateway_id").and_then(Value::as_object_mut) {
        gateway_id.remove("default");
    }
    schema
}

/// As text for a file: two spaces of indent and a newline at the end.
///
/// # Errors
/// When the schema cannot be written as JSON.
pub fn to_text(schema: &Schema) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(schema).map(|text| text + "\n")
}
