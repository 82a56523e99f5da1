//! The list of models as `GET /v1/models` answers it, and a single one.

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::json;

/// A model that the caller may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model<'a> {
    /// What clients put into `model`.
    pub id: &'a str,
    /// What people read; the id where there is nothing better.
    pub display_name: &'a str,
    /// When it was added, seconds since the Unix epoch; 0 when it is not known.
    pub created_s: u64,
}

impl Serialize for Model<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut model = serializer.serialize_struct("Model", 5)?;
        model.serialize_field("type", "model")?;
        model.serialize_field("id", self.id)?;
        model.serialize_field("display_name", self.display_name)?;
        model.serialize_field("created_at", &rfc3339(self.created_s))?;
        model.serialize_field("lifecycle", "active")?;
        model.end()
    }
}

/// Writes the whole list; it is short enough for one page.
#[must_use]
pub fn list(models: &[Model<'_>]) -> Vec<u8> {
    #[derive(serde::Serialize)]
    struct Page<'m> {
        data: &'m [Model<'m>],
        has_more: bool,
        first_id: Option<&'m str>,
        last_id: Option<&'m str>,
    }

    let page = Page {
        data: models,
        has_more: false,
        first_id: models.first().map(|model| model.id),
        last_id: models.last().map(|model| model.id),
    };
    let mut out = Vec::with_capacity(64 + models.len() * 128);
    json::write(&mut out, &page);
    out
}

/// Writes one model.
#[must_use]
pub fn one(model: &Model<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    json::write(&mut out, model);
    out
}

/// `2025-02-19T00:00:00Z`; a time beyond the calendar is not known.
fn rfc3339(seconds: u64) -> Timestamp {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_one_page() {
        let models = [
            Model { id: "chat", display_name: "Chat", created_s: 0 },
            Model { id: "fast", display_name: "fast", created_s: 1_739_923_200 },
        ];
        assert_eq!(
            String::from_utf8(list(&models)).unwrap(),
            concat!(
                r#"{"data":[{"type":"model","id":"chat","display_name":"Chat","created_at":"1970-01-01T00:00:00Z","#,
                r#""lifecycle":"active"},{"type":"model","id":"fast","display_name":"fast","#,
                r#""created_at":"2025-02-19T00:00:00Z","lifecycle":"active"}],"#,
                r#""has_more":false,"first_id":"chat","last_id":"fast"}"#
            )
        );
        assert!(one(&Model { created_s: u64::MAX, ..models[0] }).ends_with(br#""lifecycle":"active"}"#));
        assert_eq!(list(&[]), br#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    }
}
