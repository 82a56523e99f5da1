//! Holds the version rules: within `v1` the published schemas only grow by optional properties and enum
//! values, and every released event is read and written again without loss.
//!
//! `UPDATE_SCHEMAS=1 cargo test -p tollgate-schemas` rewrites `schemas/json/*.json` after a change of the
//! types. The files in `schemas/json/released/` are copied by hand when a version is released.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tollgate_schemas::backend_state::BackendState;
use tollgate_schemas::json_schema;
use tollgate_schemas::usage::{BootClosed, UsageEvent};

fn room(path: &str) -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join(path)
}

fn files_in(folder: &str) -> Vec<(String, Value)> {
    let mut files: Vec<_> = fs::read_dir(room(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let value = serde_json::from_str(&fs::read_to_string(&path).unwrap());
            (name, value.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        })
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

#[test]
fn published_schemas_are_those_of_the_code() {
    let update = std::env::var_os("UPDATE_SCHEMAS").is_some();
    for event in json_schema::all() {
        let path = room(&format!("json/{}.json", event.name));
        let text = json_schema::to_text(&event.schema).unwrap();
        if update {
            fs::write(&path, &text).unwrap();
        }
        let published = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == text,
            "{} differs from the code: run UPDATE_SCHEMAS=1 cargo test -p tollgate-schemas",
            path.display()
        );
    }
}

#[test]
fn no_schema_is_published_without_an_event() {
    let events: BTreeSet<_> = json_schema::all().iter().map(|event| event.name.to_owned()).collect();
    // The configuration of the gateway has its schema there too, held by a test of its own.
    let published =
        files_in("json").into_iter().map(|(name, _)| name).filter(|name| name != "gateway-config");
    let published: BTreeSet<_> = published.collect();
    assert_eq!(published, events);
}

#[test]
fn released_schemas_stay_compatible() {
    let current = json_schema::all();
    let released = files_in("json/released");
    assert!(!released.is_empty());
    for (name, old) in released {
        let new = current.iter().find(|event| event.name == name);
        let new = new.unwrap_or_else(|| panic!("the released event {name} is gone"));
        let breaks = breaking_changes(&old, new.schema.as_value());
        assert!(breaks.is_empty(), "{name}:\n  {}", breaks.join("\n  "));
    }
}

#[test]
fn released_usage_events_are_read_and_written_without_loss() {
    let golden = files_in("golden/usage.v1");
    assert!(golden.len() >= 5);
    for (name, value) in golden {
        let again = if value.get("last_seq").is_some() {
            serde_json::to_value(serde_json::from_value::<BootClosed>(value.clone()).unwrap())
        } else {
            let event = serde_json::from_value::<UsageEvent>(value.clone());
            serde_json::to_value(event.unwrap_or_else(|error| panic!("{name}: {error}")))
        };
        assert_eq!(again.unwrap(), value, "{name}");
    }
}

#[test]
fn released_backend_states_are_read_and_written_without_loss() {
    let golden = files_in("golden/backend-state.v1");
    assert!(golden.len() >= 3);
    for (name, mut value) in golden {
        let state: BackendState = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&state).unwrap(), value, "{name}");
        add_unknown_fields(&mut value);
        assert_eq!(serde_json::from_value::<BackendState>(value).unwrap(), state, "{name}");
    }
}

#[test]
fn fields_of_later_releases_are_ignored_at_every_level() {
    for (name, mut value) in files_in("golden/usage.v1") {
        if value.get("last_seq").is_some() {
            continue;
        }
        let plain: UsageEvent = serde_json::from_value(value.clone()).unwrap();
        add_unknown_fields(&mut value);
        assert_eq!(serde_json::from_value::<UsageEvent>(value).unwrap(), plain, "{name}");
    }
}

fn add_unknown_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields.iter_mut() {
                if name != "tags" {
                    add_unknown_fields(inner);
                }
            }
            fields.insert("of_a_later_release".to_owned(), json!({ "any": [1, "two", null] }));
        }
        Value::Array(items) => items.iter_mut().for_each(add_unknown_fields),
        _ => {}
    }
}

/// What a consumer or producer of `old` could not live with in `new`; empty when nothing.
fn breaking_changes(old: &Value, new: &Value) -> Vec<String> {
    let mut breaks = Vec::new();
    compare(Side { root: old, at: old }, Side { root: new, at: new }, "$", &mut breaks);
    breaks
}

/// A place in a schema, with the root that its references point into.
#[derive(Clone, Copy)]
struct Side<'a> {
    root: &'a Value,
    at: &'a Value,
}

impl<'a> Side<'a> {
    fn resolved(self) -> Self {
        let Some(pointer) = self.at.get("$ref").and_then(|r| r.as_str()?.strip_prefix('#')) else {
            return self;
        };
        let at = self.root.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
        Self { root: self.root, at }.resolved()
    }

    fn names(self, keyword: &str) -> BTreeSet<String> {
        let names = self.at.get(keyword).and_then(Value::as_array);
        names.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Values of an enum in either way of writing it: `enum`, or `oneOf` with a `const` each.
    fn enum_values(self) -> BTreeSet<String> {
        let choices = ["oneOf", "anyOf"].iter().filter_map(|k| self.at.get(k)?.as_array()).flatten();
        let listed = choices.flat_map(|choice| {
            let many = choice.get("enum").and_then(Value::as_array).into_iter().flatten();
            choice.get("const").into_iter().chain(many)
        });
        let own = self.at.get("enum").and_then(Value::as_array).into_iter().flatten();
        own.chain(self.at.get("const")).chain(listed).map(Value::to_string).collect()
    }
}

fn compare(old: Side<'_>, new: Side<'_>, path: &str, breaks: &mut Vec<String>) {
    let (old, new) = (old.resolved(), new.resolved());
    for keyword in ["type", "format", "pattern", "minimum", "maximum", "minLength", "maxLength"] {
        if old.at.get(keyword) != new.at.get(keyword) {
            breaks.push(format!("{path}: {keyword} has changed"));
        }
    }
    for gone in old.enum_values().difference(&new.enum_values()) {
        breaks.push(format!("{path}: the value {gone} is gone"));
    }
    let (was, is) = (old.names("required"), new.names("required"));
    for name in is.difference(&was) {
        breaks.push(format!("{path}.{name}: is required now, released producers may not send it"));
    }
    for name in was.difference(&is) {
        breaks.push(format!("{path}.{name}: is optional now, released consumers rely on it"));
    }
    let properties = |side: Side<'_>| side.at.get("properties").and_then(Value::as_object).cloned();
    let current = properties(new).unwrap_or_default();
    for (name, released) in properties(old).unwrap_or_default() {
        let place = format!("{path}.{name}");
        match current.get(&name) {
            None => breaks.push(format!("{place}: is gone")),
            Some(part) => {
                let (a, b) = (Side { root: old.root, at: &released }, Side { root: new.root, at: part });
                compare(a, b, &place, breaks);
            }
        }
    }
    compare_parts(old, new, path, breaks);
}

/// Items of arrays, values of maps, and choices that are not enums (an optional reference is one).
fn compare_parts(old: Side<'_>, new: Side<'_>, path: &str, breaks: &mut Vec<String>) {
    for keyword in ["items", "additionalProperties"] {
        match (old.at.get(keyword), new.at.get(keyword)) {
            (Some(a), Some(b)) => {
                let place = format!("{path}[]");
                compare(Side { root: old.root, at: a }, Side { root: new.root, at: b }, &place, breaks);
            }
            (None, None) => {}
            _ => breaks.push(format!("{path}: {keyword} has changed")),
        }
    }
    for keyword in ["anyOf", "allOf"] {
        let choices = |side: Side<'_>| side.at.get(keyword).and_then(Value::as_array).cloned();
        let (was, is) = (choices(old).unwrap_or_default(), choices(new).unwrap_or_default());
        if old.enum_values().is_empty() && was.len() != is.len() {
            breaks.push(format!("{path}: the choices of {keyword} have changed"));
            continue;
        }
        for (a, b) in was.iter().zip(&is) {
            compare(Side { root: old.root, at: a }, Side { root: new.root, at: b }, path, breaks);
        }
    }
}

mod breaking_changes_are_found {
    use super::*;

    fn usage() -> Value {
        let schemas = json_schema::all();
        schemas.iter().find(|event| event.name == "usage.v1").unwrap().schema.as_value().clone()
    }

    fn check(change: impl FnOnce(&mut Value), expected: &str) {
        let (old, mut new) = (usage(), usage());
        change(&mut new);
        assert_ne!(old, new, "the change did nothing");
        let breaks = breaking_changes(&old, &new);
        assert!(breaks.iter().any(|text| text.contains(expected)), "{expected} is not in {breaks:?}");
    }

    fn at<'a>(value: &'a mut Value, pointer: &str) -> &'a mut serde_json::Map<String, Value> {
        value.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")).as_object_mut().unwrap()
    }

    #[test]
    fn a_property_that_is_gone() {
        check(|new| drop(at(new, "/properties").remove("http_status")), "$.http_status: is gone");
        check(|new| drop(at(new, "/$defs/Payer/properties").remove("team")), "$.payer.team: is gone");
    }

    #[test]
    fn a_property_of_another_type() {
        check(
            |new| drop(at(new, "/properties/attempt").insert("type".into(), "string".into())),
            "$.attempt: type has changed",
        );
        check(
            |new| drop(at(new, "/$defs/UsageLine/properties/qty").insert("format".into(), "uint32".into())),
            "$.lines[].qty: format has changed",
        );
    }

    #[test]
    fn a_new_required_property() {
        check(
            |new| new.pointer_mut("/required").unwrap().as_array_mut().unwrap().push("error_code".into()),
            "$.error_code: is required now",
        );
    }

    #[test]
    fn a_required_property_that_became_optional() {
        check(
            |new| new.pointer_mut("/required").unwrap().as_array_mut().unwrap().retain(|n| n != "attempt"),
            "$.attempt: is optional now",
        );
    }

    #[test]
    fn an_enum_value_that_is_gone() {
        check(
            |new| {
                let values = new.pointer_mut("/$defs/Outcome/oneOf").unwrap().as_array_mut().unwrap();
                values.retain(|choice| choice.get("const") != Some(&json!("recovered")));
            },
            "$.outcome: the value \"recovered\" is gone",
        );
    }

    #[test]
    fn additions_are_fine() {
        let (old, mut new) = (usage(), usage());
        at(&mut new, "/properties").insert("of_a_later_release".into(), json!({ "type": "string" }));
        let outcomes = new.pointer_mut("/$defs/Outcome/oneOf").unwrap().as_array_mut().unwrap();
        outcomes.push(json!({ "type": "string", "const": "postponed" }));
        assert_eq!(breaking_changes(&old, &new), Vec::<String>::new());
    }
}
