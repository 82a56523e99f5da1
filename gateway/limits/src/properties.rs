//! Random interleavings against a bucket that is refilled continuously and sees every step.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngAlgorithm;
use tollgate_base::clock::Clock;

use super::counter::limiter_actor::refill_lease;
use super::counter::{Counter, Hold};
use super::window::WindowState;
use super::{Ask, Consumed, Limit, Meter};

const PERIOD_MS: u64 = 1_000;
const EXPIRY: Duration = Duration::from_secs(15);
/// Long enough to pay any debt at one token per minute.
const REST: Duration = Duration::from_secs(1_000 * 24 * 3_600);

#[derive(Debug, Clone)]
enum Step {
    Reserve(Ask),
    Settle {
        which: usize,
        percent: u64,
    },
    Release(usize),
    /// The reservation is lost without its destructor running.
    Lose(usize),
    Wait(u64),
    /// The actor looks.
    Look,
    /// The actor dies and another one takes over.
    Respawn,
    Rule(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ask = (0_u64..1_500, 0_u64..600).prop_map(|(amount, keep_free)| Ask { amount, keep_free });
    prop_oneof![
        8 => ask.prop_map(Step::Reserve),
        5 => (any::<usize>(), 0_u64..250).prop_map(|(which, percent)| Step::Settle { which, percent }),
        2 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Lose),
        4 => prop_oneof![0_u64..50, 0_u64..3_000, 10_000_u64..40_000].prop_map(Step::Wait),
        3 => Just(Step::Look),
        1 => Just(Step::Respawn),
        1 => (1_u64..3_000).prop_map(Step::Rule),
    ]
}

/// The definition of a token bucket, in grains, refilled at every step. Its debt is cut when the actor looks.
struct Reference {
    limit: i128,
    level: i128,
    at_ms: u64,
}

impl Reference {
    fn at(&mut self, now_ms: u64) {
        self.level += self.limit * i128::from(now_ms - self.at_ms);
        self.at_ms = now_ms;
        self.clamp();
    }

    fn put(&mut self, tokens: i128) {
        self.level += tokens * 60_000;
        self.clamp();
    }

    /// Ten minutes of refill.
    fn forgive(&mut self) {
        self.level = self.level.max(-self.limit * 600_000);
    }

    fn clamp(&mut self) {
        self.level = self.level.min(self.limit * 60_000);
    }
}

struct Held {
    hold: Hold,
    period: u64,
}

thread_local! {
    /// Counters need to know an arbiter, even when no actor is ever started in it.
    static SYSTEM: actix_rt::SystemRunner = actix_rt::System::new();
}

/// One counter whose actor is played by the test, beside the reference.
struct World {
    clock: Clock,
    counter: Arc<Counter>,
    state: WindowState,
    reference: Reference,
    held: Vec<Held>,
    /// Period and tokens of reservations that nobody will end.
    lost: Vec<(u64, u64)>,
    rolled_to: u64,
    consumed: i128,
}

impl World {
    fn new(limit: u64) -> Self {
        SYSTEM.with(|_| ());
        let clock = Clock::manual();
        let counter = Counter::for_test(&Limit::for_test(Meter::Tokens, "test", limit), &clock, EXPIRY);
        let limit = i128::from(limit);
        Self {
            clock,
            state: counter.checkpoint(),
            counter,
            reference: Reference { limit, level: limit * 60_000, at_ms: 0 },
            held: Vec::new(),
            lost: Vec::new(),
            rolled_to: 0,
            consumed: 0,
        }
    }

    fn look(&mut self) {
        let now_ms = self.clock.now_ms();
        let before = self.counter.cell().reserved();
        self.counter.expire(now_ms);
        let expired = before - self.counter.cell().reserved();
        self.rolled_to = now_ms / PERIOD_MS;
        let rolled_to = self.rolled_to;
        let gone = |period: u64| rolled_to >= period + 16;
        let due: u64 = self.held.iter().filter(|held| gone(held.period)).map(|held| held.hold.units()).sum();
        let due_lost: u64 =
            self.lost.iter().filter(|(period, _)| gone(*period)).map(|(_, tokens)| tokens).sum();
        assert!(expired <= due + due_lost, "only what is old enough expires");
        self.lost.retain(|(period, _)| !gone(*period));
        self.reference.put(i128::from(expired));
        refill_lease(&mut self.state, &self.counter, now_ms);
        self.reference.forgive();
    }

    fn end(&mut self, which: usize, actual: impl FnOnce(u64) -> u64) {
        if self.held.is_empty() {
            return;
        }
        let held = self.held.swap_remove(which % self.held.len());
        let reserved = held.hold.units();
        let actual = actual(reserved);
        let reserved = if self.rolled_to >= held.period + 16 { 0 } else { reserved };
        held.hold.settle(&Consumed { input: actual, output: 0 });
        self.reference.put(i128::from(reserved) - i128::from(actual));
        self.consumed += i128::from(actual);
    }

    fn apply(&mut self, step: Step) {
        self.reference.at(self.clock.now_ms());
        match step {
            Step::Reserve(ask) => {
                if let Some(hold) = self.counter.try_reserve(ask) {
                    let left = self.reference.level - i128::from(ask.amount) * 60_000;
                    assert!(left >= i128::from(ask.keep_free) * 60_000, "granted more than there is");
                    self.reference.level = left;
                    self.held.push(Held { hold, period: self.rolled_to });
                }
            }
            Step::Settle { which, percent } => self.end(which, |reserved| reserved * percent / 100),
            Step::Release(which) => self.end(which, |_| 0),
            Step::Lose(which) => {
                if !self.held.is_empty() {
                    let held = self.held.swap_remove(which % self.held.len());
                    if self.rolled_to < held.period + 16 {
                        self.lost.push((held.period, held.hold.units()));
                    }
                    std::mem::forget(held.hold);
                }
            }
            Step::Wait(ms) => self.clock.advance(Duration::from_millis(ms)),
            Step::Look => self.look(),
            Step::Respawn => self.state = self.counter.checkpoint(),
            Step::Rule(limit) => self.change_rule(limit),
        }
    }

    fn change_rule(&mut self, limit: u64) {
        self.look();
        let moved = self.state.set_amount(limit);
        self.counter.save(self.state);
        self.counter.cell().set_limit(limit, moved);
        self.reference.limit += i128::from(moved);
        self.reference.level += i128::from(moved) * 60_000;
    }

    fn outstanding(&self) -> u64 {
        let held = self.held.iter().filter(|held| self.rolled_to < held.period + 16);
        held.map(|held| held.hold.units()).sum::<u64>()
            + self.lost.iter().map(|(_, tokens)| tokens).sum::<u64>()
    }
}

proptest! {
    // Without optimisation the default generator takes ten times as long as all that it is needed for.
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        rng_algorithm: RngAlgorithm::XorShift,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_interleaving_is_granted_more_than_a_continuous_bucket_would(
        limit in 1_u64..3_000,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(limit);
        for step in steps {
            world.apply(step);
            world.reference.at(world.clock.now_ms());
            let cell = world.counter.cell();
            prop_assert!(i128::from(cell.free()) * 60_000 <= world.reference.level);
            prop_assert!(cell.balance().remaining <= cell.limit());
            prop_assert_eq!(cell.reserved(), world.outstanding());
        }
        let held = std::mem::take(&mut world.held);
        drop(held);
        world.clock.advance(REST);
        world.look();
        world.clock.advance(REST);
        world.look();
        prop_assert!(world.counter.cell().is_full(), "rest fills every bucket");
    }

    #[test]
    fn an_actor_that_looks_before_every_step_is_exact(
        limit in 1_u64..3_000,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(limit);
        for step in steps {
            world.reference.at(world.clock.now_ms());
            world.look();
            world.apply(step);
            world.reference.at(world.clock.now_ms());
            world.look();
            prop_assert_eq!(i128::from(world.counter.cell().free()), world.reference.level.div_euclid(60_000));
        }
    }

    #[test]
    fn while_time_stands_still_the_level_is_the_limit_less_what_was_consumed_and_is_reserved(
        limit in 1_u64..3_000,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(limit);
        for step in steps {
            if !matches!(step, Step::Wait(_) | Step::Rule(_)) {
                world.apply(step);
            }
            let used = world.consumed + i128::from(world.outstanding());
            prop_assert_eq!(i128::from(world.counter.cell().free()), i128::from(limit) - used);
        }
    }
}
