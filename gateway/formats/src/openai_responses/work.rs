//! How far the work on a response has come: all that must be known of one that goes on in the background.

use serde::Deserialize;

use crate::json::Str;

/// A response by its id, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The provider's id.
    pub id: String,
    /// As its `status` says.
    pub stage: Stage,
}

/// How far the work on a response has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is queued or goes on; so is every status that is not known.
    Running,
    /// It ended by itself.
    Completed,
    /// Cut off at a bound.
    Incomplete,
    /// The provider failed.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    object: Option<Str<'a>>,
    #[serde(borrow)]
    id: Str<'a>,
    #[serde(borrow)]
    status: Str<'a>,
}

impl Work {
    /// Of a whole response; `None` if the body is none, or does not say.
    #[must_use]
    pub fn of(body: &[u8]) -> Option<Self> {
        let body: Body<'_> = serde_json::from_slice(body).ok()?;
        if body.object.as_deref().is_some_and(|object| object != "response") {
            return None;
        }
        Some(Self { id: body.id.into_text().into_owned(), stage: Stage::of(&body.status) })
    }
}

impl Stage {
    fn of(status: &str) -> Self {
        match status {
            "completed" => Self::Completed,
            "incomplete" => Self::Incomplete,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            _ => Self::Running,
        }
    }

    /// Whether the model still works on it.
    #[must_use]
    pub const fn is_running(self) -> bool {
        matches!(self, Self::Running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_says_how_far_it_is() {
        for (status, stage) in [
            ("queued", Stage::Running),
            ("in_progress", Stage::Running),
            ("searching", Stage::Running),
            ("completed", Stage::Completed),
            ("incomplete", Stage::Incomplete),
            ("failed", Stage::Failed),
            ("cancelled", Stage::Cancelled),
        ] {
            let body = format!(r#"{{"id":"resp_1","object":"response","status":"{status}","usage":null}}"#);
            assert_eq!(Work::of(body.as_bytes()), Some(Work { id: "resp_1".to_owned(), stage }), "{status}");
            assert_eq!(stage.is_running(), stage == Stage::Running);
        }
    }

    #[test]
    fn what_is_no_response_says_nothing() {
        for body in [
            r#"{"object":"list","data":[]}"#,
            r#"{"id":"resp_1","object":"response.deleted","status":"completed"}"#,
            r#"{"id":"resp_1","object":"response"}"#,
            r#"{"error":{"message":"no"}}"#,
            "",
        ] {
            assert_eq!(Work::of(body.as_bytes()), None, "{body}");
        }
    }
}
