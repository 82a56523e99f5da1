//! Calls that go before the last one, for backends that embed a few texts a call.
//!
//! All calls of a request are one attempt and one row: the answers of the first ones are kept until the last one
//! is judged, and the first failure is the failure of the attempt.

use std::cell::{Cell, RefCell};

use futures_util::StreamExt as _;
use futures_util::stream;
use http::{HeaderMap, Response, Uri};
use tollgate_admission::Held;
use tollgate_backends::AnswerBody;
use tollgate_backends::backend::Backend;
use tollgate_backends::call::{BackendClient, CallError, CallResult, collect_while};
use tollgate_backends::sent::Sent;
use tollgate_crossing::Incoming;
use tollgate_crossing::embeddings::{Embeddings, Part};
use tollgate_formats::exchange::AnswerHead;
use tollgate_formats::{FormatError, Usage};

/// Calls of one request that are under way at a time.
const AT_A_TIME: usize = 8;

/// The calls of one request, and what they have brought so far.
#[derive(Debug)]
pub struct Several {
    embeddings: Embeddings,
    parts: RefCell<Vec<Part>>,
    /// The memory of the parts, once they are called for.
    held: RefCell<Option<Held>>,
}

/// Where the calls go.
pub struct CallSite<'a> {
    /// This thread's connections.
    pub caller: &'a BackendClient,
    pub backend: &'a Backend,
    pub uri: &'a Uri,
    /// With which headers.
    pub headers: &'a HeaderMap,
    /// Whether one of them has gone out.
    pub sent: &'a Sent,
    /// Most bytes of all answers together.
    pub max_answer: usize,
}

impl Several {
    pub fn new(embeddings: Embeddings) -> Self {
        Self { embeddings, parts: RefCell::default(), held: RefCell::default() }
    }

    /// Makes the calls that go before the last one; answers with the first refusal if there is one. What comes takes
    /// memory of `held`.
    ///
    /// # Errors
    /// The first failure.
    pub async fn call_before(
        &self,
        site: &CallSite<'_>,
        held: Held,
    ) -> Result<Option<Response<AnswerBody>>, CallError> {
        *self.held.borrow_mut() = Some(held);
        let came = Cell::new(0_usize);
        let too_large = || CallError::TooLarge(site.max_answer);
        let calls = self.embeddings.before().iter().map(|body| async {
            let response: CallResult =
                site.caller.post(site.backend, site.uri, site.headers.clone(), body.clone(), site.sent).await;
            let response = response?;
            if !response.status().is_success() {
                return Ok(Err(response));
            }
            let (head, body) = response.into_parts();
            // Those that come at the same time share the bound and the memory.
            let more = |bytes: usize| {
                came.set(came.get() + bytes);
                let mut held = self.held.borrow_mut();
                came.get() <= site.max_answer && held.as_mut().is_some_and(|held| held.grow(bytes as u64))
            };
            let body = collect_while(body, site.max_answer, site.backend.idle_timeout, more).await;
            let is_too_large = came.get() > site.max_answer;
            let body = body.map_err(|error| if is_too_large { too_large() } else { error })?;
            Ok(Ok(Part::new(&head.headers, body)))
        });
        let mut answers = stream::iter(calls).buffered(AT_A_TIME);
        while let Some(answer) = answers.next().await {
            let part = match answer? {
                Ok(part) => part,
                Err(refusal) => return Ok(Some(refusal)),
            };
            self.parts.borrow_mut().push(part);
        }
        Ok(None)
    }

    /// Bytes of the answers so far.
    pub fn bytes(&self) -> usize {
        self.parts.borrow().iter().map(|part| part.body.len()).sum()
    }

    /// What the calls so far have used, where their answers say so.
    pub fn usage(&self) -> Option<Usage> {
        let parts = self.parts.borrow();
        self.embeddings.usage(parts.iter())
    }

    /// The answer for the client once the last part has come.
    ///
    /// # Errors
    /// When a part is not what the backend's format says, or vectors are missing.
    pub fn answer(&self, last: &Part, shown: &AnswerHead) -> Result<Incoming, FormatError> {
        let parts = self.parts.borrow();
        self.embeddings.answer(parts.iter().chain([last]), shown)
    }
}
