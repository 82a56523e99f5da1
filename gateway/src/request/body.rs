//! Reads a request body: bounded in size and in silence.

use std::time::Duration;

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tollgate_admission::Held;
use tollgate_config::ServerConfig;

use crate::error::GatewayError;

/// Memory set aside before a byte has come, whatever the client announces.
const FIRST_ALLOCATION: usize = 64 << 10;

/// The whole body of a request; its memory is counted in `held`.
///
/// # Errors
/// [`GatewayError::BodyTooLarge`], before anything is read where the client announces its length;
/// [`GatewayError::BodyTimeout`]; [`GatewayError::Overloaded`] without memory; [`GatewayError::InvalidBody`] when the client breaks off.
pub async fn read(
    request: &HttpRequest,
    mut payload: web::Payload,
    config: &ServerConfig,
    held: &mut Held,
) -> Result<Bytes, GatewayError> {
    let limit = config.max_body.as_usize();
    let announced = announced_length(request);
    if announced.is_some_and(|length| length > config.max_body.0) {
        return Err(GatewayError::BodyTooLarge { limit: config.max_body.0 });
    }
    let mut whole: Option<BytesMut> = None;
    let mut first: Option<Bytes> = None;
    while let Some(chunk) = next_chunk(&mut payload, config.body_timeout.0).await? {
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

/// The next part of a body; none at its end.
///
/// # Errors
/// [`GatewayError::BodyTimeout`] after `silence`; [`GatewayError::InvalidBody`] when the client breaks off.
pub(super) async fn next_chunk(
    payload: &mut web::Payload,
    silence: Duration,
) -> Result<Option<Bytes>, GatewayError> {
    match tokio::time::timeout(silence, payload.next()).await {
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
pub fn announced_length(request: &HttpRequest) -> Option<u64> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
