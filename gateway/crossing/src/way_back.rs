//! What an answer's way back to the client must know of the request that it answers.

use std::sync::Arc;

use tollgate_formats::Answer;
use tollgate_formats::exchange::{StreamEncoder, StreamEvent, ToolNames, proofs, renaming};

/// Kept beside a request from its translation to its answer. Empty where bytes pass.
#[derive(Debug, Clone, Default)]
pub struct WayBack {
    /// Whether the client reads calls of tools in OpenAI's old form only.
    pub legacy_functions: bool,
    /// How the client groups and kinds its tools.
    pub tool_names: Option<Arc<ToolNames>>,
    /// Names of tools that were changed for the target.
    pub fitted: Option<Arc<ToolNames>>,
    /// The target's name in marks of proofs.
    pub origin: Option<Arc<str>>,
}

impl WayBack {
    /// Brings an answer as the backend gave it into the client's terms.
    pub(crate) fn answer(&self, answer: &mut Answer<'_>) {
        if let Some(names) = &self.fitted {
            renaming::shown_answer(answer, names);
        }
        if let Some(origin) = &self.origin {
            proofs::mark_answer(answer, origin);
        }
    }

    /// The same for a stream: events pass through it on their way to `inner`.
    pub(crate) fn encoder(&self, inner: Box<dyn StreamEncoder>) -> Box<dyn StreamEncoder> {
        if self.fitted.is_none() && self.origin.is_none() {
            return inner;
        }
        Box::new(ClientTerms { way_back: self.clone(), inner })
    }
}

/// Tells events in the client's terms.
struct ClientTerms {
    way_back: WayBack,
    inner: Box<dyn StreamEncoder>,
}

impl StreamEncoder for ClientTerms {
    fn write(&mut self, event: &StreamEvent<'_>, out: &mut Vec<u8>) {
        let WayBack { fitted, origin, .. } = &self.way_back;
        if let Some(shown) = fitted.as_deref().and_then(|names| renaming::shown_event(event, names)) {
            return self.inner.write(&shown, out);
        }
        if let Some(marked) = origin.as_deref().and_then(|origin| proofs::mark_event(event, origin)) {
            return self.inner.write(&marked, out);
        }
        self.inner.write(event, out);
    }
}
