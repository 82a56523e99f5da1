//! JSON for reading: indented, members in their order, short values on one line.

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// Longest value on one line, characters.
const LINE: usize = 100;

/// Indents a JSON text without touching its texts and numbers.
pub(crate) fn pretty(json: &str) -> String {
    let mut out = String::new();
    match serde_json::from_str(json) {
        Ok(raw) => write(&mut out, raw, 0),
        Err(error) => panic!("the output is no JSON: {error}\n{json}"),
    }
    out
}

fn write(out: &mut String, raw: &RawValue, depth: usize) {
    let inline = inline(raw);
    if inline.len() + 2 * depth <= LINE || !raw.get().starts_with(['{', '[']) {
        out.push_str(&inline);
        return;
    }
    let (open, close) = if raw.get().starts_with('{') { ('{', '}') } else { ('[', ']') };
    out.push(open);
    for (place, (name, value)) in children(raw).into_iter().enumerate() {
        out.push_str(if place == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        if let Some(name) = name {
            out.push_str(&format!("{name}: "));
        }
        write(out, value, depth + 1);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(close);
}

fn inline(raw: &RawValue) -> String {
    if !raw.get().starts_with(['{', '[']) {
        return raw.get().to_owned();
    }
    let items: Vec<String> = children(raw)
        .into_iter()
        .map(|(name, value)| match name {
            Some(name) => format!("{name}: {}", inline(value)),
            None => inline(value),
        })
        .collect();
    let items = items.join(", ");
    if raw.get().starts_with('{') { format!("{{{items}}}") } else { format!("[{items}]") }
}

/// Members with their quoted names, or items without.
fn children(raw: &RawValue) -> Vec<(Option<String>, &RawValue)> {
    if raw.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap();
        return items.into_iter().map(|item| (None, item)).collect();
    }
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Option<String>, &'de RawValue)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                members.push((Some(serde_json::to_string(&name).unwrap()), value));
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(raw.get()).deserialize_map(Members).unwrap()
}
