//! Whole answers of backends, within bounds of bytes, silence and memory.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt;

use super::call_error::CallError;
use super::connections::{AnswerBody, AnswerError};

/// Reads an answer to its end.
///
/// # Errors
/// [`CallError::TooLarge`] beyond `limit` bytes, [`CallError::Stalled`] after `idle` of silence,
/// [`CallError::Broken`] when the connection ends early, [`CallError::Undecodable`] when it is not what its coding
/// says.
pub async fn collect(body: AnswerBody, limit: usize, idle: Duration) -> Result<Bytes, CallError> {
    collect_while(body, limit, idle, |_| true).await
}

/// As [`collect`], as long as there is memory: `more` is asked for the bytes of each part.
///
/// # Errors
/// As [`collect`]; [`CallError::NoMemory`] when `more` says no.
pub async fn collect_while(
    mut body: AnswerBody,
    limit: usize,
    idle: Duration,
    mut more: impl FnMut(usize) -> bool,
) -> Result<Bytes, CallError> {
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(CallError::TooLarge(limit));
    }
    let mut first: Option<Bytes> = None;
    let mut joined = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout(idle, body.frame()).await {
            Err(_) => return Err(CallError::Stalled),
            Ok(None) => break,
            Ok(Some(Err(AnswerError::Broken(error)))) => return Err(CallError::Broken(error.into())),
            Ok(Some(Err(AnswerError::Undecodable(error)))) => return Err(CallError::Undecodable(error)),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        let so_far = first.as_ref().map_or(0, Bytes::len) + joined.len();
        if so_far + data.len() > limit {
            return Err(CallError::TooLarge(limit));
        }
        if !more(data.len()) {
            return Err(CallError::NoMemory);
        }
        match first.take() {
            // Most answers come in one piece and are not copied.
            None if joined.is_empty() => first = Some(data),
            None => joined.extend_from_slice(&data),
            Some(head) => {
                joined.reserve(head.len() + data.len());
                joined.extend_from_slice(&head);
                joined.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| joined.freeze()))
}
