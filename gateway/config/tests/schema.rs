//! The schema and the reference page in the repository are those of the types, and the examples fit them.
//!
//! `UPDATE_SCHEMAS=1 cargo test -p tollgate-config` writes both anew.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::path::{Path, PathBuf};

use tollgate_config::{reference, schema};

fn file(path: &str) -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..").join(path)
}

fn assert_written(path: &str, text: &str) {
    let path = file(path);
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "{} differs from the types: run UPDATE_SCHEMAS=1 cargo test -p tollgate-config",
        path.display()
    );
}

#[test]
fn the_written_schema_is_that_of_the_types() {
    assert_written("schemas/json/gateway-config.json", &schema::to_text(&schema::schema()).unwrap());
}

#[test]
fn the_reference_page_is_that_of_the_types() {
    assert_written("deploy/config/REFERENCE.md", &reference::page(schema::schema().as_value()));
}

#[test]
fn every_field_says_what_it_means() {
    let schema = schema::schema();
    let definitions = schema.get("$defs").unwrap().as_object().unwrap();
    for (name, definition) in
        definitions.iter().map(|(name, one)| (&**name, one)).chain([("Config", schema.as_value())])
    {
        let fields = definition.get("properties").and_then(|fields| fields.as_object());
        for (field, meaning) in fields.into_iter().flatten() {
            assert!(meaning.get("description").is_some(), "{name}.{field}");
        }
    }
}
