//! A second call when the first is slow to answer: which one wins. Pure.
//!
//! The race knows nothing of backends: it is given a first call and a way to make a second one. A call that
//! has lost is handed back as it is, so that its books can be closed before it is broken off.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

/// How a call stands when the race is over.
pub enum Lane<F: Future> {
    /// It ended with this.
    Ended(F::Output),
    /// The other one won before it ended.
    Pending(F),
}

/// The end of a race.
pub struct Raced<F: Future> {
    pub first: Lane<F>,
    /// The second one, where there was one.
    pub second: Option<Lane<F>>,
}

/// Waits for `first`; after `patience` asks `hedge` once for a second call and waits for whichever decides
/// first. A call that ends without deciding leaves the other one running.
pub async fn race<F: Future + Unpin>(
    mut first: F,
    patience: Duration,
    hedge: impl FnOnce() -> Option<F>,
    decides: impl Fn(&F::Output) -> bool,
) -> Raced<F> {
    if let Ok(output) = tokio::time::timeout(patience, &mut first).await {
        return Raced { first: Lane::Ended(output), second: None };
    }
    let Some(second) = hedge() else {
        return Raced { first: Lane::Ended(first.await), second: None };
    };
    let mut lanes = [Lane::Pending(first), Lane::Pending(second)];
    poll_fn(|cx| {
        for lane in &mut lanes {
            if let Lane::Pending(call) = lane
                && let Poll::Ready(output) = Pin::new(call).poll(cx)
            {
                let over = decides(&output);
                *lane = Lane::Ended(output);
                if over {
                    return Poll::Ready(());
                }
            }
        }
        let both_ended = lanes.iter().all(|lane| matches!(lane, Lane::Ended(_)));
        if both_ended { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    let [first, second] = lanes;
    Raced { first, second: Some(second) }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::FutureExt;
    use futures_util::future::LocalBoxFuture;

    use super::*;

    type Call = LocalBoxFuture<'static, Result<&'static str, &'static str>>;

    fn after(ms: u64, output: Result<&'static str, &'static str>) -> Call {
        // Its time begins when it is first waited for.
        async move { tokio::time::sleep(Duration::from_millis(ms)).await }.map(move |()| output).boxed_local()
    }

    /// Both lanes after a race with 100 ms of patience: what each ended with, and the ms that it took.
    async fn run(first: Call, second: Call) -> (Option<&'static str>, Option<Option<&'static str>>, u128) {
        let start = tokio::time::Instant::now();
        let raced = race(first, Duration::from_millis(100), || Some(second), Result::is_ok).await;
        let text = |lane: Lane<Call>| match lane {
            Lane::Ended(Ok(text) | Err(text)) => Some(text),
            Lane::Pending(_) => None,
        };
        (text(raced.first), raced.second.map(text), start.elapsed().as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn a_quick_answer_is_not_hedged() {
        let asked = Cell::new(false);
        let hedge = || {
            asked.set(true);
            Some(after(1, Ok("hedge")))
        };
        let raced = race(after(99, Ok("first")), Duration::from_millis(100), hedge, Result::is_ok).await;
        assert!(matches!(raced.first, Lane::Ended(Ok("first"))) && raced.second.is_none() && !asked.get());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_wins_whoever_gives_it() {
        assert_eq!(run(after(900, Ok("a")), after(50, Ok("b"))).await, (None, Some(Some("b")), 150));
        assert_eq!(run(after(120, Ok("a")), after(50, Ok("b"))).await, (Some("a"), Some(None), 120));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_leaves_the_other_call_running() {
        let (bad, good) = (Err("reset"), Ok("answer"));
        let expected = (Some("reset"), Some(Some("answer")), 400);
        assert_eq!(run(after(110, bad), after(300, good)).await, expected);
        let expected = (Some("answer"), Some(Some("reset")), 400);
        assert_eq!(run(after(400, good), after(10, bad)).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn two_failures_end_the_race() {
        let expected = (Some("one"), Some(Some("two")), 150);
        assert_eq!(run(after(110, Err("one")), after(50, Err("two"))).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_second_target_the_first_is_waited_for() {
        let raced = race(after(500, Ok("slow")), Duration::from_millis(100), || None, Result::is_ok).await;
        assert!(matches!(raced.first, Lane::Ended(Ok("slow"))) && raced.second.is_none());
    }
}
