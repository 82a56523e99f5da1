//! From the head of an answer to the first bytes of it that can go to the client.
//!
//! Until then a failure is one that another target may make up for: a whole answer is read and understood, and of
//! a stream something must have come that the client can be given. Afterwards the answer is the client's,
//! whatever comes of it.

use std::sync::Arc;
use std::time::Duration;

use super::failure::Unanswered;
use super::model_request::ModelRequest;
use super::open_answer::OpenAnswer;
use super::stored_answers;
use super::stream::ClientStream;
use super::stream::relay::{Relay, RelayOptions};
use super::stream::stages::{StageOptions, Stages};
use super::whole::Whole;
use crate::gateway::Worker;
use crate::headers;
use crate::policies::content_events::CompletionRecorder;

/// An answer of which there is something for the client.
pub enum AnswerStart<'a> {
    /// All of it.
    Whole(Box<Whole<'a>>),
    /// The beginning of a stream.
    Stream(Box<ClientStream>),
    /// The head of what is relayed without being understood.
    Relayed(Box<OpenAnswer<'a>>),
}

/// Waits until there is something for the client.
///
/// # Errors
/// When the answer breaks off or cannot be understood before that.
pub async fn begin<'a>(
    worker: &Worker,
    request: &ModelRequest<'_>,
    open: OpenAnswer<'a>,
) -> Result<AnswerStart<'a>, Box<Unanswered>> {
    if request.context.format.is_media() {
        return Ok(AnswerStart::Relayed(Box::new(open)));
    }
    let stream_type = open.crossing.wire.stream_type();
    if !(request.events.stream && headers::has_type(open.response.headers(), stream_type)) {
        return Ok(AnswerStart::Whole(Box::new(Whole::read(worker, request, open).await?)));
    }
    let silence = request.context.snapshot.server.keep_alive_comments.0;
    let relay = relay(worker, request, open, silence);
    let drains = request.model.resiliency.drains.clone();
    let mut stream = Box::new(ClientStream::new(relay, drains, silence));
    if let Some(relay) = stream.stream_mut() {
        Box::pin(relay.begin()).await?;
    }
    Ok(AnswerStart::Stream(stream))
}

fn relay(worker: &Worker, request: &ModelRequest<'_>, open: OpenAnswer<'_>, silence: Duration) -> Relay {
    let OpenAnswer { attempt, response, crossing, target, way_back, .. } = open;
    let snapshot = &request.context.snapshot;
    let include_usage = request.view.include_usage;
    let stages = Stages::new(StageOptions {
        crossing: crossing.stream(request.shown(&way_back), include_usage, &way_back),
        filters: Vec::new(),
        max_event: snapshot.server.max_event.as_usize(),
        hide_usage: !include_usage,
        ids: stored_answers::shown_ids(worker, request, crossing, target),
    });
    let options = RelayOptions {
        stages,
        client: crossing.client,
        backend: Arc::clone(&target.backend),
        // A client that is kept alive by comments gets the first one in time, whatever comes of the stream.
        patience: if silence.is_zero() { Duration::MAX } else { silence },
        completion: CompletionRecorder::new(&worker.gateway, &snapshot.content),
        works_on: request.view.background,
        ended: None,
    };
    Relay::new(response.into_body(), attempt, request.context.id, options)
}
