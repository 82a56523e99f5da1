//! A call whose books stay beside it while it is under way, so that it can be given up with an honest ending,
//! or go on without its client.
//!
//! Aliases that hedge or drain use it; for all others a call is awaited where it is made.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use tollgate_backends::backend::Backend;
use tollgate_backends::call::{CallResult, collect};
use tollgate_backends::drains::Drains;
use tollgate_crossing::crossing::{Reading, StreamCrossing};
use tollgate_crossing::{Crossing, WayBack};
use tollgate_formats::exchange::AnswerHead;
use tollgate_schemas::ids::RequestId;

use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use crate::books::measure::Produced;
use crate::headers;
use crate::request::stored_answers;
use crate::request::stream::drained::{Drainable as _, read_on};
use crate::request::stream::relay::{Relay, RelayOptions};
use crate::request::stream::stages::{StageOptions, Stages};

/// A call that is under way. Dropped, it is broken off and its books are closed, or it goes on as a task
/// where the alias drains.
pub struct OpenCall {
    under_way: Option<(Attempt, LocalBoxFuture<'static, CallResult>)>,
    unseen: Option<(Drains, Unseen)>,
}

/// What must be known to read an answer that nobody waits for.
#[derive(Debug, Clone)]
pub struct Unseen {
    pub backend: Arc<Backend>,
    /// What client and backend speak.
    pub crossing: Crossing,
    /// For which request.
    pub request_id: RequestId,
    /// Largest answer, bytes.
    pub max_answer: usize,
    /// Largest single event of a stream, bytes.
    pub max_event: usize,
    /// Whether the model goes on after its answer.
    pub works_on: bool,
}

impl OpenCall {
    /// A call with its open books; `unseen` says how it goes on without its client, if it does.
    #[must_use]
    pub fn new(
        attempt: Attempt,
        call: LocalBoxFuture<'static, CallResult>,
        unseen: Option<(Drains, Unseen)>,
    ) -> Self {
        Self { under_way: Some((attempt, call)), unseen }
    }

    /// Breaks the call off and hands over its attempt, which the caller must settle. `None` if it has ended.
    #[must_use]
    pub fn give_up(mut self) -> Option<Attempt> {
        self.under_way.take().map(|(attempt, _)| attempt)
    }
}

impl Future for OpenCall {
    type Output = (Attempt, CallResult);

    /// A call that is polled after its end stays pending.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((_, call)) = &mut self.under_way else { return Poll::Pending };
        let answered = std::task::ready!(call.as_mut().poll(cx));
        match self.under_way.take() {
            Some((attempt, _)) => Poll::Ready((attempt, answered)),
            None => Poll::Pending,
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let (Some((attempt, call)), Some((drains, unseen))) = (self.under_way.take(), self.unseen.take())
        else {
            return;
        };
        if !std::thread::panicking() {
            let max_bytes = drains.rules().max_bytes.0;
            drains.spawn(async move {
                // The books stay with the call until it answers: when time is up, they are dropped together.
                let (attempt, answered) = Self::new(attempt, call, None).await;
                unseen.read(attempt, answered, max_bytes).await;
            });
        }
    }
}

impl Unseen {
    /// Reads an answer for its usage alone.
    async fn read(self, mut attempt: Attempt, answered: CallResult, max_bytes: u64) {
        let response = match answered {
            Ok(response) if response.status().is_success() => response,
            // Nothing was answered, and nothing is billed.
            _ => return attempt.end(Ending::client_abort(0, Produced::default())),
        };
        if headers::has_type(response.headers(), self.crossing.wire.stream_type()) {
            let crossing = StreamCrossing { decoder: self.crossing.wire.decoder(), encoder: None };
            let options = RelayOptions {
                stages: Stages::new(StageOptions {
                    crossing,
                    filters: Vec::new(),
                    max_event: self.max_event,
                    hide_usage: false,
                    ids: None,
                }),
                first: Bytes::new(),
                client: self.crossing.client,
                backend: self.backend,
                patience: Duration::MAX,
                completion: None,
                works_on: self.works_on,
                ended: None,
            };
            let mut relay = Relay::new(response.into_body(), attempt, self.request_id, options);
            relay.client_gone();
            return read_on(relay, max_bytes).await;
        }
        let limit = self.max_answer.min(usize::try_from(max_bytes).unwrap_or(usize::MAX));
        if let Ok(body) = collect(response.into_body(), limit, self.backend.idle_timeout).await {
            attempt.mark_first_byte();
            end_whole(&mut attempt, self.crossing, body, self.works_on);
        }
    }
}

/// Closes the books of a whole answer that nobody waited for.
fn end_whole(attempt: &mut Attempt, crossing: Crossing, body: Bytes, works_on: bool) {
    let Ok(incoming) = crossing.answer(body, AnswerHead::default, Reading::Usage, &WayBack::default()) else {
        return;
    };
    let produced = Produced {
        usage: incoming.usage,
        complete: true,
        text: &incoming.text,
        text_beyond: 0,
        body: incoming.body.len() as u64,
        prompt_sent: true,
    };
    let ending = Ending::client_abort(0, produced);
    match stored_answers::work(works_on, &incoming.body) {
        Some(id) => {
            attempt.works_as(&id);
            attempt.end_working(ending);
        }
        None => attempt.end(ending),
    }
}
