//! From the head of an answer to the first bytes of it that can go to the client.
//!
//! Until then a failure is one that another target may make up for: a whole answer is read and understood, and of
//! a stream something must have come that the client can be given. Afterwards the answer is the client's,
//! whatever comes of it.

use std::sync::Arc;
use std::time::Duration;

use tollgate_crossing::Wire;
use tollgate_runtime::snapshot::Model;

use super::drain::Drained;
use super::guard::RequestGuard;
use super::order::Order;
use super::relay::{Relay, RelayOptions};
use super::reply::Answering;
use super::stored;
use super::stream_reader::StreamReader;
use super::verdict::Unanswered;
use super::whole::Whole;
use crate::gateway::Worker;
use crate::headers;
use crate::policies::content_events::CompletionRecorder;
use crate::request::keep_alive::KeepAlive;

/// A stream on its way to the client, with comments in its silences, and read to its end without the client
/// where the alias asks for it.
pub type Streamed = KeepAlive<Drained<Relay>>;

/// An answer of which there is something for the client.
pub(super) enum Begun<'a> {
    /// All of it.
    Whole(Box<Whole<'a>>),
    /// The beginning of a stream.
    Stream(Box<Streamed>),
    /// The head of what is relayed without being understood.
    Passing(Box<Answering<'a>>),
}

/// Waits until there is something for the client.
///
/// # Errors
/// When the answer breaks off or cannot be understood before that.
pub(super) async fn begin<'a>(
    worker: &Worker,
    order: &Order<'_>,
    model: &Model,
    answering: Answering<'a>,
) -> Result<Begun<'a>, Box<Unanswered>> {
    if matches!(answering.crossing.wire, Wire::Media(_)) {
        return Ok(Begun::Passing(Box::new(answering)));
    }
    let stream_type = answering.crossing.wire.stream_type();
    if !(order.subject.stream && headers::has_type(answering.response.headers(), stream_type)) {
        let whole = Whole::read(worker, order, model, answering).await?;
        return Ok(Begun::Whole(Box::new(whole)));
    }
    let silence = order.context.snapshot.server.keep_alive_comments.0;
    let relay = relay(worker, order, model, answering, silence);
    let drained = Drained::new(relay, model.resiliency.drains.clone());
    let mut streamed = Box::new(KeepAlive::new(drained, silence));
    if let Some(relay) = streamed.events_mut().stream_mut() {
        Box::pin(relay.begin()).await?;
    }
    Ok(Begun::Stream(streamed))
}

/// Lets a stream hold what its request holds until it has ended.
pub(super) fn keep(streamed: &mut Streamed, guard: RequestGuard) {
    if let Some(relay) = streamed.events_mut().stream_mut() {
        relay.keep(guard);
    }
}

fn relay(
    worker: &Worker,
    order: &Order<'_>,
    model: &Model,
    answering: Answering<'_>,
    silence: Duration,
) -> Relay {
    let Answering { attempt, response, crossing, target, legacy_functions, .. } = answering;
    let snapshot = &order.context.snapshot;
    let include_usage = order.view.include_usage;
    let ids = stored::rewriter(worker, order, crossing, target);
    let max_event = snapshot.server.max_event.as_usize();
    let way = crossing.stream(order.shown(&model.alias, legacy_functions), include_usage);
    let options = RelayOptions {
        reader: StreamReader::new(way, max_event, !include_usage, ids),
        client: crossing.client,
        backend: Arc::clone(&target.backend),
        // A client that is kept alive by comments gets the first one in time, whatever comes of the stream.
        patience: if silence.is_zero() { Duration::MAX } else { silence },
        completion: CompletionRecorder::new(&worker.gateway, &snapshot.content),
    };
    Relay::new(response.into_body(), attempt, order.context.id, options)
}
