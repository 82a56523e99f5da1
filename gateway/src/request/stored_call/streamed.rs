//! An answer that is worked on in the background, or was, streamed to its owner again.
//!
//! Events pass with the ids that the owner knows. The call itself has no quantities; the usage that its last event tells
//! settles the row of the answer, once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tollgate_backends::AnswerBody;
use tollgate_crossing::WayBack;
use tollgate_formats::exchange::AnswerHead;
use tollgate_formats::openai_responses::work::Stage;

use super::Fetch;
use crate::background::{self, NATIVE};
use crate::books::attempt::Attempt;
use crate::error::GatewayError;
use crate::headers;
use crate::request::answer::{Answer, Facts};
use crate::request::call::Call;
use crate::request::failure::{NoAnswer, Refusal};
use crate::request::stream::ClientStream;
use crate::request::stream::relay::{OnEnd, Relay, RelayOptions};
use crate::request::stream::stages::{StageOptions, Stages};
use crate::stored::shown_ids::ShownIds;

/// Whether a backend streams what it was asked for.
pub(super) fn is_stream(response: &Response<AnswerBody>) -> bool {
    response.status().is_success() && headers::has_type(response.headers(), NATIVE.wire.stream_type())
}

/// Relays the stream once there is something of it.
///
/// # Errors
/// When it breaks before that.
pub(super) async fn relayed(
    fetch: &Fetch<'_>,
    call: Call<'_>,
    mut attempt: Attempt,
    response: Response<AnswerBody>,
) -> Result<Answer, GatewayError> {
    let Fetch { worker, context, backend, at, id } = *fetch;
    attempt.set_stream();
    let (server, owner) = (&context.snapshot.server, &call.caller.payer.subscription);
    let ids = ShownIds::of_stored(worker.gateway.response_ids.clone(), owner, at, id);
    let silence = server.keep_alive_comments.0;
    let options = RelayOptions {
        stages: Stages::new(StageOptions {
            crossing: NATIVE.stream(AnswerHead::default(), true, &WayBack::default()),
            filters: Vec::new(),
            max_event: server.max_event.as_usize(),
            hide_usage: false,
            ids: Some(ids),
        }),
        first: Bytes::new(),
        client: context.format,
        backend: Arc::clone(backend),
        patience: if silence.is_zero() { Duration::MAX } else { silence },
        completion: None,
        works_on: false,
        ended: settles(fetch),
    };
    let relay = Relay::new(response.into_body(), attempt, context.id, options);
    let mut stream = Box::new(ClientStream::new(relay, None, silence));
    if let Some(relay) = stream.stream_mut() {
        match Box::pin(relay.begin()).await {
            Ok(()) => relay.keep(call.guard),
            Err(NoAnswer::Failure(unanswered)) => return Err(unanswered.failure),
            Err(NoAnswer::Refusal(Refusal { status, body, retry_after })) => {
                let facts = Facts { retry_after, ..Facts::default() };
                return Ok(Answer::Whole { status, body, facts, guard: call.guard });
            }
        }
    }
    Ok(Answer::Stream { stream, facts: Facts::default() })
}

/// Settles the answer by its last event. One that broke off, or does not say what was used, is asked for later.
fn settles(fetch: &Fetch<'_>) -> Option<OnEnd> {
    let gateway = Arc::clone(&fetch.worker.gateway);
    let event_id = gateway.pending.find(&fetch.at.backend, &fetch.at.id)?.id();
    Some(Box::new(move |meter| {
        let produced = meter.produced();
        if produced.complete && produced.usage.is_some_and(|usage| usage.is_final()) {
            background::settle(&gateway, event_id, Stage::Completed, produced);
        }
    }))
}
