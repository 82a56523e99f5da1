//! What every output must be.

use bytes::Bytes;
use serde_json::value::RawValue;
use tollgate_formats::sse::{Splitter, Action};

/// JSON text in UTF-8.
///
/// # Panics
/// When it is not.
pub fn json(out: &[u8]) -> &RawValue {
    let text = std::str::from_utf8(out).unwrap_or_else(|error| panic!("{error}: {out:?}"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Server-sent events with JSON data, of which a `[DONE]` can only be the last.
///
/// # Panics
/// When they are not.
pub fn events(out: &[u8]) {
    let mut splitter = Splitter::new(usize::MAX);
    let mut done = false;
    let mut seen = 0;
    let relayed = splitter.push(Bytes::copy_from_slice(out), |event| {
        assert!(!done, "an event after the last: {event:?}");
        seen += 1;
        if event.data == "[DONE]" {
            done = true;
        } else {
            let data = json(event.data.as_bytes());
            if let Some(name) = event.name {
                assert!(names(data, name), "event {name} has data of another type: {data}");
            }
        }
        Action::Keep
    });
    assert!(relayed.is_ok() && splitter.end(|_| None).is_empty(), "an event without its end: {:?}", Lossy(out));
    let blocks = out.windows(2).filter(|two| two == b"\n\n").count();
    assert_eq!(blocks, seen, "lines that are no event: {:?}", Lossy(out));
}

/// Whether an event's data says the same type as its name.
fn names(data: &RawValue, name: &str) -> bool {
    let Ok(value) = serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(data.get()) else {
        return false;
    };
    value.get("type").is_some_and(|kind| kind.get() == format!("\"{name}\""))
}

/// Bytes that are mostly text, for messages.
pub struct Lossy<'b>(pub &'b [u8]);

impl std::fmt::Debug for Lossy<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.0))
    }
}

/// Members of a JSON object in their order, repeated ones included.
///
/// # Panics
/// When it is no object.
#[must_use]
pub fn members(object: &str) -> Vec<(String, &RawValue)> {
    struct Members;

    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(object);
    serde::Deserializer::deserialize_map(&mut deserializer, Members)
        .unwrap_or_else(|error| panic!("{error}: {object}"))
}
