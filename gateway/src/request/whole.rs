//! An answer that is not streamed: read whole, translated where the formats differ, settled before it goes out.

use bytes::Bytes;
use http::StatusCode;
use tollgate_admission::Held;
use tollgate_backends::AnswerBody;
use tollgate_backends::call::{self, CallError};
use tollgate_backends::{AttemptClass, FailureKind};
use tollgate_crossing::Crossing;
use tollgate_crossing::crossing::{Incoming, Reading};
use tollgate_crossing::embeddings::Part;
use tollgate_runtime::snapshot::{Model, Target};

use super::attempt::{Attempt, Ending};
use super::measure::Produced;
use super::order::Order;
use super::pipeline::{Answer, Facts};
use super::reply::Answering;
use super::several::Several;
use super::stored;
use super::verdict::{Unanswered, call_failure};
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::policies::content_events::CompletionRecorder;
use crate::policies::semantic_cache::StorePlan;

/// An answer that has come whole and is understood; its books are open.
pub(super) struct Whole<'a> {
    attempt: Attempt,
    status: StatusCode,
    incoming: Incoming,
    recorder: Option<CompletionRecorder>,
    crossing: Crossing,
    target: &'a Target,
    /// The memory of its body.
    _held: Held,
}

impl<'a> Whole<'a> {
    /// Reads the answer of an attempt.
    ///
    /// # Errors
    /// When it breaks off or cannot be understood.
    pub(super) async fn read(
        worker: &Worker,
        order: &Order<'_>,
        model: &Model,
        answering: Answering<'a>,
    ) -> Result<Self, Box<Unanswered>> {
        let Answering { mut attempt, response, crossing, target, legacy_functions, several } = answering;
        let status = response.status();
        let mut held = worker.gateway.memory.hold();
        let (head, body) = response.into_parts();
        let max_answer = order.context.snapshot.server.max_answer.as_usize();
        let before = several.as_ref().map_or(0, |several| several.bytes());
        let whole = collected(body, before, max_answer, target, &mut held);
        let body = match whole.await {
            Ok(body) => body,
            Err(error) => return Err(broke_off(&mut attempt, target, error, several.as_deref())),
        };
        attempt.mark_first_byte();
        let recorder = CompletionRecorder::new(&worker.gateway, &order.context.snapshot.content);
        let shown = || order.shown(&model.alias, legacy_functions);
        let content = recorder.is_some() || model.cache.is_some();
        let reading = if content { Reading::Content } else { Reading::Usage };
        let incoming = match &several {
            Some(several) => several.answer(&Part::new(&head.headers, body), &shown()),
            None => crossing.answer(body, shown, reading),
        };
        match incoming {
            Ok(incoming) => Ok(Self { attempt, status, incoming, recorder, crossing, target, _held: held }),
            Err(error) => {
                let message = format!("not {}: {error}", crossing.wire.answer_name());
                let failure = GatewayError::BrokenAnswer { backend: target.backend.name.clone(), message };
                Err(fail(&mut attempt, FailureKind::Protocol, failure, several.as_deref()))
            }
        }
    }

    /// Closes the books and makes the client's answer of it.
    pub(super) fn deliver(
        mut self,
        worker: &Worker,
        order: &Order<'_>,
        plan: Option<Box<StorePlan>>,
        facts: Facts,
    ) -> Answer {
        self.settle(worker, order, plan);
        let Self { status, incoming, crossing, target, .. } = self;
        let body = match stored::rewriter(worker, order, crossing, target) {
            Some(mut ids) => ids.rewrite(incoming.body),
            None => incoming.body,
        };
        Answer::Whole { status, body, facts }
    }

    fn settle(&mut self, worker: &Worker, order: &Order<'_>, plan: Option<Box<StorePlan>>) {
        let Self { attempt, incoming, recorder, .. } = self;
        let produced = Produced {
            usage: incoming.usage,
            complete: true,
            text: &incoming.text,
            text_beyond: 0,
            prompt_sent: true,
        };
        attempt.end(Ending::ok(self.status.as_u16(), produced));
        if let Some(recorder) = recorder.take() {
            recorder.record(attempt, &incoming.text, false, incoming.stop.map(|stop| stop.as_str().into()));
        }
        if let (Some(plan), true) = (plan, incoming.plain && order.view.choices <= 1) {
            tracing::debug!(request_id = %order.context.id, "answer goes to the cache");
            plan.store(worker, attempt, &incoming.body);
        }
    }
}

/// The rest of an answer of which `before` bytes are there, within the bounds on bytes, memory and time.
async fn collected(
    body: AnswerBody,
    before: usize,
    max_answer: usize,
    target: &Target,
    held: &mut Held,
) -> Result<Bytes, CallError> {
    if !held.grow(before as u64) {
        return Err(CallError::NoMemory);
    }
    let more = |bytes: usize| held.grow(bytes as u64);
    let backend = &target.backend;
    let body = call::collect_while(body, max_answer.saturating_sub(before), backend.idle_timeout, more);
    tokio::time::timeout(backend.total_timeout, body).await.unwrap_or(Err(CallError::Stalled))
}

fn broke_off(
    attempt: &mut Attempt,
    target: &Target,
    error: CallError,
    several: Option<&Several>,
) -> Box<Unanswered> {
    let lacks_memory = matches!(error, CallError::NoMemory);
    let (kind, failure) = call_failure(&target.backend, error);
    if !lacks_memory {
        return fail(attempt, kind, failure, several);
    }
    // The backend is not to blame.
    let ending = Ending::failed(kind, 0, failure.class().code, produced(several));
    Unanswered::close(attempt, Ending { class: AttemptClass::Neutral, ..ending }, failure)
}

/// Closes the books of an attempt whose answer is of no use.
fn fail(
    attempt: &mut Attempt,
    kind: FailureKind,
    failure: GatewayError,
    several: Option<&Several>,
) -> Box<Unanswered> {
    let ending = Ending::failed(kind, 0, failure.class().code, produced(several));
    Unanswered::close(attempt, ending, failure)
}

/// What an answer of no use has cost: the model may have read the prompt.
fn produced(several: Option<&Several>) -> Produced<'static> {
    let usage = several.and_then(Several::usage);
    Produced { usage, prompt_sent: true, ..Produced::default() }
}
