//! What it costs to put the targets of an alias in order; the bound is 200 ns.

#![allow(missing_docs, reason = "criterion generates the entry point")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use tollgate_backends::circuit::CircuitRules;
use tollgate_backends::routing::{Alias, AliasTarget, Pick, Strategy, candidates};
use tollgate_backends::{AttemptClass, AttemptOutcome, Backends, Deployment, DeploymentId, DeploymentSpec};

fn id(number: u32) -> DeploymentId {
    DeploymentId { backend: format!("backend-{number}").into(), model: Arc::from("model") }
}

/// One priority group, so that every target takes part in the choice.
fn alias(targets: u32, strategy: Strategy) -> (Backends, Alias) {
    let spec = |number| DeploymentSpec { id: id(number), rules: CircuitRules::default(), capacity: None };
    let backends = Backends::start((0..targets).map(spec).collect());
    let target = |number: u32| {
        let deployment = backends.get(&id(number)).unwrap();
        measured(&deployment, number);
        AliasTarget { deployment, priority: 1, weight: 10 + number, preferred: false }
    };
    let alias = Alias::new((0..targets).map(target).collect(), strategy);
    (backends, alias)
}

/// A first answer, so that its latency is known.
fn measured(deployment: &Deployment, number: u32) {
    let first_byte = Duration::from_millis(20 + u64::from(number));
    deployment.admit().unwrap().report(AttemptOutcome {
        class: AttemptClass::Success,
        latency: 2 * first_byte,
        first_byte: Some(first_byte),
        retry_after: None,
        tokens: None,
    });
}

fn selection(c: &mut Criterion) {
    let system = actix_rt::System::new();
    let strategies = [
        ("weighted", Strategy::Weighted, false),
        ("round robin", Strategy::RoundRobin, false),
        ("least busy", Strategy::LeastBusy, false),
        ("latency", Strategy::Latency, false),
        ("session", Strategy::Weighted, true),
    ];
    for (name, strategy, with_session) in strategies {
        for targets in [2, 8] {
            let (_backends, alias) = system.block_on(async { alias(targets, strategy) });
            let mut random = 0_u64;
            c.bench_function(&format!("{name}, {targets} targets"), |b| {
                b.iter(|| {
                    random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
                    let pick = Pick { random, session: with_session.then_some(random), tokens: 500 };
                    candidates(black_box(&alias), black_box(pick))
                });
            });
        }
    }
}

criterion_group!(benches, selection);
criterion_main!(benches);
