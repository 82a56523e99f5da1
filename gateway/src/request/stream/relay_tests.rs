//! A stream from a backend that never lets anybody wait.

use futures_util::StreamExt as _;
use tollgate_crossing::Wire;
use tollgate_crossing::crossing::StreamCrossing;
use tollgate_schemas::usage::Outcome;

use super::super::stages::StageOptions;
use super::*;
use crate::books::bed_tests::Bed;

const EVENT: &[u8] = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";

/// A backend that never lets anybody wait.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(EVENT)))))
    }
}

fn relay(bed: &Bed, total: Duration) -> Relay<Endless> {
    let crossing = StreamCrossing { decoder: Wire::Chat.decoder(), encoder: None };
    let stages = Stages::new(StageOptions {
        crossing,
        filters: Vec::new(),
        max_event: 1 << 20,
        hide_usage: false,
        ids: None,
    });
    let options = RelayOptions {
        stages,
        first: Bytes::new(),
        client: ClientFormat::Chat,
        backend: bed.backend(total),
        patience: Duration::MAX,
        completion: None,
        works_on: false,
        ended: None,
    };
    Relay::new(Endless, bed.attempt(), RequestId::now(), options)
}

#[actix_rt::test]
async fn a_stream_that_never_pauses_is_cut_when_its_time_is_over() {
    let bed = Bed::new();
    let mut late = relay(&bed, Duration::ZERO);
    let last = late.next().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&last).contains("backend_timeout"), "{last:?}");
    assert!(late.next().await.is_none());
    let event = late.attempt.event();
    assert_eq!(
        (event.outcome, event.error_code.as_deref()),
        (Outcome::UpstreamError, Some("backend_timeout"))
    );
    let mut in_time = relay(&bed, Duration::from_secs(900));
    for _ in 0..100 {
        assert!(in_time.next().await.unwrap().unwrap().starts_with(EVENT));
    }
}
