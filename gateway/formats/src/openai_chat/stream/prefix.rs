//! What all chunks of a stream begin with: id, model, time and the like. It is read once; chunks that begin with the
//! same bytes are read from their choices on, which is a third of them.

use memchr::memmem;

const CHOICES: &str = "\"choices\":[";

/// The bytes before `"choices"`, learned from a chunk that was read whole.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    /// From the opening brace on; empty while nothing is learned.
    known: String,
    /// Where the shortened chunk is put together.
    scratch: String,
}

impl Prefix {
    /// The chunk without the members that are known, as an object again; `None` if it begins otherwise.
    pub(super) fn shorten(&mut self, data: &str) -> Option<String> {
        let rest = data.strip_prefix(self.known.as_str()).filter(|_| !self.known.is_empty())?;
        let mut short = std::mem::take(&mut self.scratch);
        short.clear();
        short.push('{');
        short.push_str(rest);
        Some(short)
    }

    /// Takes the buffer back.
    pub(super) fn reuse(&mut self, scratch: String) {
        self.scratch = scratch;
    }

    /// Learns from a chunk that is valid JSON. Only from flat members: then the first `"choices":[` is a member of the
    /// chunk itself. In a text both its quotes would be escaped, and at the end of a longer name the first one.
    pub(super) fn learn(&mut self, data: &str) {
        self.known.clear();
        if let Some(at) = memmem::find(data.as_bytes(), CHOICES.as_bytes()) {
            let before = &data[..at];
            let is_flat = before.starts_with('{') && !before[1..].contains(['{', '[']);
            if is_flat && !before.ends_with('\\') {
                self.known.push_str(before);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_left_out_of_later_chunks() {
        let mut prefix = Prefix::default();
        let data = r#"{"id":"a \"choices\":","model":"m","choices":[1],"usage":null}"#;
        assert_eq!(prefix.shorten(data), None);
        prefix.learn(data);
        assert_eq!(prefix.shorten(data).unwrap(), r#"{"choices":[1],"usage":null}"#);
        assert_eq!(prefix.shorten(r#"{"id":"b","model":"m","choices":[1]}"#), None);
    }

    #[test]
    fn nothing_is_learned_from_nested_members_and_longer_names() {
        let mut prefix = Prefix::default();
        let longer = r#"{"x\"choices":[1]}"#;
        for data in
            [r#"{"x":{"choices":[1]},"choices":[2]}"#, r#"{"x":[{"choices":[1]}]}"#, longer, "7", "{}"]
        {
            prefix.learn(data);
            assert_eq!(prefix.shorten(data), None, "{data}");
        }
    }
}
