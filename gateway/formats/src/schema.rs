//! Schemas of tools and of answers in the dialect that a model takes.
//!
//! What a model refuses is taken out or rewritten so that it allows no less than before: the caller checks what
//! comes back against its own schema anyway. The order of members stays, and a schema that fits is not touched.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, MapAccess};
use serde_json::value::RawValue;
use tollgate_families::SchemaDialect;

use crate::exchange::Text;
use crate::json::{Members, Object, members};
use crate::view::text_of;

/// Deepest schema that is looked into; what is below stays as it is.
const MOST_LEVELS: usize = 32;
/// Most bytes of a schema whose references were replaced by what they name.
const MOST_INLINED: usize = 256 * 1024;

/// A schema that a model takes.
#[derive(Debug)]
pub(crate) struct Fitted<'a> {
    /// Its text.
    pub(crate) json: Cow<'a, str>,
    /// Whether the model takes it as a strict one.
    pub(crate) may_be_strict: bool,
    /// Whether it says less than before.
    pub(crate) is_looser: bool,
}

/// Brings a schema into a dialect.
pub(crate) fn fitted<'a>(schema: &'a RawValue, dialect: &SchemaDialect) -> Fitted<'a> {
    let mut fitter = Fitter { dialect, is_changed: false, is_looser: false, may_be_strict: true };
    let untouched = Cow::Borrowed(schema.get());
    if !schema.get().starts_with('{') {
        return Fitted { json: untouched, may_be_strict: false, is_looser: false };
    }
    let inlined = (!dialect.refs).then(|| fitter.inlined(schema)).flatten();
    let flat = fitter.without_top_unions(inlined.as_deref().unwrap_or(schema));
    let whole = flat.as_deref().or(inlined.as_deref()).unwrap_or(schema);
    let mut out = Vec::with_capacity(whole.get().len() + 64);
    fitter.schema(&mut out, whole, 0);
    let json = match String::from_utf8(out) {
        Ok(json) if fitter.is_changed => Cow::Owned(json),
        _ => untouched,
    };
    Fitted { json, may_be_strict: fitter.may_be_strict, is_looser: fitter.is_looser }
}

struct Fitter<'d> {
    dialect: &'d SchemaDialect,
    is_changed: bool,
    is_looser: bool,
    may_be_strict: bool,
}

/// The members of an object, in order.
#[derive(Default)]
struct Pairs<'a>(Vec<(Text<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        members::<Pairs<'de>, D>(deserializer)
    }
}

impl<'de> Members<'de> for Pairs<'de> {
    const EXPECTED: &'static str = "an object";

    fn take<A: MapAccess<'de>>(&mut self, name: Text<'de>, map: &mut A) -> Result<(), A::Error> {
        self.0.push((name, map.next_value()?));
        Ok(())
    }
}

impl<'a> Pairs<'a> {
    fn of(raw: &'a RawValue) -> Option<Self> {
        raw.get().starts_with('{').then(|| serde_json::from_str(raw.get()).ok()).flatten()
    }

    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, raw)| *raw)
    }
}

fn list(raw: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// Whether `type` is this word, alone or among others.
fn has_type(members: &Pairs<'_>, wanted: &str) -> bool {
    let Some(kind) = members.get("type") else { return false };
    let is_wanted = |raw: &RawValue| text_of(raw).is_some_and(|word| word == wanted);
    is_wanted(kind) || list(kind).into_iter().any(is_wanted)
}

/// Where schemas stand in a schema.
enum Holds {
    /// The value is one.
    One,
    /// The value is a list of them.
    Several,
    /// The value has one under each of its names.
    Named,
    /// The value is none.
    None,
}

fn holds(word: &str) -> Holds {
    match word {
        "items"
        | "additionalProperties"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contains"
        | "propertyNames"
        | "unevaluatedProperties"
        | "unevaluatedItems" => Holds::One,
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => Holds::Several,
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => Holds::Named,
        _ => Holds::None,
    }
}

impl Fitter<'_> {
    fn schema(&mut self, out: &mut Vec<u8>, raw: &RawValue, level: usize) {
        let members = (level < MOST_LEVELS).then(|| Pairs::of(raw)).flatten();
        let Some(members) = members else {
            out.extend_from_slice(raw.get().as_bytes());
            return;
        };
        self.check_strict(&members);
        let mut object = Object::new(out);
        for (name, value) in &members.0 {
            if self.is_refused(name, level) {
                self.is_changed = true;
                // It names the dialect and allows nothing else.
                self.is_looser |= name != "$schema";
                continue;
            }
            if self.dialect.properties_required && name == "properties" && value.get() == "null" {
                self.is_changed = true;
                continue;
            }
            self.member(&mut object, name, value, level);
        }
        self.add_missing(&mut object, &members, level);
        object.end();
    }

    fn is_refused(&self, name: &str, level: usize) -> bool {
        let among = |words: &[String]| words.iter().any(|word| word == name);
        among(&self.dialect.refused) || (level == 0 && among(&self.dialect.refused_at_top))
    }

    fn member(&mut self, object: &mut Object<'_>, name: &str, value: &RawValue, level: usize) {
        let out = object.escaped_key(name);
        match holds(name) {
            Holds::One => self.schema(out, value, level + 1),
            Holds::Several => {
                out.push(b'[');
                for (place, item) in list(value).into_iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    self.schema(out, item, level + 1);
                }
                out.push(b']');
            }
            Holds::Named => match Pairs::of(value) {
                Some(named) => {
                    let mut inner = Object::new(out);
                    for (name, value) in &named.0 {
                        self.schema(inner.escaped_key(name), value, level + 1);
                    }
                    inner.end();
                }
                None => out.extend_from_slice(value.get().as_bytes()),
            },
            Holds::None => out.extend_from_slice(value.get().as_bytes()),
        }
    }

    /// What the dialect wants said.
    fn add_missing(&mut self, object: &mut Object<'_>, members: &Pairs<'_>, level: usize) {
        let says = |name: &str| members.get(name).is_some_and(|raw| raw.get() != "null");
        let (mut is_object, is_array) = (has_type(members, "object"), has_type(members, "array"));
        if level == 0 && self.dialect.properties_required && !says("type") {
            self.is_changed = true;
            is_object = true;
            object.put("type", "object");
        }
        if self.dialect.properties_required && is_object && !says("properties") {
            self.is_changed = true;
            object.raw("properties", "{}");
        }
        if self.dialect.items_required && is_array && !says("items") && !says("prefixItems") {
            self.is_changed = true;
            object.raw("items", "{}");
        }
    }

    fn check_strict(&mut self, members: &Pairs<'_>) {
        let dialect = self.dialect;
        if members.0.iter().any(|(name, _)| dialect.refused_strict.iter().any(|word| word == name)) {
            self.may_be_strict = false;
        }
        if !has_type(members, "object") && members.get("properties").is_none() {
            return;
        }
        let is_closed = members.get("additionalProperties").is_some_and(|raw| raw.get() == "false");
        let required: Vec<Text<'_>> =
            members.get("required").map(list).unwrap_or_default().into_iter().filter_map(text_of).collect();
        let properties = members.get("properties").and_then(Pairs::of).unwrap_or_default();
        let all_required = properties.0.iter().all(|(name, _)| required.contains(name));
        if (dialect.strict_closed && !is_closed) || (dialect.strict_all_required && !all_required) {
            self.may_be_strict = false;
        }
    }

    /// Alternatives at the top as one object that has the properties of them all; what each of them requires stays
    /// required.
    fn without_top_unions(&mut self, raw: &RawValue) -> Option<Box<RawValue>> {
        if self.dialect.top_unions {
            return None;
        }
        let top = Pairs::of(raw)?;
        let unions: Vec<(&str, Vec<Pairs<'_>>)> = ["allOf", "anyOf", "oneOf"]
            .into_iter()
            .filter_map(|word| Some((word, list(top.get(word)?).into_iter().filter_map(Pairs::of).collect())))
            .collect();
        if unions.is_empty() {
            return None;
        }
        (self.is_changed, self.is_looser) = (true, true);
        let (properties, required) = merged(&top, &unions);
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        for (name, value) in &top.0 {
            if !matches!(&**name, "allOf" | "anyOf" | "oneOf" | "properties" | "required" | "type") {
                object.escaped_key(name).extend_from_slice(value.get().as_bytes());
            }
        }
        object.put("type", "object").object("properties", |inner| {
            for (name, value) in &properties.0 {
                inner.escaped_key(name).extend_from_slice(value.get().as_bytes());
            }
        });
        if !required.is_empty() {
            object.put("required", &required);
        }
        object.end();
        RawValue::from_string(String::from_utf8(out).ok()?).ok()
    }

    /// The schema with what its references name in their place; a reference into itself allows anything.
    fn inlined(&mut self, raw: &RawValue) -> Option<Box<RawValue>> {
        if !raw.get().contains("\"$ref\"") {
            return None;
        }
        let top = Pairs::of(raw)?;
        let mut out = Vec::new();
        inline(&mut out, raw, &top, &mut Vec::new());
        self.is_changed = true;
        if out.len() > MOST_INLINED {
            return None;
        }
        RawValue::from_string(String::from_utf8(out).ok()?).ok()
    }
}

/// The properties of an object and its alternatives, and which of them it requires in any case.
fn merged<'a>(top: &Pairs<'a>, unions: &[(&str, Vec<Pairs<'a>>)]) -> (Pairs<'a>, Vec<Text<'a>>) {
    let (mut properties, mut required) = (Pairs::default(), required_of(top));
    add_properties(&mut properties, top);
    for (word, branches) in unions {
        branches.iter().for_each(|branch| add_properties(&mut properties, branch));
        let mut each = branches.iter().map(required_of);
        let first = each.next().unwrap_or_default();
        required.extend(each.fold(first, |all, next| match *word {
            "allOf" => [all, next].concat(),
            _ => all.into_iter().filter(|name| next.contains(name)).collect(),
        }));
    }
    required.sort();
    required.dedup();
    required.retain(|name| properties.get(name).is_some());
    (properties, required)
}

/// The first property of a name stays.
fn add_properties<'a>(all: &mut Pairs<'a>, of: &Pairs<'a>) {
    let found = of.get("properties").and_then(Pairs::of).unwrap_or_default();
    for (name, value) in found.0 {
        if all.get(&name).is_none() {
            all.0.push((name, value));
        }
    }
}

fn required_of<'a>(members: &Pairs<'a>) -> Vec<Text<'a>> {
    members.get("required").map(list).unwrap_or_default().into_iter().filter_map(text_of).collect()
}

/// `open` are the references that are being followed.
fn inline(out: &mut Vec<u8>, raw: &RawValue, top: &Pairs<'_>, open: &mut Vec<String>) {
    if out.len() > MOST_INLINED {
        return;
    }
    if raw.get().starts_with('[') {
        out.push(b'[');
        for (place, item) in list(raw).into_iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            inline(out, item, top, open);
        }
        out.push(b']');
        return;
    }
    let Some(members) = Pairs::of(raw) else {
        out.extend_from_slice(raw.get().as_bytes());
        return;
    };
    if let Some(name) = members.get("$ref").and_then(text_of) {
        let found = name
            .strip_prefix("#/$defs/")
            .and_then(|name| Pairs::of(top.get("$defs")?)?.get(name))
            .or_else(|| Pairs::of(top.get("definitions")?)?.get(name.strip_prefix("#/definitions/")?));
        match found.filter(|_| open.len() < MOST_LEVELS && !open.iter().any(|known| *known == name)) {
            Some(found) => {
                open.push(name.into_owned());
                inline(out, found, top, open);
                open.pop();
            }
            None => out.extend_from_slice(b"{}"),
        }
        return;
    }
    let mut object = Object::new(out);
    for (name, value) in &members.0 {
        if !matches!(&**name, "$defs" | "definitions") {
            inline(object.escaped_key(name), value, top, open);
        }
    }
    object.end();
}

/// A text as one word of a name: letters, digits, `_` and `-`, at most 64.
pub(crate) fn form_name(name: &str) -> Text<'_> {
    const MOST: usize = 64;
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if !name.is_empty() && name.len() <= MOST && name.chars().all(fits) {
        return Cow::Borrowed(name);
    }
    let kept: String =
        name.chars().take(MOST).map(|letter| if fits(letter) { letter } else { '_' }).collect();
    Cow::Owned(if kept.is_empty() { "response".to_owned() } else { kept })
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
