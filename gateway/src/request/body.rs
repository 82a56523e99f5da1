//! The body of a request: bounded in size and in time, whatever server it comes from.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::Semaphore;
use tollgate_admission::Held;
use tollgate_base::headers::Headers;
use tollgate_codings::Decoding;
use tollgate_config::ServerConfig;

pub use super::incoming::{IncomingBody, announced_length, next_chunk, pace};
use crate::error::GatewayError;

/// Memory set aside before a byte has come, whatever the client announces.
const FIRST_ALLOCATION: usize = 64 << 10;

/// Bytes of a compressed body that a decoder is given at a time.
const CODED_SLICE: usize = 64 << 10;
/// Pieces that a body is decoded into before other tasks have their turn: about a millisecond.
const PIECES_AT_A_TIME: u32 = 16;

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
    let mut pace = pace(config);
    while let Some(chunk) = next_chunk(&mut incoming, &mut pace).await? {
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

/// The whole body of a request as it was before its client compressed it. The memory of what it becomes is counted in
/// `held`. `turns` belong to one worker: decoders need memory of their own, which nobody counts.
///
/// # Errors
/// [`GatewayError::UnsupportedEncoding`] before anything is read, [`GatewayError::InvalidEncoding`], and what [`read`]
/// says, also of what it becomes.
pub async fn read_decoded(
    headers: &dyn Headers,
    incoming: IncomingBody,
    config: &ServerConfig,
    held: &mut Held,
    turns: &Semaphore,
) -> Result<Bytes, GatewayError> {
    let codings = tollgate_codings::named(headers)?;
    let body = read(headers, incoming, config, held).await?;
    if codings.is_empty() {
        return Ok(body);
    }
    let (coded_bytes, decoding) = (body.len() as u64, Decoding::new(&codings, config.max_body.0));
    // Never closed, so that the turn comes.
    let _turn = turns.acquire().await.ok();
    let decoded = Box::pin(decoded(body, decoding, held)).await;
    held.shrink(coded_bytes);
    decoded
}

/// What a body becomes. Other tasks of the worker have their turns meanwhile.
async fn decoded(body: Bytes, mut decoding: Decoding, held: &mut Held) -> Result<Bytes, GatewayError> {
    let mut whole = BytesMut::new();
    let mut pieces = 0_u32;
    for at in (0..body.len()).step_by(CODED_SLICE) {
        decoding.push(body.slice(at..body.len().min(at + CODED_SLICE)));
        while let Some(piece) = decoding.piece()? {
            if !held.grow(piece.len() as u64) {
                return Err(GatewayError::Overloaded { retry_after: Duration::from_secs(1) });
            }
            whole.extend_from_slice(&piece);
            pieces = pieces.wrapping_add(1);
            if pieces.is_multiple_of(PIECES_AT_A_TIME) {
                tokio::task::yield_now().await;
            }
        }
    }
    decoding.end()?;
    Ok(whole.freeze())
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
