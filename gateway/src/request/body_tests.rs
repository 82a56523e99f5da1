//! Bodies within their bounds, in whatever coding they come.

use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use tokio::time::Instant;
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

const CODINGS: [(&str, Coding); 4] =
    [("gzip", Coding::Gzip), ("deflate", Coding::Deflate), ("br", Coding::Brotli), ("zstd", Coding::Zstd)];

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
