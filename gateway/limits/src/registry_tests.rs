//! Limiters with living actors, on a clock that the tests move.

use std::time::Instant;

use futures_util::FutureExt;
use tollgate_base::clock::Clock;

use super::super::counter::limiter_actor::Crash;
use super::super::{Consumed, Meter};
use super::*;

const RULE: u64 = 6_000;

const fn ask(amount: u64) -> Ask {
    Ask { amount, keep_free: 0 }
}

/// Whoever has this name, at so many tokens a minute.
fn limit(subscription: &str, amount: u64) -> Limit {
    Limit::for_test(Meter::Tokens, subscription, amount)
}

fn used(tokens: u64) -> Consumed {
    Consumed { input: tokens, output: 0 }
}

/// How many tokens a refusal leaves, and when to come back.
fn used_up(refusal: LimitExceeded) -> (u64, Duration) {
    match refusal {
        LimitExceeded::UsedUp { remaining, retry_after, .. } => (remaining, retry_after),
        LimitExceeded::TooLarge { .. } => panic!("{refusal}"),
    }
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
    fn find(&self, name: &str) -> Option<Arc<Counter>> {
        self.0.find(&limit(name, RULE).key.key())
    }

    fn remaining(&self, name: &str) -> u64 {
        self.find(name).unwrap().balance().remaining
    }

    async fn crash(&self, name: &str) {
        let counter = self.find(name).unwrap();
        assert!(counter.actor().send(Crash).await.is_err());
    }
}

#[actix_rt::test]
async fn a_lease_that_covers_the_request_needs_no_mailbox() {
    let (limiters, _clock) = limiters(|_| {});
    limiters.hold(&limit("a", RULE), ask(1)).await.unwrap().settle(&used(1));
    let again = limiters.hold(&limit("a", RULE), ask(100)).now_or_never();
    again.unwrap().unwrap().settle(&used(60));
    assert_eq!(limiters.remaining("a"), 6_000 - 61);
}

#[actix_rt::test]
async fn a_refused_request_fits_exactly_after_its_retry_after() {
    let (limiters, clock) = limiters(|_| {});
    limiters.hold(&limit("a", RULE), ask(6_000)).await.unwrap().settle(&used(6_000));
    let refused = limiters.hold(&limit("a", RULE), ask(250)).await.unwrap_err();
    assert_eq!(used_up(refused), (0, Duration::from_millis(2_500)));
    clock.advance(Duration::from_millis(2_500) - Duration::from_millis(1));
    assert!(limiters.hold(&limit("a", RULE), ask(250)).await.is_err());
    clock.advance(Duration::from_millis(1));
    assert!(limiters.hold(&limit("a", RULE), ask(250)).await.is_ok());
}

#[actix_rt::test]
async fn a_request_larger_than_the_limit_is_told_so() {
    let (limiters, _clock) = limiters(|_| {});
    let refused = limiters.hold(&limit("a", RULE), ask(6_001)).await.unwrap_err();
    assert_eq!(refused, LimitExceeded::TooLarge { rule: limit("a", RULE).rule, needed: 6_001 });
}

#[actix_rt::test]
async fn an_unsettled_reservation_comes_back_when_it_is_dropped() {
    let (limiters, _clock) = limiters(|_| {});
    let reservation = limiters.hold(&limit("a", RULE), ask(6_000)).await.unwrap();
    assert!(limiters.hold(&limit("a", RULE), ask(1)).await.is_err());
    drop(reservation);
    assert!(limiters.hold(&limit("a", RULE), ask(6_000)).await.is_ok());
}

#[actix_rt::test]
async fn a_grant_whose_asker_has_gone_is_released() {
    let (limiters, _clock) = limiters(|_| {});
    let limit = limit("a", RULE);
    let asking = limiters.hold(&limit, ask(6_000));
    assert!(asking.now_or_never().is_none(), "the first request of a key waits for its actor");
    eventually("the grant comes back", || {
        limiters.observe().iter().all(|seen| seen.alive && seen.balance == 6_000)
    })
    .await;
}

#[actix_rt::test]
async fn a_lost_reservation_expires() {
    let (limiters, clock) = limiters(|options| options.reservation_expiry = Duration::from_secs(150));
    std::mem::forget(limiters.hold(&limit("a", RULE), ask(6_000)).await.unwrap());
    clock.advance(Duration::from_secs(160));
    assert!(limiters.hold(&limit("a", RULE), ask(1)).await.is_ok());
    assert_eq!(limiters.stats().expired_tokens, 6_000);
}

#[actix_rt::test]
async fn a_crash_loses_no_tokens_and_wedges_no_request() {
    let (limiters, clock) = limiters(|_| {});
    let held = limiters.hold(&limit("a", RULE), ask(4_000)).await.unwrap();
    limiters.crash("a").await;
    held.settle(&used(1_000));
    assert_eq!(limiters.remaining("a"), 5_000);
    limiters.hold(&limit("a", RULE), ask(5_000)).await.unwrap().settle(&used(5_000));
    limiters.crash("a").await;
    let waiting = limiters.hold(&limit("a", RULE), ask(100)).await.unwrap_err();
    assert_eq!(used_up(waiting), (0, Duration::from_secs(1)));
    limiters.crash("a").await;
    clock.advance(Duration::from_secs(1));
    let last = limiters.hold(&limit("a", RULE), ask(100)).await.unwrap();
    assert_eq!(last.balance().remaining, 0);
    assert_eq!(limiters.stats().respawned, 3);
}

#[actix_rt::test]
async fn requests_behind_a_crash_in_the_mailbox_are_answered() {
    let (limiters, _clock) = limiters(|_| {});
    limiters.hold(&limit("a", RULE), ask(6_000)).await.unwrap().settle(&used(6_000));
    limiters.find("a").unwrap().actor().do_send(Crash);
    let (limit, asked) = (limit("a", RULE), (0..20).map(|_| ask(1)));
    let answers = asked.map(|ask| limiters.hold(&limit, ask));
    let answers = futures_util::future::join_all(answers).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(LimitExceeded::UsedUp { .. }))));
    assert_eq!((limiters.stats().respawned, limiters.stats().unavailable), (1, 0));
}

#[actix_rt::test]
async fn an_idle_counter_leaves_and_starts_full_again() {
    let (limiters, clock) = limiters(|options| options.idle_after = Duration::from_secs(1));
    limiters.hold(&limit("a", RULE), ask(600)).await.unwrap().settle(&used(600));
    clock.advance(Duration::from_secs(6));
    eventually("the bucket is seen full", || limiters.observe()[0].balance == 6_000).await;
    clock.advance(Duration::from_secs(2));
    eventually("the counter leaves", || limiters.stats().keys == 0).await;
    assert_eq!(limiters.hold(&limit("a", RULE), ask(1)).await.unwrap().balance().remaining, 5_999);
    assert_eq!(limiters.stats().respawned, 0);
}

#[actix_rt::test]
async fn the_number_of_keys_is_bounded_and_idle_ones_make_room() {
    let (limiters, clock) = limiters(|options| options.max_keys = 2);
    let first = limiters.hold(&limit("a", RULE), ask(1)).await.unwrap();
    let _second = limiters.hold(&limit("b", RULE), ask(1)).await.unwrap();
    let refused = limiters.hold(&limit("c", RULE), ask(1)).await.unwrap_err();
    assert_eq!((used_up(refused), limiters.stats().unavailable), ((0, UNAVAILABLE), 1));
    drop(first);
    clock.advance(Duration::from_secs(1));
    assert!(limiters.hold(&limit("c", RULE), ask(1)).await.is_ok());
    assert_eq!(limiters.stats().keys, 2);
}

#[actix_rt::test]
async fn another_amount_for_a_key_keeps_its_consumption() {
    let (limiters, _clock) = limiters(|_| {});
    limiters.hold(&limit("a", RULE), ask(5_000)).await.unwrap().settle(&used(5_000));
    let wider = 10_000;
    let balance = limiters.hold(&limit("a", wider), ask(0)).await.unwrap().balance();
    assert_eq!((balance.limit, balance.remaining), (10_000, 5_000));
    let narrower = 4_000;
    let refused = limiters.hold(&limit("a", narrower), ask(1)).await.unwrap_err();
    assert_eq!(used_up(refused).0, 0);
    assert_eq!(limiters.observe()[0].limit, 4_000);
}

#[actix_rt::test]
async fn a_generous_guess_leaves_what_must_stay_free() {
    let (limiters, _clock) = limiters(|_| {});
    limiters.hold(&limit("a", RULE), ask(4_000)).await.unwrap().settle(&used(4_000));
    let guess = Ask { amount: 1_500, keep_free: 3_000 };
    assert!(limiters.hold(&limit("a", RULE), guess).await.is_err());
    assert!(limiters.hold(&limit("a", RULE), ask(1_500)).await.is_ok());
}

#[actix_rt::test]
async fn an_absurd_report_locks_a_counter_for_ten_minutes_and_no_longer() {
    let (limiters, clock) = limiters(|_| {});
    let held = limiters.hold(&limit("a", RULE), ask(1)).await.unwrap();
    held.settle(&Consumed { input: u64::MAX, output: u64::MAX });
    let refused = limiters.hold(&limit("a", RULE), ask(1)).await.unwrap_err();
    assert_eq!(used_up(refused), (0, Duration::from_millis(10 * 60_000 + 10)));
    clock.advance(Duration::from_secs(10 * 60));
    assert!(limiters.hold(&limit("a", RULE), ask(1)).await.is_err());
    clock.advance(Duration::from_millis(10));
    assert!(limiters.hold(&limit("a", RULE), ask(1)).await.is_ok());
}

#[actix_rt::test]
async fn what_is_known_late_is_charged_as_debt_and_paid_off_like_any_other() {
    let (limiters, clock) = limiters(|_| {});
    let limits = [limit("a", RULE)];
    limiters.hold(&limits[0], ask(6_000)).await.unwrap().settle(&used(5_000));
    limiters.charge(&limits, &Consumed { input: 0, output: 3_000 });
    assert_eq!(limiters.observe()[0].balance, -2_000);
    let refused = limiters.hold(&limits[0], ask(100)).await.unwrap_err();
    assert_eq!(used_up(refused), (0, Duration::from_secs(21)));
    clock.advance(Duration::from_secs(21));
    assert!(limiters.hold(&limits[0], ask(100)).await.is_ok());
}

#[actix_rt::test]
async fn what_is_known_late_is_charged_also_where_nobody_has_called_yet() {
    let (limiters, clock) = limiters(|_| {});
    limiters.charge(&[limit("a", RULE)], &used(7_000));
    assert!(limiters.hold(&limit("a", RULE), ask(1)).await.is_err());
    clock.advance(Duration::from_millis(10_010));
    assert!(limiters.hold(&limit("a", RULE), ask(1)).await.is_ok());
    limiters.charge(&[limit("b", RULE)], &Consumed::default());
    assert!(limiters.find("b").is_none(), "nothing is charged for nothing");
}

#[test]
fn threads_that_share_a_key_are_never_granted_too_much() {
    let system = actix_rt::System::new();
    let clock = Clock::manual();
    let options = LimiterOptions { clock: clock.clone(), ..LimiterOptions::default() };
    let limiters = system.block_on(async { Limiters::start_in(&Arbiter::new().handle(), options) });
    let spend = move |limiters: Limiters, seed: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async move {
            let (mut total, mut step) = (0, seed);
            let mut refusals = 0;
            while refusals < 20 {
                step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let tokens = 1 + (step >> 60);
                match limiters.hold(&limit("hot", 60_000), ask(tokens)).await {
                    Ok(reservation) if step & 1 == 0 => drop(reservation),
                    Ok(reservation) => {
                        reservation.settle(&used(tokens / 2));
                        total += tokens / 2;
                    }
                    Err(_) => refusals += 1,
                }
            }
            total
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
