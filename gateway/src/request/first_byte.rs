//! From the head of an answer to the first bytes of it that can go to the client.
//!
//! Until then a failure is one that another target may make up for: a whole answer is read and understood, and of
//! a stream something must have come that the client can be given. Afterwards the answer is the client's,
//! whatever comes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tollgate_backends::call::CallError;
use tollgate_crossing::turned::begins_as_events;

use super::failure::NoAnswer;
use super::model_request::ModelRequest;
use super::open_answer::OpenAnswer;
use super::stored_answers;
use super::stream::ClientStream;
use super::stream::relay::{Relay, RelayOptions};
use super::stream::stages::{StageOptions, Stages};
use super::whole::{self, Form, Whole};
use crate::gateway::Worker;
use crate::headers;
use crate::policies::content_events::CompletionRecorder;

/// Most blanks before a body says what it is, bytes.
const MOST_BLANK: usize = 4 << 10;

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
    mut open: OpenAnswer<'a>,
) -> Result<AnswerStart<'a>, NoAnswer> {
    if request.context.format.is_media() {
        return Ok(AnswerStart::Relayed(Box::new(open)));
    }
    let comes_as_stream = headers::has_type(open.response.headers(), open.crossing.wire.stream_type());
    if !request.events.stream {
        let form = if comes_as_stream { Form::Events } else { Form::Whole };
        return Ok(AnswerStart::Whole(Box::new(
            Whole::read(worker, request, open, Bytes::new(), form).await?,
        )));
    }
    let mut first = Bytes::new();
    if !comes_as_stream {
        first = match beginning(&mut open).await {
            Ok(first) => first,
            Err(error) => {
                let produced = whole::produced(open.several.as_deref());
                return Err(whole::broke_off(&mut open.attempt, open.target, error, produced, 0).into());
            }
        };
        if !open.crossing.streams_events() || begins_as_events(&first) != Some(true) {
            // The client reads events, so it is told of the answer in events.
            let form = Form::ToldAsEvents;
            return Ok(AnswerStart::Whole(Box::new(Whole::read(worker, request, open, first, form).await?)));
        }
    }
    let silence = request.context.snapshot.server.keep_alive_comments.0;
    let relay = relay(worker, request, open, first, silence);
    let drains = request.model.resiliency.drains.clone();
    let mut stream = Box::new(ClientStream::new(relay, drains, silence));
    if let Some(relay) = stream.stream_mut() {
        Box::pin(relay.begin()).await?;
    }
    Ok(AnswerStart::Stream(stream))
}

/// As much of a body as tells whether events begin there: some servers stream under another type, or none.
async fn beginning(open: &mut OpenAnswer<'_>) -> Result<Bytes, CallError> {
    let idle = open.target.backend.idle_timeout;
    let body = open.response.body_mut();
    let mut first = BytesMut::new();
    while begins_as_events(&first).is_none() && first.len() < MOST_BLANK {
        let frame = tokio::time::timeout(idle, body.frame()).await.map_err(|_| CallError::Stalled)?;
        match frame {
            None => break,
            Some(Err(error)) => return Err(CallError::Broken(error.into())),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    first.extend_from_slice(&data);
                }
            }
        }
    }
    Ok(first.freeze())
}

fn relay(
    worker: &Worker,
    request: &ModelRequest<'_>,
    open: OpenAnswer<'_>,
    first: Bytes,
    silence: Duration,
) -> Relay {
    let OpenAnswer { attempt, response, crossing, target, way_back, .. } = open;
    let snapshot = &request.context.snapshot;
    let include_usage = request.view.include_usage;
    let mut shown = request.shown(&way_back);
    if crossing.client.tells_prompt_first() && !crossing.is_native() {
        shown.prompt_tokens = attempt.prompt_tokens();
    }
    let stages = Stages::new(StageOptions {
        crossing: crossing.stream(shown, include_usage, &way_back),
        filters: Vec::new(),
        max_event: snapshot.server.max_event.as_usize(),
        hide_usage: !include_usage,
        ids: stored_answers::shown_ids(worker, request, crossing, target),
    });
    let options = RelayOptions {
        stages,
        first,
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
