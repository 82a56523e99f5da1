//! An answer that is not streamed: read whole, translated where the formats differ, settled before it goes out.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tollgate_admission::Held;
use tollgate_backends::call::{self, CallError};
use tollgate_backends::{AnswerBody, FailureKind, retry_after};
use tollgate_base::time::now_ms;
use tollgate_crossing::crossing::Reading;
use tollgate_crossing::embeddings::Part;
use tollgate_crossing::turned::begins_as_events;
use tollgate_crossing::{Crossing, Incoming, WayBack};
use tollgate_formats::FormatError;
use tollgate_formats::meaning::BackendError;
use tollgate_runtime::snapshot::Target;

use super::answer::{Answer, Facts};
use super::failure::{NoAnswer, Unanswered, call_failure, ended_with};
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
    form: Form,
    recorder: Option<CompletionRecorder>,
    crossing: Crossing,
    target: &'a Target,
    /// The memory of its body.
    held: Held,
}

/// How an answer comes, and how it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One body, as it was asked for.
    Whole,
    /// Events, though nobody asked for them: they are gathered.
    Events,
    /// One body, though events were asked for: it is told as a stream.
    ToldAsEvents,
}

impl<'a> Whole<'a> {
    /// Reads the answer of an attempt, of which `first` was read already.
    ///
    /// # Errors
    /// When it breaks off, cannot be understood, or turns out to be an error.
    pub async fn read(
        worker: &Worker,
        request: &ModelRequest<'_>,
        open: OpenAnswer<'a>,
        first: Bytes,
        form: Form,
    ) -> Result<Self, NoAnswer> {
        let OpenAnswer { mut attempt, response, crossing, target, way_back, several } = open;
        let several = several.as_deref();
        let status = response.status();
        let mut held = worker.gateway.memory.hold(&attempt.event().payer.subscription);
        let (head, body) = response.into_parts();
        let before = Before { first, bytes: several.map_or(0, Several::bytes) };
        let whole = collected(body, before, request.max_answer(), target, &mut attempt, &mut held);
        let body = match whole.await {
            Ok(body) => body,
            Err((error, came)) => {
                let came = came.min(request.most_answer_bytes());
                return Err(broke_off(&mut attempt, target, error, produced(several), came).into());
            }
        };
        attempt.mark_first_byte();
        let recorder = CompletionRecorder::new(&worker.gateway, &request.context.snapshot.content);
        let content = recorder.is_some() || request.model.cache.is_some();
        let reading = if content { Reading::Content } else { Reading::Usage };
        let way = Way { crossing, several, way_back: &way_back, form, reading };
        match understood(request, &way, &head.headers, body) {
            Ok(incoming) => Ok(Self { attempt, status, incoming, form, recorder, crossing, target, held }),
            Err(FormatError::Provider(error)) => {
                let (client, request_id) = (crossing.client, request.context.id);
                let said = BackendError::new(status.as_u16(), *error);
                let refusal = |said: &BackendError| client.refusal(said, request_id);
                let wait = retry_after::from_headers(&head.headers, now_ms());
                Err(ended_with(&mut attempt, client, said, wait, produced(several), refusal))
            }
            Err(error) => {
                let message = format!("not {}: {error}", crossing.wire.answer_name());
                let failure = GatewayError::BrokenAnswer { backend: target.backend.name.clone(), message };
                Err(fail(&mut attempt, FailureKind::Protocol, failure, produced(several)).into())
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
        let Self { status, incoming, form, crossing, target, held, .. } = self;
        guard.answer = Some(held);
        let is_stream = form == Form::ToldAsEvents;
        let body = match stored_answers::shown_ids(worker, request, crossing, target) {
            Some(ids) if is_stream => ids.in_stream(incoming.body),
            Some(ids) => ids.in_answer(incoming.body),
            None => incoming.body,
        };
        Answer::Whole { status, body, facts: Facts { is_stream, ..facts }, guard }
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

/// How an answer is brought to its client.
struct Way<'a> {
    crossing: Crossing,
    several: Option<&'a Several>,
    way_back: &'a WayBack,
    form: Form,
    reading: Reading,
}

/// What an answer says, in the client's format and form.
fn understood(
    request: &ModelRequest<'_>,
    way: &Way<'_>,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Incoming, FormatError> {
    let crossing = way.crossing;
    let shown = || request.shown(way.way_back);
    if let Some(several) = way.several {
        return several.answer(&Part::new(headers, body), &shown());
    }
    // Events under a type that says JSON are events all the same.
    let is_events = || crossing.streams_events() && begins_as_events(&body) == Some(true);
    match way.form {
        Form::ToldAsEvents => crossing.as_stream(&body, shown(), request.view.include_usage, way.way_back),
        Form::Whole if !is_events() => crossing.answer(body, shown, way.reading, way.way_back),
        Form::Whole | Form::Events => crossing.gathered(
            body,
            shown(),
            request.context.snapshot.server.max_event.as_usize(),
            way.way_back,
        ),
    }
}

/// What has come of an answer before its body is read.
struct Before {
    /// Its own beginning.
    first: Bytes,
    /// Bytes of answers that go before it; they have memory of their own.
    bytes: usize,
}

/// The rest of an answer, within the bounds on bytes, memory and time; else why there is none, and how many bytes came.
async fn collected(
    body: AnswerBody,
    before: Before,
    max_answer: usize,
    target: &Target,
    attempt: &mut Attempt,
    held: &mut Held,
) -> Result<Bytes, (CallError, u64)> {
    let Before { first, bytes } = before;
    let before = first.len() + bytes;
    let mut came = before as u64;
    if !held.grow(first.len() as u64) {
        return Err((CallError::NoMemory, came));
    }
    let more = |bytes: usize| {
        attempt.mark_answers();
        came += bytes as u64;
        held.grow(bytes as u64)
    };
    let backend = &target.backend;
    let body = call::collect_while(body, max_answer.saturating_sub(before), backend.idle_timeout, more);
    let body = tokio::time::timeout(backend.total_timeout, body).await.unwrap_or(Err(CallError::Stalled));
    match body {
        Ok(body) if first.is_empty() => Ok(body),
        Ok(body) => Ok([first, body].concat().into()),
        // Of an answer that is announced as too large nothing is read.
        Err(error @ CallError::TooLarge(_)) => Err((error, came.max(max_answer as u64))),
        Err(error) => Err((error, came)),
    }
}

/// Closes the books of an answer that did not come to its end; `came` is how many bytes of it had come.
pub fn broke_off(
    attempt: &mut Attempt,
    target: &Target,
    error: CallError,
    produced: Produced<'_>,
    came: u64,
) -> Box<Unanswered> {
    let lacks_memory = matches!(error, CallError::NoMemory);
    // What is too large the model has produced, and its provider bills it.
    let text_beyond = if matches!(error, CallError::TooLarge(_)) { came } else { 0 };
    let produced = Produced { text_beyond, ..produced };
    let (kind, failure) = call_failure(&target.backend, error);
    if !lacks_memory {
        return fail(attempt, kind, failure, produced);
    }
    let ending = Ending::no_memory(kind, failure.class().code, produced);
    Unanswered::close(attempt, ending, failure)
}

/// Closes the books of an attempt whose answer is of no use.
fn fail(
    attempt: &mut Attempt,
    kind: FailureKind,
    failure: GatewayError,
    produced: Produced<'_>,
) -> Box<Unanswered> {
    let ending = Ending::failed(kind, 0, failure.class().code, produced);
    Unanswered::close(attempt, ending, failure)
}

/// What an answer of no use has cost: the model may have read the prompt.
pub fn produced(several: Option<&Several>) -> Produced<'static> {
    let usage = several.and_then(Several::usage);
    Produced { usage, prompt_sent: true, ..Produced::default() }
}
