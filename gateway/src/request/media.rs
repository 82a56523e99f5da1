//! Requests about media: routed and metered like others, but relayed without being understood. The model's name is
//! replaced where it stands; all other bytes are the client's, and all bytes of the answer the backend's.

use std::borrow::Cow;
use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use tollgate_crossing::known::Reading;
use tollgate_expressions::RequestFacts;
use tollgate_formats::FormatError;
use tollgate_formats::openai_media::{multipart, view};
use tollgate_formats::view::View;

use super::context::RequestContext;
use super::event::Subject;
use super::failover;
use super::guard::RequestGuard;
use super::observer::Observer;
use super::order::Order;
use super::passed::{Passed, Relayed};
use super::pipeline::{self, Answer, Asked, Facts};
use super::reply::Answering;
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::headers;
use crate::policies::{content_events, token_limit};

/// Bytes of JSON per token, for what is reserved.
const BYTES_PER_TOKEN: u64 = 4;

/// Serves one request about media.
///
/// # Errors
/// Whatever the client must be told; it is in the ledger already.
pub async fn serve(
    worker: &Worker,
    context: &RequestContext,
    asked: Asked<'_>,
) -> Result<Answer, GatewayError> {
    let body = asked.body.clone();
    let kind = asked.headers.text("content-type").unwrap_or("application/json");
    let unread = Subject {
        request_id: context.id,
        payer: &asked.caller.payer,
        alias: "",
        format: context.format,
        stream: false,
    };
    let (alias, view) = read(&body, kind).map_err(|error| pipeline::refused(worker, unread, error.into()))?;
    let subject = Subject { alias: &alias, stream: view.stream, ..unread };
    answer_to(worker, context, asked, subject, view, kind)
        .await
        .map_err(|error| pipeline::refused(worker, subject, error))
}

/// The alias that is asked for, and where it stands.
fn read<'a>(body: &'a Bytes, kind: &str) -> Result<(Cow<'a, str>, View<'a>), FormatError> {
    let seen = view::view(body, kind)?;
    let missing = || FormatError::invalid("`model` is missing", "model");
    Ok((seen.model.ok_or_else(missing)?, seen.view))
}

async fn answer_to(
    worker: &Worker,
    context: &RequestContext,
    asked: Asked<'_>,
    subject: Subject<'_>,
    view: View<'_>,
    kind: &str,
) -> Result<Answer, GatewayError> {
    let Asked { caller, headers: client_headers, ref body, ref place, guard, .. } = asked;
    let snapshot = &context.snapshot;
    let model = snapshot.model_for(caller, subject.alias)?;
    let is_form = multipart::is_form(kind);
    if !is_form {
        content_events::record_prompt(
            &worker.gateway,
            &snapshot.content,
            context.id,
            subject.payer,
            subject.alias,
            context.format.as_str(),
            body,
        );
    }
    // What files come to in tokens only their models know.
    let tokens = if is_form { 0 } else { body.len() as u64 / BYTES_PER_TOKEN };
    let reserved = token_limit::reserve_estimate(&worker.gateway.limiters, caller, tokens).await?;
    let mut headers = headers::for_backend(client_headers, &context.trace);
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert(CONTENT_TYPE, kind);
    }
    let facts = RequestFacts {
        headers: client_headers,
        path: context.uri.path(),
        body,
        subscription: &caller.payer.subscription,
        tenant: &caller.payer.tenant,
        team: &caller.payer.team,
    };
    let order = Order { context, subject, body, view: &view, headers, facts, continues: None, place };
    let reply = failover::first_answer(worker, &order, &model, reserved).await?;
    Ok(pipeline::delivered(worker, &order, reply, None, Facts::default(), guard))
}

/// An answer about media on its way to the client.
pub(super) fn passing(
    worker: &Worker,
    order: &Order<'_>,
    answering: Answering<'_>,
    facts: Facts,
    guard: RequestGuard,
) -> Answer {
    let Answering { attempt, response, crossing, target, .. } = answering;
    attempt.note_rates(response.headers());
    let held = worker.gateway.memory.hold();
    let reading = Some(Reading::Wire(crossing.wire));
    let observer = Observer::new(reading, response.headers(), &order.context.snapshot.server, held);
    let (head, body) = response.into_parts();
    let cut_at = Instant::now() + target.backend.total_timeout;
    let relayed = Relayed { attempt, observer, traffic: None, upload: None, guard, cut_at };
    let body = Box::new(Passed::new(&head, body, &target.backend, relayed));
    Answer::Passing { headers: shown(&head.headers), status: head.status, body, facts }
}

/// Headers of an answer that its client needs to understand it.
fn shown(headers: &HeaderMap) -> HeaderMap {
    let names = ["content-type", "content-disposition"];
    let known = headers.iter().filter(|(name, _)| names.contains(&name.as_str()));
    known.map(|(name, value)| (name.clone(), value.clone())).collect()
}
