//! What admission costs a request: tokens from a lease, and a pass through a circuit's gate.

#![allow(missing_docs, reason = "criterion generates the entry point")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use tollgate_backends::circuit::CircuitRules;
use tollgate_backends::{AttemptClass, AttemptOutcome, Backends, DeploymentId, DeploymentSpec};
use tollgate_limits::{
    Consumed, CounterKey, KeySource, Limit, LimitRule, Limiters, Meter, Scope, Span, Subject, Window,
};

fn limit() -> Limit {
    let rule = LimitRule {
        name: "tokens_per_minute".into(),
        scope: Scope::Subscription,
        meter: Meter::Tokens,
        window: Window::Sliding(Span::Minute),
        amount: 1_000_000_000,
    };
    let subject = Subject::Subscription { subscription: "bench".into() };
    let key = KeySource::Fixed(CounterKey::new(&"product".into(), &rule, subject));
    Limit { rule: Arc::new(rule), key }
}

fn limits(c: &mut Criterion) {
    let system = actix_rt::System::new();
    let limiters = system.block_on(async { Limiters::start() });
    let limits = [limit()];
    let consumed = Consumed { input: 1, output: 0 };
    // The first request of a key waits for its actor; the measured ones do not.
    system.block_on(limiters.reserve(&limits, &500, 0)).unwrap().settle(&consumed);
    c.bench_function("reserve and settle from the lease", |b| {
        b.iter(|| {
            let reservation = limiters.reserve(black_box(&limits), &500, 0).now_or_never();
            reservation.unwrap().unwrap().settle(black_box(&consumed));
        });
    });
}

fn circuits(c: &mut Criterion) {
    let system = actix_rt::System::new();
    let id = DeploymentId { backend: "backend".into(), model: "model".into() };
    let spec = DeploymentSpec { id: id.clone(), rules: CircuitRules::default(), capacity: None };
    let backends = system.block_on(async { Backends::start(vec![spec]) });
    let deployment = backends.get(&id).unwrap();
    let outcome = AttemptOutcome {
        class: AttemptClass::Success,
        latency: Duration::from_millis(300),
        first_byte: Some(Duration::from_millis(120)),
        retry_after: None,
        tokens: None,
    };
    c.bench_function("admit and report a success", |b| {
        b.iter(|| black_box(&deployment).admit().unwrap().report(black_box(outcome)));
    });
}

criterion_group!(benches, limits, circuits);
criterion_main!(benches);
