//! The body of a request: bounded in size and in time, whatever server it comes from.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt;
use tokio::time::Instant;
use tollgate_admission::{Held, Pace, PaceRules};
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

/// How slow the client of a body may be.
#[must_use]
pub fn pace(config: &ServerConfig) -> Pace {
    Pace::new(PaceRules { credit: config.body_timeout.0, bytes_per_second: config.min_rate.0 })
}

/// The next part of a body; `None` at its end.
///
/// # Errors
/// [`GatewayError::BodyTimeout`] when the client is too slow; [`GatewayError::InvalidBody`] when it breaks off.
pub async fn next_chunk(incoming: &mut IncomingBody, pace: &mut Pace) -> Result<Option<Bytes>, GatewayError> {
    let asked = Instant::now();
    match tokio::time::timeout(pace.left(), incoming.next()).await {
        Err(_) => Err(GatewayError::BodyTimeout { idle: pace.credit() }),
        Ok(None) => Ok(None),
        Ok(Some(Ok(chunk))) => {
            pace.moved(asked.elapsed(), chunk.len() as u64);
            Ok(Some(chunk))
        }
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

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http::HeaderMap;
    use tollgate_admission::MemoryBudget;

    use super::*;

    /// What becomes of a body whose client sends so many bytes, so many times, each after so many seconds; and when.
    async fn sent(bytes: usize, times: usize, every_s: u64) -> (Result<usize, GatewayError>, Duration) {
        let parts = stream::iter(0..times).then(move |_| async move {
            tokio::time::sleep(Duration::from_secs(every_s)).await;
            Ok(Bytes::from(vec![b'x'; bytes]))
        });
        let mut held = MemoryBudget::new(1 << 30).hold(&"s".into());
        let start = Instant::now();
        let none = HeaderMap::new();
        let read = read(&none, Box::pin(parts), &ServerConfig::default(), &mut held).await;
        (read.map(|body| body.len()), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_refused_after_the_body_timeout_and_not_after_hours() {
        let (read, after) = sent(1, 100, 29).await;
        assert!(matches!(read, Err(GatewayError::BodyTimeout { .. })));
        assert_eq!(after.as_secs(), 30);
        let (read, after) = sent(1, 100, 1).await;
        assert!(matches!(read, Err(GatewayError::BodyTimeout { .. })));
        assert_eq!(after.as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_at_the_smallest_rate_may_take_as_long_as_it_needs() {
        let (read, after) = sent(8 << 10, 300, 1).await;
        assert_eq!((read.ok(), after.as_secs()), (Some(300 * (8 << 10)), 300));
    }
}
