//! Schemas of tools and of answers as OpenAI's formats and Gemini's take them: every schema within is looked at.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tollgate_families::SchemaDialect;

use super::node::{Members, Node, has_type, leaf, members, names, say_object};
use super::unions::{has_unions, merge_unions};
use super::walk::{changed, changed_without_references};

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
    let untouched = Cow::Borrowed(schema.get());
    let Some(written) = members(schema) else {
        return Fitted { json: untouched, may_be_strict: false, is_looser: false };
    };
    let mut fitter = Fitter { dialect, is_changed: false, is_looser: false, may_be_strict: true };
    let mut top = written.clone();
    if !dialect.top_unions && has_unions(&top) {
        merge_unions(&mut top);
        say_object(&mut top);
        (fitter.is_changed, fitter.is_looser) = (true, true);
    }
    let mut change = |members: &mut Members<'a>, level: usize| fitter.fit(members, level);
    let node = if !dialect.refs && schema.get().contains("\"$ref\"") {
        let node = changed_without_references(Node::Object(top), &written, &mut change);
        fitter.is_changed = true;
        node
    } else {
        changed(Node::Object(top), &mut change)
    };
    let json = match serde_json::to_string(&node) {
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

impl Fitter<'_> {
    fn fit(&mut self, members: &mut Members<'_>, level: usize) {
        self.check_strict(members);
        let dialect = self.dialect;
        members.retain(|(name, value)| {
            let says_nothing = dialect.properties_required
                && name == "properties"
                && matches!(value, Node::Leaf(raw) if raw.get() == "null");
            let is_refused = is_refused(name, dialect, level);
            self.is_changed |= is_refused || says_nothing;
            // The word for the dialect allows nothing else.
            self.is_looser |= is_refused && name != "$schema";
            !is_refused && !says_nothing
        });
        self.add_missing(members, level);
    }

    /// What the dialect wants said.
    fn add_missing(&mut self, members: &mut Members<'_>, level: usize) {
        let says = |members: &Members<'_>, name: &str| {
            let null = |value: &Node<'_>| matches!(value, Node::Leaf(raw) if raw.get() == "null");
            members.iter().any(|(known, value)| known == name && !null(value))
        };
        let mut add = |members: &mut Members<'_>, name: &'static str, value| {
            self.is_changed = true;
            members.push((name.into(), value));
        };
        let empty = || Node::Object(Vec::new());
        if self.dialect.properties_required {
            if level == 0 && !says(members, "type") {
                add(members, "type", Node::Word("object"));
            }
            let is_object = has_type(members, "object");
            if is_object && !says(members, "properties") {
                add(members, "properties", empty());
            }
        }
        let has_items = says(members, "items") || says(members, "prefixItems");
        if self.dialect.items_required && has_type(members, "array") && !has_items {
            add(members, "items", empty());
        }
    }

    fn check_strict(&mut self, members: &Members<'_>) {
        let dialect = self.dialect;
        if members.iter().any(|(name, _)| dialect.refused_strict.iter().any(|word| word == name)) {
            self.may_be_strict = false;
        }
        let properties = members.iter().find(|(name, _)| name == "properties");
        if !has_type(members, "object") && properties.is_none() {
            return;
        }
        let is_closed = leaf(members, "additionalProperties").is_some_and(|raw| raw.get() == "false");
        let required = names(members, "required");
        let all_required = match properties {
            Some((_, Node::Object(named))) => named.iter().all(|(name, _)| required.contains(name)),
            Some((_, Node::Leaf(raw))) => {
                let named = super::node::members(raw).unwrap_or_default();
                named.iter().all(|(name, _)| required.contains(name))
            }
            _ => true,
        };
        if (dialect.strict_closed && !is_closed) || (dialect.strict_all_required && !all_required) {
            self.may_be_strict = false;
        }
    }
}

fn is_refused(name: &str, dialect: &SchemaDialect, level: usize) -> bool {
    let among = |words: &[String]| words.iter().any(|word| word == name);
    among(&dialect.refused) || (level == 0 && among(&dialect.refused_at_top))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
