//! Strict reading of JSON: what the real APIs refuse is refused here, with the path of the mistake.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A mistake in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    /// Where it is, `messages.0.role`.
    pub(super) path: String,
    /// What is wrong, as a sentence without its subject.
    pub(super) what: String,
}

/// What was read, or the first mistake.
pub(super) type Checked<T> = Result<T, Mistake>;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Node<'a> {
    /// The whole body.
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    /// The value itself.
    pub(super) fn raw(&self) -> &'a Value {
        self.value
    }

    /// A mistake at this place.
    pub(super) fn wrong(&self, what: impl Into<String>) -> Mistake {
        Mistake { path: self.path.clone(), what: what.into() }
    }

    fn below(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Refuses everything but an object of these fields.
    pub(super) fn only(&self, names: &[&str]) -> Checked<()> {
        let fields = self.value.as_object().ok_or_else(|| self.wrong("must be an object"))?;
        match fields.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(Mistake { path: self.below(name), what: "is no known field".to_owned() }),
            None => Ok(()),
        }
    }

    /// A field; null is as good as absent.
    pub(super) fn get(&self, name: &str) -> Option<Node<'a>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Node { value, path: self.below(name) })
    }

    /// A field that must be there.
    pub(super) fn need(&self, name: &str) -> Checked<Node<'a>> {
        self.get(name).ok_or_else(|| Mistake { path: self.below(name), what: "is required".to_owned() })
    }

    /// The name of the only field of an object, with its value: how unions are written by AWS and Google.
    pub(super) fn one_of(&self, names: &[&'static str]) -> Checked<(&'static str, Node<'a>)> {
        let mut given = names.iter().filter_map(|name| self.get(name).map(|node| (*name, node)));
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(self.wrong(format!("must have one of {}", names.join(", ")))),
            _ => Err(self.wrong(format!("must have only one of {}", names.join(", ")))),
        }
    }

    /// A text.
    pub(super) fn text(&self) -> Checked<&'a str> {
        self.value.as_str().ok_or_else(|| self.wrong("must be a string"))
    }

    /// A text that says something.
    pub(super) fn filled(&self) -> Checked<&'a str> {
        match self.text()? {
            text if text.trim().is_empty() => Err(self.wrong("must not be empty")),
            text => Ok(text),
        }
    }

    /// One of these words.
    pub(super) fn word(&self, words: &[&str]) -> Checked<&'a str> {
        let text = self.text()?;
        if words.contains(&text) {
            Ok(text)
        } else {
            Err(self.wrong(format!("must be one of {}, not '{text}'", words.join(", "))))
        }
    }

    /// A text of letters, digits, `_` and `-`, at most that long.
    pub(super) fn name(&self, longest: usize) -> Checked<&'a str> {
        let text = self.text()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        if text.is_empty() || text.len() > longest || !text.bytes().all(plain) {
            return Err(self.wrong(format!("must match ^[a-zA-Z0-9_-]{{1,{longest}}}$")));
        }
        Ok(text)
    }

    /// A whole number that is not negative.
    pub(super) fn count(&self) -> Checked<u64> {
        self.value.as_u64().ok_or_else(|| self.wrong("must be a whole number"))
    }

    /// A number within bounds.
    pub(super) fn number(&self, least: f64, most: f64) -> Checked<f64> {
        let number = self.value.as_f64().ok_or_else(|| self.wrong("must be a number"))?;
        if (least..=most).contains(&number) {
            Ok(number)
        } else {
            Err(self.wrong(format!("must be between {least} and {most}")))
        }
    }

    /// True or false.
    pub(super) fn flag(&self) -> Checked<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong("must be a boolean"))
    }

    /// An object.
    pub(super) fn object(&self) -> Checked<&'a Value> {
        if self.value.is_object() { Ok(self.value) } else { Err(self.wrong("must be an object")) }
    }

    /// The elements of a list.
    pub(super) fn list(&self) -> Checked<Vec<Node<'a>>> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("must be an array"))?;
        Ok(list
            .iter()
            .enumerate()
            .map(|(at, value)| Node { value, path: self.below(&at.to_string()) })
            .collect())
    }

    /// The elements of a list that has some.
    pub(super) fn filled_list(&self) -> Checked<Vec<Node<'a>>> {
        match self.list()? {
            list if list.is_empty() => Err(self.wrong("must have at least one element")),
            list => Ok(list),
        }
    }

    /// Texts.
    pub(super) fn texts(&self) -> Checked<Vec<String>> {
        self.list()?.iter().map(|node| node.text().map(str::to_owned)).collect()
    }

    /// How many bytes this base64 is.
    pub(super) fn base64(&self) -> Checked<usize> {
        let bytes = STANDARD.decode(self.text()?);
        bytes.map(|bytes| bytes.len()).map_err(|reason| self.wrong(format!("is no base64: {reason}")))
    }

    /// JSON inside a text.
    pub(super) fn json(&self) -> Checked<Value> {
        serde_json::from_str(self.text()?).map_err(|reason| self.wrong(format!("is no JSON: {reason}")))
    }

    /// Refuses schemas that strict forms do not take: objects name all they may have.
    pub(super) fn closed_schema(&self, all_required: bool) -> Checked<()> {
        let Some(properties) = self.get("properties") else { return Ok(()) };
        if self.value.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err(self.wrong("'additionalProperties' is required to be supplied and to be false"));
        }
        let names = properties.object()?.as_object().into_iter().flat_map(|fields| fields.keys());
        let required = self.get("required").map_or(Ok(Vec::new()), |node| node.texts())?;
        for name in names {
            if all_required && !required.contains(name) {
                return Err(self.wrong(format!("'required' must have every property, '{name}' is missing")));
            }
            if let Some(property) = properties.get(name) {
                property.closed_schema(all_required)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mistakes_say_where_they_are() {
        let body = json!({ "a": [{ "b": 1 }], "c": null, "d": { "x": 1, "y": 2 } });
        let root = Node::root(&body);
        let list = root.need("a").unwrap().list().unwrap();
        assert_eq!(list[0].need("b").unwrap().text().unwrap_err().path, "a.0.b");
        assert_eq!(root.need("c").unwrap_err().what, "is required");
        assert_eq!(root.only(&["a", "c"]).unwrap_err().path, "d");
        assert!(root.need("d").unwrap().one_of(&["x", "y"]).is_err());
        assert_eq!(root.need("d").unwrap().one_of(&["x", "z"]).unwrap().0, "x");
    }

    #[test]
    fn strict_schemas_are_closed_all_the_way_down() {
        let closed = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"],
            "additionalProperties": false });
        let outer = json!({ "type": "object", "properties": { "in": closed, "b": {} }, "required": ["in"],
            "additionalProperties": false });
        assert!(Node::root(&closed).closed_schema(true).is_ok());
        assert!(Node::root(&outer).closed_schema(true).is_err());
        assert!(Node::root(&outer).closed_schema(false).is_ok());
        assert!(Node::root(&json!({ "properties": {} })).closed_schema(false).is_err());
    }
}
