//! Rules one by one, then random schedules of requests against circuit and gate under a virtual clock.

use proptest::prelude::*;

use super::super::gate::{Gate, Pass, Position, Ticket};
use super::*;

const STATUS: Failure = Failure { kind: FailureKind::Status(503), retry_after: None };

fn rule(threshold: Threshold) -> Rule {
    Rule { threshold, counted: CountedFailures::default() }
}

const SHARE: Threshold =
    Threshold::Ratio(RatioRule { percent: 50, min_volume: 10, window: Duration::from_secs(10) });

fn rules() -> CircuitRules {
    CircuitRules {
        rules: smallvec![rule(Threshold::Consecutive(3)), rule(SHARE)],
        max_retry_after: Duration::from_secs(5),
        open_for: Duration::from_secs(1),
        max_open: Duration::from_secs(5),
        probe_timeout: Duration::from_millis(500),
        ..CircuitRules::default()
    }
}

fn rule_of(verdict: GateChange) -> Option<TripRule> {
    match verdict {
        GateChange::Open { cause, .. } => Some(cause.rule),
        _ => None,
    }
}

#[test]
fn failures_in_a_row_open_it_and_a_success_in_between_does_not_let_them() {
    let mut circuit = Circuit::new(rules());
    circuit.failed(0, STATUS);
    circuit.failed(0, STATUS);
    circuit.succeeded(0, 1);
    circuit.failed(0, STATUS);
    assert_eq!(circuit.failed(0, STATUS), GateChange::Stay);
    let cause = Cause { rule: TripRule::ConsecutiveFailures, failure: Some(FailureKind::Status(503)) };
    assert_eq!(circuit.failed(10, STATUS), GateChange::Open { until_ms: 1_010, cause });
}

#[test]
fn a_share_of_failures_opens_it_from_the_minimum_volume_on() {
    let mut circuit = Circuit::new(CircuitRules { rules: smallvec![rule(SHARE)], ..rules() });
    circuit.succeeded(0, 5);
    for _ in 0..4 {
        assert_eq!(circuit.failed(0, STATUS), GateChange::Stay);
    }
    assert_eq!(rule_of(circuit.failed(0, STATUS)), Some(TripRule::FailureRatio));
}

#[test]
fn what_a_backend_asks_for_opens_it_at_once_up_to_the_cap() {
    for (asked_ms, open_ms) in [(1_500, 1_500), (86_400_000, 5_000)] {
        let mut circuit = Circuit::new(rules());
        let busy =
            Failure { kind: FailureKind::Status(429), retry_after: Some(Duration::from_millis(asked_ms)) };
        let cause = Cause { rule: TripRule::RetryAfter, failure: Some(FailureKind::Status(429)) };
        assert_eq!(circuit.failed(0, busy), GateChange::Open { until_ms: open_ms, cause });
    }
    let mut deaf = Circuit::new(CircuitRules { obey_retry_after: false, ..rules() });
    let busy = Failure { kind: FailureKind::Status(429), retry_after: Some(Duration::from_secs(1)) };
    assert_eq!(deaf.failed(0, busy), GateChange::Stay);
}

#[test]
fn failures_that_are_not_counted_do_not_open_it() {
    let counted = CountedFailures { connect: false, statuses: smallvec![500..=599], ..Default::default() };
    let rule = Rule { threshold: Threshold::Consecutive(3), counted };
    let mut circuit = Circuit::new(CircuitRules { rules: smallvec![rule], ..rules() });
    for kind in [FailureKind::Connect, FailureKind::Status(429)] {
        for _ in 0..20 {
            assert_eq!(circuit.failed(0, Failure { kind, retry_after: None }), GateChange::Stay);
        }
    }
}

#[test]
fn of_several_rules_each_counts_its_own_failures_and_any_opens_it() {
    let only = |kind: FailureKind| CountedFailures {
        connect: false,
        timeout: kind == FailureKind::Timeout,
        stalled: kind == FailureKind::Stalled,
        broken: false,
        statuses: smallvec![],
    };
    let rule = |kind, limit| Rule { threshold: Threshold::Consecutive(limit), counted: only(kind) };
    let two = smallvec![rule(FailureKind::Timeout, 3), rule(FailureKind::Stalled, 2)];
    let mut circuit = Circuit::new(CircuitRules { rules: two, ..rules() });
    let mut fail = |kind| circuit.failed(0, Failure { kind, retry_after: None });
    for kind in [FailureKind::Timeout, FailureKind::Stalled, FailureKind::Timeout, FailureKind::Connect] {
        assert_eq!(fail(kind), GateChange::Stay);
    }
    let cause = Cause { rule: TripRule::ConsecutiveFailures, failure: Some(FailureKind::Stalled) };
    assert_eq!(fail(FailureKind::Stalled), GateChange::Open { until_ms: 1_000, cause });
}

#[test]
fn a_failed_health_probe_counts_whatever_the_rules_leave_out() {
    let nothing = CountedFailures {
        connect: false,
        timeout: false,
        stalled: false,
        broken: false,
        statuses: smallvec![],
    };
    let rule = Rule { threshold: Threshold::Consecutive(1), counted: nothing };
    let mut circuit = Circuit::new(CircuitRules { rules: smallvec![rule], ..rules() });
    assert_eq!(circuit.failed(0, STATUS), GateChange::Stay);
    let probe = Failure { kind: FailureKind::Probe, retry_after: None };
    assert_eq!(rule_of(circuit.failed(0, probe)), Some(TripRule::ConsecutiveFailures));
}

#[test]
fn rules_that_stay_keep_their_counts_when_others_change() {
    let mut circuit = Circuit::new(rules());
    circuit.failed(0, STATUS);
    circuit.failed(0, STATUS);
    circuit.set_rules(CircuitRules {
        rules: smallvec![rule(SHARE), rule(Threshold::Consecutive(3))],
        ..rules()
    });
    assert_eq!(rule_of(circuit.failed(0, STATUS)), Some(TripRule::ConsecutiveFailures));
}

#[test]
fn what_opened_elsewhere_opens_here_up_to_the_cap_and_closes_with_it() {
    let mut circuit = Circuit::new(rules());
    let cause = Cause { rule: TripRule::Replica, failure: None };
    let heard = circuit.opened_elsewhere(0, Duration::from_secs(3));
    assert_eq!(heard, GateChange::Open { until_ms: 3_000, cause });
    let day = Duration::from_secs(86_400);
    assert_eq!(circuit.opened_elsewhere(100, day), GateChange::Extend { until_ms: 5_100 });
    assert_eq!(circuit.closed_elsewhere(false), GateChange::Close);
    assert_eq!(circuit.closed_elsewhere(true), GateChange::Stay, "it is closed already");
}

#[test]
fn what_failed_here_is_closed_from_elsewhere_by_an_operator_alone() {
    let once = smallvec![rule(Threshold::Consecutive(1))];
    let mut circuit = Circuit::new(CircuitRules { rules: once, ..rules() });
    circuit.failed(0, STATUS);
    assert_eq!(circuit.closed_elsewhere(false), GateChange::Stay);
    assert_eq!(circuit.closed_elsewhere(true), GateChange::Close);
}

#[test]
fn every_failed_probe_doubles_the_wait_up_to_the_cap_and_a_good_one_forgets() {
    let mut circuit =
        Circuit::new(CircuitRules { rules: smallvec![rule(Threshold::Consecutive(1))], ..rules() });
    let wait = |verdict| match verdict {
        GateChange::Open { until_ms, .. } => until_ms,
        other => panic!("{other:?}"),
    };
    assert_eq!(wait(circuit.failed(0, STATUS)), 1_000);
    assert_eq!(wait(circuit.probe_failed(0, STATUS)), 2_000);
    assert_eq!(wait(circuit.probe_failed(0, STATUS)), 4_000);
    assert_eq!(wait(circuit.probe_failed(0, STATUS)), 5_000);
    assert_eq!(circuit.close(), GateChange::Close);
    assert_eq!(wait(circuit.failed(0, STATUS)), 1_000);
}

#[test]
fn a_late_answer_of_a_request_from_before_can_only_prolong_it() {
    let mut circuit =
        Circuit::new(CircuitRules { rules: smallvec![rule(Threshold::Consecutive(1))], ..rules() });
    circuit.failed(0, STATUS);
    assert_eq!(circuit.failed(0, STATUS), GateChange::Stay);
    circuit.succeeded(0, 10);
    assert!(circuit.cause().is_some());
    let busy = Failure { kind: FailureKind::Status(429), retry_after: Some(Duration::from_secs(3)) };
    assert_eq!(circuit.failed(100, busy), GateChange::Extend { until_ms: 3_100 });
}

#[test]
fn a_cause_reads_well() {
    let cause = Cause { rule: TripRule::ProbeFailed, failure: Some(FailureKind::Status(503)) };
    assert_eq!(cause.to_string(), "probe_failed (status 503)");
    assert_eq!(serde_json::to_string(&cause).unwrap(), r#"{"rule":"probe_failed","failure":"status 503"}"#);
}

#[derive(Debug, Clone)]
enum Step {
    Request,
    Succeed(usize),
    Fail { which: usize, retry_after_ms: Option<u64> },
    Abort(usize),
    Lose(usize),
    Wait(u64),
    Hold,
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let retry_after = prop_oneof![4 => Just(None), 1 => (0_u64..9_000).prop_map(Some)];
    prop_oneof![
        8 => Just(Step::Request),
        3 => any::<usize>().prop_map(Step::Succeed),
        6 => (any::<usize>(), retry_after).prop_map(|(which, retry_after_ms)| Step::Fail { which, retry_after_ms }),
        1 => any::<usize>().prop_map(Step::Abort),
        1 => any::<usize>().prop_map(Step::Lose),
        4 => prop_oneof![Just(1_u64), 1_u64..2_000].prop_map(Step::Wait),
        1 => Just(Step::Hold),
        2 => Just(Step::Close),
    ]
}

/// Circuit and gate as the actor couples them, and what must be true of them.
struct World {
    now_ms: u64,
    circuit: Circuit,
    gate: Gate,
    attempts: Vec<Option<Ticket>>,
    /// The probe under way and when it counts as lost.
    probe: Option<(Ticket, u64)>,
    open_until_ms: Option<u64>,
    held: bool,
}

impl World {
    fn request(&mut self) {
        let timeout_ms = millis(self.circuit.rules().probe_timeout);
        let passed = self.gate.admit(|| self.now_ms, timeout_ms);
        let probe_lost = self.probe.is_none_or(|(_, expires_ms)| self.now_ms >= expires_ms);
        match passed {
            Ok(Pass::Normal) => {
                assert!(self.circuit.cause().is_none(), "passed an open circuit");
                self.attempts.push(None);
            }
            Ok(Pass::Probe(ticket)) => {
                assert!(!self.held, "passed a held circuit");
                assert!(
                    self.open_until_ms.is_none_or(|until_ms| self.now_ms >= until_ms),
                    "probed too early"
                );
                assert!(probe_lost, "two probes at once");
                self.open_until_ms = None;
                self.probe = Some((ticket, self.now_ms + timeout_ms));
                self.attempts.push(Some(ticket));
            }
            Err(_) => {
                let waiting = self.open_until_ms.is_some_and(|until_ms| self.now_ms < until_ms);
                assert!(self.circuit.cause().is_some(), "refused by a closed circuit");
                assert!(self.held || waiting || !probe_lost, "refused after the open period");
            }
        }
    }

    fn take(&mut self, which: usize) -> Option<Option<Ticket>> {
        (!self.attempts.is_empty()).then(|| self.attempts.swap_remove(which % self.attempts.len()))
    }

    fn ended(&mut self, which: usize, end: impl FnOnce(&mut Circuit, u64, bool) -> GateChange) {
        let Some(ticket) = self.take(which) else { return };
        let current = ticket.is_some_and(|ticket| self.gate.is_current(ticket));
        if ticket.is_some() && !current {
            return; // a probe that was given up says nothing about now
        }
        if current {
            self.probe = None;
        }
        match end(&mut self.circuit, self.now_ms, current) {
            GateChange::Stay => {}
            GateChange::Open { until_ms, cause } => {
                assert_eq!(self.circuit.cause(), Some(cause), "every trip has a cause");
                assert!(until_ms <= self.now_ms + 5_000, "open for longer than the cap");
                self.gate.set(Position::Open { until_ms });
                self.open_until_ms = Some(until_ms);
            }
            GateChange::Extend { until_ms } => {
                self.gate.extend(until_ms);
                if let Position::Open { until_ms } = self.gate.position() {
                    self.open_until_ms = Some(until_ms);
                }
            }
            GateChange::Close => self.closed(),
        }
    }

    fn closed(&mut self) {
        self.gate.set(Position::Closed);
        (self.probe, self.open_until_ms, self.held) = (None, None, false);
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Request => self.request(),
            Step::Succeed(which) => self.ended(which, |circuit, now_ms, probe| {
                if probe {
                    return circuit.close();
                }
                circuit.succeeded(now_ms, 1);
                GateChange::Stay
            }),
            Step::Fail { which, retry_after_ms } => {
                let retry_after = retry_after_ms.map(Duration::from_millis);
                let failure = Failure { kind: FailureKind::Timeout, retry_after };
                self.ended(which, |circuit, now_ms, probe| {
                    if probe {
                        circuit.probe_failed(now_ms, failure)
                    } else {
                        circuit.failed(now_ms, failure)
                    }
                });
            }
            Step::Abort(which) => {
                if let Some(Some(ticket)) = self.take(which) {
                    if self.gate.is_current(ticket) {
                        (self.probe, self.open_until_ms) = (None, Some(self.now_ms));
                    }
                    self.gate.abandon(ticket, self.now_ms);
                }
            }
            Step::Lose(which) => drop(self.take(which)),
            Step::Wait(ms) => self.now_ms += ms,
            Step::Hold => {
                self.circuit.hold();
                self.gate.set(Position::Held);
                (self.probe, self.open_until_ms, self.held) = (None, None, true);
            }
            Step::Close => {
                self.circuit.close();
                self.closed();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_passes_an_open_circuit_or_sends_two_probes(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World {
            now_ms: 0,
            circuit: Circuit::new(rules()),
            gate: Gate::default(),
            attempts: Vec::new(),
            probe: None,
            open_until_ms: None,
            held: false,
        };
        for step in steps {
            world.apply(step);
            prop_assert_eq!(world.circuit.cause().is_some(), world.gate.position() != Position::Closed);
        }
    }
}
