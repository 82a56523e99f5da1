//! An answer that passes from a backend that never lets anybody wait.

use std::convert::Infallible;
use std::future::poll_fn;

use http::{HeaderMap, Response};
use tollgate_config::ServerConfig;
use tollgate_schemas::usage::Outcome;
use tracing::Span;

use super::*;
use crate::books::bed_tests::Bed;

/// A body that never lets anybody wait.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

fn relayed(bed: &Bed, cut_at: Instant) -> Relayed<Endless> {
    let hold = || bed.gateway.memory.hold(&"s".into());
    let (head, ()) = Response::new(()).into_parts();
    let guard = RequestGuard {
        _permit: bed.gateway.admission.try_enter().unwrap(),
        _span: Span::none(),
        held: hold(),
        answer: None,
    };
    let parts = RelayedParts {
        attempt: bed.attempt(),
        observer: Observer::new(None, &HeaderMap::new(), &ServerConfig::default(), hold()),
        is_known: false,
        traffic: None,
        upload: None,
        guard,
        cut_at,
    };
    Relayed::new(&head, Endless, &bed.backend(Duration::from_secs(900)), parts)
}

async fn next(relayed: &mut Relayed<Endless>) -> Option<io::Result<Bytes>> {
    poll_fn(|cx| Pin::new(&mut *relayed).poll_next(cx)).await
}

#[actix_rt::test]
async fn an_answer_that_never_pauses_is_cut_when_its_time_is_over() {
    let bed = Bed::new();
    let mut late = relayed(&bed, Instant::now());
    assert!(next(&mut late).await.unwrap().is_err());
    assert!(next(&mut late).await.is_none());
    let event = late.attempt.event();
    assert_eq!(
        (event.outcome, event.error_code.as_deref()),
        (Outcome::UpstreamError, Some("backend_timeout"))
    );
    let mut in_time = relayed(&bed, Instant::now() + Duration::from_secs(900));
    for _ in 0..100 {
        assert_eq!(next(&mut in_time).await.unwrap().unwrap(), "x");
    }
}
