//! Reservations under several limits, on a clock that stands still.

use std::cell::Cell;

use actix_rt::Arbiter;
use tollgate_base::clock::Clock;

use super::super::options::LimiterOptions;
use super::*;

fn limiters() -> Limiters {
    let options = LimiterOptions { clock: Clock::manual(), ..LimiterOptions::default() };
    Limiters::start_in(&Arbiter::current(), options)
}

fn tokens(subscription: &str, amount: u64) -> Limit {
    Limit::for_test(Meter::Tokens, subscription, amount)
}

/// Levels by counter key, as operators see them.
fn levels(limiters: &Limiters) -> Vec<(String, i64)> {
    let mut levels: Vec<_> = limiters.observe().into_iter().map(|seen| (seen.key, seen.balance)).collect();
    levels.sort();
    levels
}

fn balances(limiters: &Limiters) -> Vec<i64> {
    levels(limiters).into_iter().map(|(_, balance)| balance).collect()
}

/// An input that says how often it was looked at.
struct Watched {
    at_most: u64,
    exact: u64,
    bounded: Cell<u32>,
    counted: Cell<u32>,
}

impl Watched {
    fn new(at_most: u64, exact: u64) -> Self {
        Self { at_most, exact, bounded: Cell::new(0), counted: Cell::new(0) }
    }

    fn looks(&self) -> (u32, u32) {
        (self.bounded.get(), self.counted.get())
    }
}

impl Input for Watched {
    fn at_most(&self) -> u64 {
        self.bounded.set(self.bounded.get() + 1);
        self.at_most
    }

    async fn count(&self) -> u64 {
        self.counted.set(self.counted.get() + 1);
        self.exact
    }
}

#[actix_rt::test]
async fn a_request_reserves_and_settles_under_all_its_limits() {
    let limiters = limiters();
    let limits = [tokens("a", 1_000), tokens("b", 500)];
    let reservation = limiters.reserve(&limits, &100, 40).await.unwrap();
    assert_eq!(balances(&limiters), [860, 360]);
    assert_eq!(reservation.tightest().unwrap().remaining, 360);
    reservation.settle(&Consumed { input: 90, output: 5 });
    assert_eq!(balances(&limiters), [905, 405]);
}

#[actix_rt::test]
async fn a_request_that_one_limit_refuses_takes_nothing_from_the_others() {
    let limiters = limiters();
    let limits = [tokens("a", 1_000), tokens("b", 100), tokens("c", 1_000)];
    limiters.reserve(&limits, &80, 0).await.unwrap().settle(&Consumed { input: 80, output: 0 });
    let refused = limiters.reserve(&limits, &50, 0).await.unwrap_err();
    assert!(matches!(refused, LimitExceeded::UsedUp { rule, remaining: 20, .. } if rule == limits[1].rule));
    assert_eq!(balances(&limiters), [920, 20, 920]);
}

#[actix_rt::test]
async fn a_reservation_that_is_dropped_gives_everything_back() {
    let limiters = limiters();
    let limits = [tokens("a", 1_000), tokens("b", 500)];
    drop(limiters.reserve(&limits, &100, 40).await.unwrap());
    assert_eq!(balances(&limiters), [1_000, 500]);
}

#[actix_rt::test]
async fn each_limit_is_charged_by_its_own_meter() {
    let limiters = limiters();
    let meters = [Meter::InputTokens, Meter::OutputTokens, Meter::Requests, Meter::Tokens];
    let limits = meters.map(|meter| Limit::for_test(meter, "a", 1_000));
    let reservation = limiters.reserve(&limits, &100, 40).await.unwrap();
    let keys = ["input_tokens", "output_tokens", "requests", "tokens"]
        .map(|name| format!("gold/{name}_per_minute/subscription/a"));
    let reserved: Vec<_> = keys.iter().cloned().zip([900, 960, 999, 860]).collect();
    assert_eq!(levels(&limiters), reserved);
    reservation.settle(&Consumed { input: 70, output: 300 });
    let settled: Vec<_> = keys.into_iter().zip([930, 700, 999, 630]).collect();
    assert_eq!(levels(&limiters), settled);
}

#[actix_rt::test]
async fn only_limits_on_tokens_are_told_as_tokens() {
    let limiters = limiters();
    let limits = [Limit::for_test(Meter::Requests, "a", 5), tokens("a", 1_000)];
    let reservation = limiters.reserve(&limits, &100, 0).await.unwrap();
    assert_eq!(
        reservation.tightest().map(|balance| (balance.meter, balance.limit)),
        Some((Meter::Tokens, 1_000))
    );
}

#[actix_rt::test]
async fn an_input_is_not_looked_at_unless_a_limit_counts_it() {
    let (limiters, input) = (limiters(), Watched::new(100, 50));
    assert!(limiters.reserve(&[], &input, 40).await.unwrap().is_empty());
    let requests = [Limit::for_test(Meter::Requests, "a", 5), Limit::for_test(Meter::OutputTokens, "a", 500)];
    assert!(!limiters.reserve(&requests, &input, 40).await.unwrap().is_empty());
    assert_eq!(input.looks(), (0, 0));
}

#[actix_rt::test]
async fn an_input_is_bounded_once_and_counted_once_however_many_limits_ask() {
    let limiters = limiters();
    let far = Watched::new(100, 50);
    let _held = limiters.reserve(&[tokens("a", 1_000), tokens("b", 1_000)], &far, 0).await.unwrap();
    assert_eq!(far.looks(), (1, 0), "far from the limits the bound decides");
    let near = Watched::new(700, 50);
    let limits = [tokens("a", 1_000), tokens("b", 1_000), tokens("c", 1_000)];
    let _more = limiters.reserve(&limits, &near, 0).await.unwrap();
    assert_eq!(near.looks(), (1, 1));
    assert_eq!(balances(&limiters), [850, 850, 950]);
}

#[actix_rt::test]
async fn an_estimate_takes_a_quarter_of_a_limit_at_most_and_something_at_least() {
    let limiters = limiters();
    let limits = [tokens("a", 1_000), Limit::for_test(Meter::Requests, "a", 10)];
    let _large = limiters.reserve_estimate(&limits, 1_000_000).await.unwrap();
    assert_eq!(balances(&limiters), [9, 750]);
    let _unknown = limiters.reserve_estimate(&limits, 0).await.unwrap();
    assert_eq!(balances(&limiters), [8, 749]);
}

#[test]
fn the_share_of_a_completion_follows_the_request_but_never_fills_the_limit() {
    assert_eq!(share(1_000, 100_000), 1_000);
    assert_eq!(share(1_000_000, 4_000), 1_000);
}
