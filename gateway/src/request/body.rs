//! The body of a request: bounded in size and in silence, whatever server it comes from.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt;
use tollgate_admission::Held;
use tollgate_base::headers::Headers;
use tollgate_config::ServerConfig;

use crate::error::GatewayError;

/// Memory set aside before a byte has come, whatever the client announces.
const FIRST_ALLOCATION: usize = 64 << 10;

/// A body that is still coming; an error is why it broke off.
pub type IncomingBody = Pin<Box<dyn Stream<Item = Result<Bytes, String>>>>;

/// The body of a call.
pub enum RequestBody {
    /// All of it; empty where there is none or it is not looked at.
    Whole(Bytes),
    /// Still coming.
    Incoming(IncomingBody),
}

impl RequestBody {
    /// The body, where it was read whole; else nothing.
    #[must_use]
    pub fn whole(&self) -> Bytes {
        match self {
            Self::Whole(body) => body.clone(),
            Self::Incoming(_) => Bytes::new(),
        }
    }
}

/// The whole body of a request; its memory is counted in `held`.
///
/// # Errors
/// [`GatewayError::BodyTooLarge`], before anything is read where the client announces its length;
/// [`GatewayError::BodyTimeout`]; [`GatewayError::Overloaded`] without memory; [`GatewayError::InvalidBody`] when the
/// client breaks off.
pub async fn read(
    headers: &dyn Headers,
    mut incoming: IncomingBody,
    config: &ServerConfig,
    held: &mut Held,
) -> Result<Bytes, GatewayError> {
    let limit = config.max_body.as_usize();
    let announced = announced_length(headers);
    if announced.is_some_and(|length| length > config.max_body.0) {
        return Err(GatewayError::BodyTooLarge { limit: config.max_body.0 });
    }
    let mut whole: Option<BytesMut> = None;
    let mut first: Option<Bytes> = None;
    while let Some(chunk) = next_chunk(&mut incoming, config.body_timeout.0).await? {
        let so_far = whole.as_ref().map_or_else(|| first.as_ref().map_or(0, Bytes::len), BytesMut::len);
        if so_far + chunk.len() > limit {
            return Err(GatewayError::BodyTooLarge { limit: config.max_body.0 });
        }
        if !held.grow(chunk.len() as u64) {
            return Err(GatewayError::Overloaded { retry_after: Duration::from_secs(1) });
        }
        match (&mut whole, first.take()) {
            (Some(buffer), _) => buffer.extend_from_slice(&chunk),
            // A small body comes in one piece and is not copied.
            (None, None) => first = Some(chunk),
            (None, Some(head)) => {
                let expected = announced.map_or(FIRST_ALLOCATION, |length| length as usize);
                let mut buffer =
                    BytesMut::with_capacity(expected.min(limit).min(FIRST_ALLOCATION).max(head.len()));
                buffer.extend_from_slice(&head);
                buffer.extend_from_slice(&chunk);
                whole = Some(buffer);
            }
        }
    }
    Ok(whole.map(BytesMut::freeze).or(first).unwrap_or_default())
}

/// The next part of a body; `None` at its end.
///
/// # Errors
/// [`GatewayError::BodyTimeout`] after `silence`; [`GatewayError::InvalidBody`] when the client breaks off.
pub async fn next_chunk(
    incoming: &mut IncomingBody,
    silence: Duration,
) -> Result<Option<Bytes>, GatewayError> {
    match tokio::time::timeout(silence, incoming.next()).await {
        Err(_) => Err(GatewayError::BodyTimeout { idle: silence }),
        Ok(None) => Ok(None),
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(error))) => {
            Err(GatewayError::invalid_body(format!("the request body broke off: {error}"), None))
        }
    }
}

/// The length that a client announces.
#[must_use]
pub fn announced_length(headers: &dyn Headers) -> Option<u64> {
    headers.text("content-length")?.parse().ok()
}
