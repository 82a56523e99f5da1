//! An answer that is not streamed: read whole, translated where the formats differ, settled before it goes out.

use bytes::Bytes;
use http::StatusCode;
use tollgate_admission::Held;
use tollgate_backends::AnswerBody;
use tollgate_backends::FailureKind;
use tollgate_backends::call::{self, CallError};
use tollgate_crossing::Crossing;
use tollgate_crossing::Incoming;
use tollgate_crossing::crossing::Reading;
use tollgate_crossing::embeddings::Part;
use tollgate_runtime::snapshot::Target;

use super::answer::{Answer, Facts};
use super::failure::{Unanswered, call_failure};
use super::guard::RequestGuard;
use super::model_request::ModelRequest;
use super::open_answer::OpenAnswer;
use super::several::Several;
use super::stored_answers;
use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use crate::books::measure::Produced;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::policies::content_events::CompletionRecorder;
use crate::policies::semantic_cache::StorePlan;

/// An answer that has come whole and is understood; its books are open.
pub struct Whole<'a> {
    attempt: Attempt,
    status: StatusCode,
    incoming: Incoming,
    recorder: Option<CompletionRecorder>,
    crossing: Crossing,
    target: &'a Target,
    /// The memory of its body.
    held: Held,
}

impl<'a> Whole<'a> {
    /// Reads the answer of an attempt.
    ///
    /// # Errors
    /// When it breaks off or cannot be understood.
    pub async fn read(
        worker: &Worker,
        request: &ModelRequest<'_>,
        open: OpenAnswer<'a>,
    ) -> Result<Self, Box<Unanswered>> {
        let OpenAnswer { mut attempt, response, crossing, target, way_back, several } = open;
        let status = response.status();
        let mut held = worker.gateway.memory.hold(&attempt.event().payer.subscription);
        let (head, body) = response.into_parts();
        let max_answer = request.context.snapshot.server.max_answer.as_usize();
        let before = several.as_ref().map_or(0, |several| several.bytes());
        let whole = collected(body, before, max_answer, target, &mut attempt, &mut held);
        let body = match whole.await {
            Ok(body) => body,
            Err(error) => return Err(broke_off(&mut attempt, target, error, several.as_deref())),
        };
        attempt.mark_first_byte();
        let recorder = CompletionRecorder::new(&worker.gateway, &request.context.snapshot.content);
        let shown = || request.shown(&way_back);
        let content = recorder.is_some() || request.model.cache.is_some();
        let reading = if content { Reading::Content } else { Reading::Usage };
        let incoming = match &several {
            Some(several) => several.answer(&Part::new(&head.headers, body), &shown()),
            None => crossing.answer(body, shown, reading, &way_back),
        };
        match incoming {
            Ok(incoming) => Ok(Self { attempt, status, incoming, recorder, crossing, target, held }),
            Err(error) => {
                let message = format!("not {}: {error}", crossing.wire.answer_name());
                let failure = GatewayError::BrokenAnswer { backend: target.backend.name.clone(), message };
                Err(fail(&mut attempt, FailureKind::Protocol, failure, several.as_deref()))
            }
        }
    }

    /// Closes the books and makes the client's answer of it.
    pub fn deliver(
        mut self,
        worker: &Worker,
        request: &ModelRequest<'_>,
        plan: Option<Box<StorePlan>>,
        facts: Facts,
        mut guard: RequestGuard,
    ) -> Answer {
        self.settle(worker, request, plan);
        let Self { status, incoming, crossing, target, held, .. } = self;
        guard.answer = Some(held);
        let body = match stored_answers::shown_ids(worker, request, crossing, target) {
            Some(ids) => ids.in_answer(incoming.body),
            None => incoming.body,
        };
        Answer::Whole { status, body, facts, guard }
    }

    fn settle(&mut self, worker: &Worker, request: &ModelRequest<'_>, plan: Option<Box<StorePlan>>) {
        let Self { attempt, incoming, recorder, .. } = self;
        let produced = Produced {
            usage: incoming.usage,
            complete: true,
            text: &incoming.text,
            text_beyond: 0,
            body: incoming.body.len() as u64,
            prompt_sent: true,
        };
        let ending = Ending::ok(self.status.as_u16(), produced);
        if let Some(id) = stored_answers::work(request.view.background, &incoming.body) {
            attempt.works_as(&id);
            attempt.end_working(ending);
            // There is nothing yet to publish or to keep.
            return;
        }
        attempt.end(ending);
        if let Some(recorder) = recorder.take() {
            recorder.record(
                attempt.event(),
                &incoming.text,
                false,
                incoming.stop.map(|stop| stop.as_str().into()),
            );
        }
        if let (Some(plan), true) = (plan, incoming.plain && request.view.choices <= 1) {
            tracing::debug!(request_id = %request.context.id, "answer goes to the cache");
            plan.store(&worker.gateway, attempt.event(), &incoming.body);
        }
    }
}

/// The rest of an answer of which `before` bytes are there, within the bounds on bytes, memory and time.
async fn collected(
    body: AnswerBody,
    before: usize,
    max_answer: usize,
    target: &Target,
    attempt: &mut Attempt,
    held: &mut Held,
) -> Result<Bytes, CallError> {
    if !held.grow(before as u64) {
        return Err(CallError::NoMemory);
    }
    let more = |bytes: usize| {
        attempt.mark_answers();
        held.grow(bytes as u64)
    };
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
    let ending = Ending::no_memory(kind, failure.class().code, produced(several));
    Unanswered::close(attempt, ending, failure)
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
