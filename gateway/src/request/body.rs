//! The body of a request: bounded in size and in time, whatever server it comes from.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tollgate_admission::{Held, Pace, PaceRules};
use tollgate_base::headers::Headers;
use tollgate_codings::Decoding;
use tollgate_config::ServerConfig;

use crate::error::GatewayError;

/// Memory set aside before a byte has come, whatever the client announces.
const FIRST_ALLOCATION: usize = 64 << 10;

/// Bytes of a compressed body that a decoder is given at a time.
const CODED_SLICE: usize = 64 << 10;
/// Pieces that a body is decoded into before other tasks have their turn: about a millisecond.
const PIECES_AT_A_TIME: u32 = 16;

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
    use tollgate_codings::{Coding, Encoding};
    use tollgate_settings::units;

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

    /// A compressed body as it is read within 1 MiB, and what is held for it then.
    async fn received(coding: &'static str, body: Vec<u8>) -> (Result<Bytes, GatewayError>, u64) {
        let memory = MemoryBudget::new(4 << 20);
        let mut held = memory.hold(&"s".into());
        let headers =
            HeaderMap::from_iter([(http::header::CONTENT_ENCODING, http::HeaderValue::from_static(coding))]);
        let parts: Vec<_> = body.chunks(1000).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        let config = ServerConfig { max_body: units::Bytes(1 << 20), ..ServerConfig::default() };
        let turns = Semaphore::new(1);
        let read = read_decoded(&headers, Box::pin(stream::iter(parts)), &config, &mut held, &turns).await;
        assert_eq!(turns.available_permits(), 1);
        (read, memory.used_bytes())
    }

    fn coded(coding: Coding, body: &[u8]) -> Vec<u8> {
        let mut encoding = Encoding::new(coding);
        let head = encoding.push(body).unwrap();
        [head, encoding.end().unwrap()].concat()
    }

    const CODINGS: [(&str, Coding); 4] = [
        ("gzip", Coding::Gzip),
        ("deflate", Coding::Deflate),
        ("br", Coding::Brotli),
        ("zstd", Coding::Zstd),
    ];

    #[tokio::test]
    async fn a_compressed_body_is_read_as_what_it_was_and_held_as_what_it_became() {
        let text = r#"{"model":"m","messages":[]}"#.repeat(20_000);
        for (name, coding) in CODINGS {
            let small = coded(coding, text.as_bytes());
            assert!(small.len() < text.len() / 10);
            let (read, held) = received(name, small).await;
            assert!(read.is_ok_and(|body| body == text), "{name}");
            assert_eq!(held, text.len() as u64, "{name}");
        }
        let twice = coded(Coding::Zstd, &coded(Coding::Gzip, text.as_bytes()));
        assert!(received("gzip, zstd", twice).await.0.is_ok_and(|body| body == text));
        assert!(received("identity", text.clone().into()).await.0.is_ok_and(|body| body == text));
    }

    #[tokio::test]
    async fn a_body_that_becomes_too_large_is_refused_as_too_large() {
        for (name, coding) in CODINGS {
            let (read, held) = received(name, coded(coding, &vec![b' '; 8 << 20])).await;
            assert!(matches!(read, Err(GatewayError::BodyTooLarge { limit: 1_048_576 })), "{name}: {read:?}");
            assert!(held <= 1 << 20, "{name}: {held}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_decoded_is_told_apart_from_what_nobody_decodes() {
        for (name, coding) in CODINGS {
            let cut = coded(coding, b"{\"model\":\"m\"}");
            let (read, _) = received(name, cut[..cut.len() - 3].to_vec()).await;
            let error = read.unwrap_err();
            assert_eq!((error.class().status, error.class().code), (400, "invalid_content_encoding"));
        }
        let (read, held) = received("compress", b"anything".to_vec()).await;
        let error = read.unwrap_err();
        assert_eq!((error.class().status, error.class().code), (415, "unsupported_content_encoding"));
        assert!(
            error.to_string().contains("`compress`") && error.to_string().contains("gzip, deflate, br, zstd")
        );
        assert_eq!(held, 0, "nothing was read");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_at_the_smallest_rate_may_take_as_long_as_it_needs() {
        let (read, after) = sent(8 << 10, 300, 1).await;
        assert_eq!((read.ok(), after.as_secs()), (Some(300 * (8 << 10)), 300));
    }
}
