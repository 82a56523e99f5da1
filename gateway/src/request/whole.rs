//! An answer that is not streamed: read whole, translated where the formats differ, settled before it goes out.

use bytes::Bytes;
use http::StatusCode;

use super::attempt::{Attempt, Ending};
use super::failover::{self, Answering, Order};
use super::guard::RequestGuard;
use super::measure::Produced;
use super::pipeline::{Answer, Facts};
use super::stored;
use crate::backends::FailureKind;
use crate::backends::call::{self, CallError};
use crate::error::GatewayError;
use crate::formats::crossing::Incoming;
use crate::formats::embeddings::Part;
use crate::gateway::Worker;
use crate::policies::content_events::CompletionRecorder;
use crate::policies::semantic_cache::StorePlan;
use crate::snapshot::Model;

/// Reads the answer of an attempt, closes its books and makes the client's answer of it.
///
/// # Errors
/// When the answer breaks off or cannot be understood; the books are closed then too.
pub(super) async fn collect(
    worker: &Worker,
    order: &Order<'_>,
    model: &Model,
    answering: Answering<'_>,
    plan: Option<Box<StorePlan>>,
    facts: Facts,
    mut guard: RequestGuard,
) -> Result<Answer, GatewayError> {
    let Answering { mut attempt, response, crossing, target, legacy_functions, several } = answering;
    let server = &order.context.snapshot.server;
    let status = response.status();
    let backend = &target.backend;
    let limit = server.max_answer.as_usize();
    let before = several.as_ref().map_or(0, |several| several.bytes());
    if !guard.held.grow(before as u64) {
        return Err(broke_off(&mut attempt, target, CallError::NoMemory));
    }
    let more = |bytes: usize| guard.held.grow(bytes as u64);
    let (head, body) = response.into_parts();
    let body = call::collect_while(body, limit.saturating_sub(before), backend.idle_timeout, more);
    let body = match tokio::time::timeout(backend.total_timeout, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return Err(broke_off(&mut attempt, target, error)),
        Err(_) => return Err(broke_off(&mut attempt, target, CallError::Stalled)),
    };
    attempt.mark_first_byte();
    let recorder = CompletionRecorder::new(&worker.gateway, &order.context.snapshot.content);
    let shown = order.shown(&model.alias, legacy_functions);
    let incoming = match &several {
        Some(several) => several.answer(&Part::new(&head.headers, body), &shown),
        None => crossing.answer(body, &shown, recorder.is_some()),
    };
    let incoming = incoming.map_err(|error| {
        let failure = GatewayError::BrokenAnswer {
            backend: target.backend.name.clone(),
            message: format!("not {}: {error}", crossing.wire.answer_name()),
        };
        fail(&mut attempt, FailureKind::Protocol, failure)
    })?;
    settle(worker, order, &mut attempt, status, &incoming, recorder, plan);
    let body = match stored::rewriter(worker, order, crossing, target) {
        Some(mut ids) => ids.rewrite(incoming.body),
        None => incoming.body,
    };
    Ok(Answer::Whole { status, body, facts })
}

fn broke_off(attempt: &mut Attempt, target: &crate::snapshot::Target, error: CallError) -> GatewayError {
    let (kind, failure) = failover::call_failure(&target.backend, error);
    fail(attempt, kind, failure)
}

/// Closes the books of an attempt whose answer is of no use.
fn fail(attempt: &mut Attempt, kind: FailureKind, failure: GatewayError) -> GatewayError {
    let class = failure.class();
    let produced = Produced { prompt_sent: true, ..Produced::default() };
    attempt.end(Ending::failed(kind, class.status, class.code, produced));
    failure
}

/// Closes the books of a whole answer before it goes out.
fn settle(
    worker: &Worker,
    order: &Order<'_>,
    attempt: &mut Attempt,
    status: StatusCode,
    incoming: &Incoming,
    recorder: Option<CompletionRecorder>,
    plan: Option<Box<StorePlan>>,
) {
    let produced = Produced {
        usage: incoming.usage,
        complete: true,
        text: &incoming.text,
        text_beyond: 0,
        prompt_sent: true,
    };
    attempt.end(Ending::ok(status.as_u16(), produced));
    if let Some(recorder) = recorder {
        recorder.record(attempt, &incoming.text, false, incoming.stop.map(|stop| stop.as_str().into()));
    }
    if let (Some(plan), true) = (plan, incoming.plain && order.view.choices <= 1) {
        tracing::debug!(request_id = %order.context.id, "answer goes to the cache");
        plan.store(worker, attempt, &Bytes::clone(&incoming.body));
    }
}
