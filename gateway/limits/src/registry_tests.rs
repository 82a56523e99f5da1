//! Limiters with living actors, on a clock that the tests move.

use std::time::Instant;

use futures_util::FutureExt;

use super::super::limiter_actor::Crash;
use super::*;

const RULE: TokenRule = TokenRule { tokens_per_minute: 6_000 };

const fn ask(tokens: u64) -> Ask {
    Ask { tokens, keep_free: 0 }
}

fn key(name: &str) -> CounterKey {
    CounterKey(name.into())
}

fn limiters(change: impl FnOnce(&mut LimiterOptions)) -> (Limiters, Clock) {
    let clock = Clock::manual();
    let mut options = LimiterOptions { clock: clock.clone(), ..LimiterOptions::default() };
    change(&mut options);
    (Limiters::start_in(&Arbiter::current(), options), clock)
}

/// Waits for what actors do by themselves; fails after ten seconds.
async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Limiters {
    async fn crash(&self, name: &str) {
        let counter = self.0.find(&key(name)).unwrap();
        assert!(counter.actor().send(Crash).await.is_err());
    }
}

#[actix_rt::test]
async fn a_lease_that_covers_the_request_needs_no_mailbox() {
    let (limiters, _clock) = limiters(|_| {});
    limiters.reserve(&key("a"), RULE, ask(1)).await.unwrap().settle(1);
    let again = limiters.reserve(&key("a"), RULE, ask(100)).now_or_never();
    assert_eq!(again.unwrap().unwrap().settle(60).remaining, 6_000 - 61);
}

#[actix_rt::test]
async fn a_refused_request_fits_exactly_after_its_retry_after() {
    let (limiters, clock) = limiters(|_| {});
    limiters.reserve(&key("a"), RULE, ask(6_000)).await.unwrap().settle(6_000);
    let refused = limiters.reserve(&key("a"), RULE, ask(250)).await.unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_millis(2_500));
    assert!(!refused.too_large);
    clock.advance(refused.retry_after - Duration::from_millis(1));
    assert!(limiters.reserve(&key("a"), RULE, ask(250)).await.is_err());
    clock.advance(Duration::from_millis(1));
    assert!(limiters.reserve(&key("a"), RULE, ask(250)).await.is_ok());
}

#[actix_rt::test]
async fn a_request_larger_than_the_limit_is_told_so() {
    let (limiters, _clock) = limiters(|_| {});
    let refused = limiters.reserve(&key("a"), RULE, ask(6_001)).await.unwrap_err();
    assert!(refused.too_large);
    assert_eq!((refused.limit, refused.remaining), (6_000, 6_000));
}

#[actix_rt::test]
async fn an_unsettled_reservation_comes_back_when_it_is_dropped() {
    let (limiters, _clock) = limiters(|_| {});
    let reservation = limiters.reserve(&key("a"), RULE, ask(6_000)).await.unwrap();
    assert!(limiters.reserve(&key("a"), RULE, ask(1)).await.is_err());
    drop(reservation);
    assert!(limiters.reserve(&key("a"), RULE, ask(6_000)).await.is_ok());
}

#[actix_rt::test]
async fn a_grant_whose_asker_has_gone_is_released() {
    let (limiters, _clock) = limiters(|_| {});
    let name = key("a");
    let asking = limiters.reserve(&name, RULE, ask(6_000));
    assert!(asking.now_or_never().is_none(), "the first request of a key waits for its actor");
    eventually("the grant comes back", || {
        limiters.observe().iter().all(|seen| seen.alive && seen.balance == 6_000)
    })
    .await;
}

#[actix_rt::test]
async fn a_lost_reservation_expires() {
    let (limiters, clock) = limiters(|options| options.reservation_expiry = Duration::from_secs(150));
    std::mem::forget(limiters.reserve(&key("a"), RULE, ask(6_000)).await.unwrap());
    clock.advance(Duration::from_secs(160));
    assert!(limiters.reserve(&key("a"), RULE, ask(1)).await.is_ok());
    assert_eq!(limiters.stats().expired_tokens, 6_000);
}

#[actix_rt::test]
async fn a_crash_loses_no_tokens_and_wedges_no_request() {
    let (limiters, clock) = limiters(|_| {});
    let held = limiters.reserve(&key("a"), RULE, ask(4_000)).await.unwrap();
    limiters.crash("a").await;
    assert_eq!(held.settle(1_000).remaining, 5_000);
    limiters.reserve(&key("a"), RULE, ask(5_000)).await.unwrap().settle(5_000);
    limiters.crash("a").await;
    let waiting = limiters.reserve(&key("a"), RULE, ask(100)).await.unwrap_err();
    assert_eq!(waiting.retry_after, Duration::from_secs(1));
    limiters.crash("a").await;
    clock.advance(Duration::from_secs(1));
    let last = limiters.reserve(&key("a"), RULE, ask(100)).await.unwrap();
    assert_eq!(last.balance().remaining, 0);
    assert_eq!(limiters.stats().respawned, 3);
}

#[actix_rt::test]
async fn requests_behind_a_crash_in_the_mailbox_are_answered() {
    let (limiters, _clock) = limiters(|_| {});
    limiters.reserve(&key("a"), RULE, ask(6_000)).await.unwrap().settle(6_000);
    limiters.0.find(&key("a")).unwrap().actor().do_send(Crash);
    let (name, asked) = (key("a"), (0..20).map(|_| ask(1)));
    let answers = asked.map(|ask| limiters.reserve(&name, RULE, ask));
    let answers = futures_util::future::join_all(answers).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(refused) if refused.limit == 6_000)));
    assert_eq!((limiters.stats().respawned, limiters.stats().unavailable), (1, 0));
}

#[actix_rt::test]
async fn an_idle_counter_leaves_and_starts_full_again() {
    let (limiters, clock) = limiters(|options| options.idle_after = Duration::from_secs(1));
    limiters.reserve(&key("a"), RULE, ask(600)).await.unwrap().settle(600);
    clock.advance(Duration::from_secs(6));
    eventually("the bucket is seen full", || limiters.observe()[0].balance == 6_000).await;
    clock.advance(Duration::from_secs(2));
    eventually("the counter leaves", || limiters.stats().keys == 0).await;
    assert_eq!(limiters.reserve(&key("a"), RULE, ask(1)).await.unwrap().balance().remaining, 5_999);
    assert_eq!(limiters.stats().respawned, 0);
}

#[actix_rt::test]
async fn the_number_of_keys_is_bounded_and_idle_ones_make_room() {
    let (limiters, clock) = limiters(|options| options.max_keys = 2);
    let first = limiters.reserve(&key("a"), RULE, ask(1)).await.unwrap();
    let _second = limiters.reserve(&key("b"), RULE, ask(1)).await.unwrap();
    let refused = limiters.reserve(&key("c"), RULE, ask(1)).await.unwrap_err();
    assert_eq!((refused.retry_after, limiters.stats().unavailable), (UNAVAILABLE, 1));
    drop(first);
    clock.advance(Duration::from_secs(1));
    assert!(limiters.reserve(&key("c"), RULE, ask(1)).await.is_ok());
    assert_eq!(limiters.stats().keys, 2);
}

#[actix_rt::test]
async fn another_rule_for_a_key_keeps_its_consumption() {
    let (limiters, _clock) = limiters(|_| {});
    limiters.reserve(&key("a"), RULE, ask(5_000)).await.unwrap().settle(5_000);
    let wider = TokenRule { tokens_per_minute: 10_000 };
    let balance = limiters.reserve(&key("a"), wider, ask(0)).await.unwrap().balance();
    assert_eq!((balance.limit, balance.remaining), (10_000, 5_000));
    let narrower = TokenRule { tokens_per_minute: 4_000 };
    let refused = limiters.reserve(&key("a"), narrower, ask(1)).await.unwrap_err();
    assert_eq!((refused.limit, refused.remaining), (4_000, 0));
}

#[actix_rt::test]
async fn a_generous_guess_leaves_what_must_stay_free() {
    let (limiters, _clock) = limiters(|_| {});
    limiters.reserve(&key("a"), RULE, ask(4_000)).await.unwrap().settle(4_000);
    let guess = Ask { tokens: 1_500, keep_free: 3_000 };
    assert!(limiters.reserve(&key("a"), RULE, guess).await.is_err());
    assert!(limiters.reserve(&key("a"), RULE, ask(1_500)).await.is_ok());
}

#[test]
fn threads_that_share_a_key_are_never_granted_too_much() {
    let system = actix_rt::System::new();
    let clock = Clock::manual();
    let options = LimiterOptions { clock: clock.clone(), ..LimiterOptions::default() };
    let limiters = system.block_on(async { Limiters::start_in(&Arbiter::new().handle(), options) });
    let rule = TokenRule { tokens_per_minute: 60_000 };
    let spend = move |limiters: Limiters, seed: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async move {
            let (mut used, mut step) = (0, seed);
            let mut refusals = 0;
            while refusals < 20 {
                step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let tokens = 1 + (step >> 60);
                match limiters.reserve(&key("hot"), rule, ask(tokens)).await {
                    Ok(reservation) if step & 1 == 0 => drop(reservation),
                    Ok(reservation) => {
                        reservation.settle(tokens / 2);
                        used += tokens / 2;
                    }
                    Err(_) => refusals += 1,
                }
            }
            used
        })
    };
    let threads: Vec<_> = (1..=4)
        .map(|seed| {
            let limiters = limiters.clone();
            std::thread::spawn(move || spend(limiters, seed))
        })
        .collect();
    clock.advance(Duration::from_secs(5));
    let used: u64 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    let seen = &limiters.observe()[0];
    assert!(used <= 65_000, "{used} tokens of 60,000 and 5,000 refilled");
    assert_eq!((seen.reserved, seen.reservations), (0, 0));
    assert!(seen.balance >= 0 && seen.balance.cast_unsigned() + used <= 65_000);
    assert!(used > 59_000, "nearly everything can be used: {used}");
}
