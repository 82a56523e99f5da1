//! What tools are called on the two sides of a translation.
//!
//! A backend knows tools by names that it takes: of bounded length, without the groups that some clients put them
//! in. Its calls are told to the client by the names that the client gave.

use std::borrow::Cow;

use tollgate_base::hash::fnv1a;

/// The names of tools that are called otherwise towards the backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolNames(Vec<ToolName>);

/// One tool's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolName {
    /// What the backend is told, and says.
    pub sent: String,
    /// What the client calls it.
    pub name: String,
    /// The group it stands in at the client's (OpenAI's `namespace`).
    pub namespace: Option<String>,
    /// Whether the client gave it as a tool that takes free text (OpenAI's `custom`).
    pub is_custom: bool,
    /// Whether it is the client's own search for tools (OpenAI's `tool_search`).
    pub is_search: bool,
}

impl ToolNames {
    /// Whether every tool has one name.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a tool; the first one of a name stays.
    pub fn add(&mut self, tool: ToolName) {
        if self.by_sent(&tool.sent).is_none() {
            self.0.push(tool);
        }
    }

    /// The tool that the backend knows by this name, if the client names it otherwise.
    #[must_use]
    pub fn by_sent(&self, sent: &str) -> Option<&ToolName> {
        self.0.iter().find(|tool| tool.sent == sent)
    }

    /// Whether calls by this name are those of a tool that takes free text.
    #[must_use]
    pub fn is_custom(&self, sent: &str) -> bool {
        self.by_sent(sent).is_some_and(|tool| tool.is_custom)
    }

    /// What the backend is told for a tool that the client names so.
    #[must_use]
    pub fn sent(&self, namespace: Option<&str>, name: &str) -> Option<&str> {
        let is_it = |tool: &&ToolName| tool.name == name && tool.namespace.as_deref() == namespace;
        self.0.iter().find(is_it).map(|tool| tool.sent.as_str())
    }
}

/// Longest name that is kept as it is under a bound of `most` letters; longer ones end in a hash of the whole.
#[must_use]
pub fn fitted(name: &str, most: usize) -> Cow<'_, str> {
    const HASH: usize = 9;
    if name.len() <= most || most <= HASH {
        return Cow::Borrowed(name);
    }
    let cut = name.char_indices().map(|(at, _)| at).take_while(|at| *at <= most - HASH).last().unwrap_or(0);
    let hash = fnv1a(name.bytes());
    Cow::Owned(format!("{}_{:08x}", &name[..cut], (hash ^ (hash >> 32)) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_and_told_apart_by_its_hash() {
        let (a, b) = ("x".repeat(70) + "a", "x".repeat(70) + "b");
        let (short_a, short_b) = (fitted(&a, 64), fitted(&b, 64));
        assert_eq!((short_a.len(), short_b.len()), (64, 64));
        assert_ne!(short_a, short_b);
        assert_eq!(fitted("weather", 64), "weather");
        assert!(fitted(&"ä".repeat(60), 64).len() <= 64);
    }
}
