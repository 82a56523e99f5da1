//! What it costs to put the targets of an alias in order; the bound is 200 ns.

#![allow(missing_docs, reason = "criterion generates the entry point")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start has nothing to measure")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use tollgate_gateway::backends::circuit::CircuitRules;
use tollgate_gateway::backends::{Backends, DeploymentId, DeploymentSpec};
use tollgate_gateway::routing::{Alias, AliasTarget, candidates};

fn alias(targets: u32) -> (Backends, Alias) {
    let id =
        |number: u32| DeploymentId { backend: format!("backend-{number}").into(), model: Arc::from("model") };
    let spec = |number| DeploymentSpec { id: id(number), rules: CircuitRules::default(), capacity: None };
    let backends = Backends::start((0..targets).map(spec).collect());
    let target = |number: u32| AliasTarget {
        deployment: backends.get(&id(number)).unwrap(),
        priority: number / 4,
        weight: 10 + number,
    };
    let alias = Alias::new((0..targets).map(target).collect());
    (backends, alias)
}

fn selection(c: &mut Criterion) {
    let system = actix_rt::System::new();
    for targets in [2, 4, 8] {
        let (_backends, alias) = system.block_on(async { alias(targets) });
        let mut pick = 0_u64;
        c.bench_function(&format!("candidates of {targets} targets"), |b| {
            b.iter(|| {
                pick = pick.wrapping_add(1);
                candidates(black_box(&alias), black_box(pick))
            });
        });
    }
}

criterion_group!(benches, selection);
criterion_main!(benches);
