//! The tokens of a prompt, counted by the provider that would answer it: asked of the target that a request would go to
//! first, through the same circuit, bounds and books as any other call. What comes of it says nothing about the model's
//! health but where nobody can be reached: providers limit and permit such calls on their own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Uri};
use smallvec::SmallVec;
use tollgate_admission::{Admission, Permit};
use tollgate_backends::call::{CallError, CallResult, collect};
use tollgate_backends::routing::{self, Pick};
use tollgate_backends::{AttemptClass, FailureKind, InFlight};
use tollgate_base::headers::Headers;
use tollgate_crossing::crossing::Policy;
use tollgate_crossing::{Crossing, Wire};
use tollgate_formats::view::View;
use tollgate_formats::{OnUnmappable, TargetModel};
use tollgate_limits::Reservation;
use tollgate_runtime::snapshot::{Model, Target};
use tollgate_schemas::usage::Operation;

use super::context::RequestContext;
use super::failure::call_failure;
use crate::books::attempt::Attempt;
use crate::books::ending::Ending;
use crate::books::event::{self, EventContext};
use crate::books::measure::{Basis, Produced};
use crate::gateway::Worker;
use crate::headers;
use crate::policies::shared_account;

/// How long a provider may take; the gateway's own count is there at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest answer, bytes: it is one number.
const MAX_ANSWER: usize = 64 << 10;

/// A prompt that is to be counted.
pub struct Prompt<'a> {
    /// The model asked for.
    pub model: &'a Model,
    /// The request whose prompt it is, in the client's format, and as much as every request needs of it.
    pub body: &'a Bytes,
    pub view: &'a View<'a>,
    /// Headers of the client.
    pub headers: &'a dyn Headers,
}

/// A count that is about to be asked for.
struct Planned<'a> {
    target: &'a Target,
    wire: Wire,
    uri: &'a Uri,
    body: Bytes,
    headers: HeaderMap,
}

/// Asks the target that would answer; `None` if it does not count, or not now.
pub async fn count(
    worker: &Worker,
    context: &RequestContext,
    events: EventContext<'_>,
    prompt: &Prompt<'_>,
) -> Option<u64> {
    let (target, in_flight, permit) = first_target(prompt.model)?;
    let planned = planned(context, events, prompt, target)?;
    // Like a call about a stored answer: it uses no model.
    let events = EventContext { operation: Operation::Passthrough, ..events };
    let callee = event::Callee { backend: &target.backend, model: &target.model, variant: None };
    let event = event::intent(events, callee, 1, None);
    let (gateway, trace) = (Arc::clone(&worker.gateway), context.trace.header());
    let reserved = Reservation::default();
    // Where the ledger takes nothing, nobody is called.
    let mut attempt = Attempt::open(gateway, event, Basis::Free, in_flight, reserved, Some(&trace)).ok()?;
    attempt.keep(permit);
    attempt.set_gateway_time(context.received.elapsed());
    let asked = asked(worker, &planned, &attempt);
    let answered = tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(CallError::FirstByteTimeout));
    let (ending, tokens) = judged(&planned, answered);
    attempt.end(ending);
    tokens
}

/// The first target that a request would be sent to now.
fn first_target(model: &Model) -> Option<(&Target, InFlight, Option<Permit>)> {
    let pick = Pick { random: rand::random(), session: None, tokens: 0 };
    routing::candidates(&model.route, pick).into_iter().find_map(|place| {
        let target = model.targets.get(place)?;
        let in_flight = target.deployment.admit().ok()?;
        let permit = match target.backend.admission.as_ref() {
            None => None,
            Some(admission) => Some(Admission::try_enter(admission)?),
        };
        Some((target, in_flight, permit))
    })
}

/// The call of a target that counts the tokens of this model.
fn planned<'a>(
    context: &RequestContext,
    events: EventContext<'_>,
    prompt: &Prompt<'_>,
    target: &'a Target,
) -> Option<Planned<'a>> {
    let (client, backend) = (context.format, &target.backend);
    let uri = target.endpoints.count()?;
    let wire = Wire::of(backend.format, client, target.conversations, prompt.view, &target.traits)?;
    let crossing = Crossing { client, wire };
    let betas = headers::anthropic_betas(prompt.headers);
    // What has no place there is not counted there.
    let policy = Policy { on_unmappable: OnUnmappable::Drop, marks_prompt: false };
    let named = TargetModel { name: &target.model, origin: &target.origin, traits: &target.traits };
    let outgoing = crossing.request(prompt.view, prompt.body, named, policy, SmallVec::new(), &betas).ok()?;
    shared_account::check(wire, backend.tenant.as_deref(), &events.payer.tenant, &outgoing.body).ok()?;
    let body = wire.count_request(&outgoing.body, &target.model)?.into();
    let headers = headers::for_backend(prompt.headers, &context.trace, backend.format, crossing.is_native());
    Some(Planned { target, wire, uri, body, headers })
}

async fn asked(worker: &Worker, planned: &Planned<'_>, attempt: &Attempt) -> Result<(u16, Bytes), CallError> {
    let Planned { target, uri, body, headers, .. } = planned;
    let (backend, sent) = (&target.backend, attempt.sent());
    let called: CallResult = worker.caller.post(backend, uri, headers.clone(), body.clone(), sent).await;
    let (head, body) = called?.into_parts();
    Ok((head.status.as_u16(), collect(body, MAX_ANSWER, PATIENCE).await?))
}

/// What is written down of the call, and what it counted.
fn judged(
    planned: &Planned<'_>,
    answered: Result<(u16, Bytes), CallError>,
) -> (Ending<'static>, Option<u64>) {
    let (nothing, neutral) = (Produced::default(), AttemptClass::Neutral);
    match answered {
        Ok((status @ 200..300, body)) => match planned.wire.decode_count(&body) {
            Some(tokens) => (Ending { class: neutral, ..Ending::ok(status, nothing) }, Some(tokens)),
            None => {
                let broken = Ending::failed(FailureKind::Protocol, 0, "backend_broken_answer", nothing);
                (Ending { class: neutral, ..broken }, None)
            }
        },
        Ok((status, _)) => (Ending::backend_refused(status, neutral, nothing), None),
        Err(error) => {
            let (kind, failure) = call_failure(&planned.target.backend, error);
            let class = if kind == FailureKind::Connect { AttemptClass::Failure(kind) } else { neutral };
            (Ending { class, ..Ending::failed(kind, 0, failure.class().code, nothing) }, None)
        }
    }
}
