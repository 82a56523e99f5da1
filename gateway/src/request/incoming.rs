//! A body on its way from a client, part by part, at the client's pace.

use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;
use tokio::time::Instant;
use tollgate_admission::{Pace, PaceRules};
use tollgate_base::headers::Headers;
use tollgate_config::ServerConfig;

use crate::error::GatewayError;

/// A body that is still coming; an error is why it broke off.
pub type IncomingBody = Pin<Box<dyn Stream<Item = Result<Bytes, String>>>>;

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
