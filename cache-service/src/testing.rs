//! Small builders shared by this crate's unit tests.

use rand_free::Sequence;
use serde_json::value::RawValue;
use tollgate_schemas::cache::CachePartition;
use tollgate_schemas::ids::EventId;
use uuid::Uuid;

use crate::index::Entry;

/// The moment at which the tests happen, ms since the Unix epoch.
pub(crate) fn now() -> i64 {
    1_795_000_000_000
}

pub(crate) fn id(n: u64) -> EventId {
    EventId(Uuid::from_u128(u128::from(n)))
}

/// The one partition of a tenant.
pub(crate) fn partition(tenant: &str) -> CachePartition {
    CachePartition {
        tenant: tenant.into(),
        scope: "tenant".into(),
        model: "gpt".into(),
        context_hash: "c0".into(),
    }
}

/// Entry `n` with id `n`, exact key `key-n` and answer `{"answer":n}`, not to be found by meaning.
pub(crate) fn entry(tenant: &str, n: u64) -> Entry {
    Entry {
        event_id: id(n),
        partition: partition(tenant),
        exact_key: format!("key-{n}").into(),
        meaning: None,
        stored_at_ms: now(),
        expires_at_ms: now() + 60_000,
        response: RawValue::from_string(format!("{{\"answer\":{n}}}")).unwrap(),
    }
}

/// A unit vector that depends on `seed` alone; two of them are far apart.
pub(crate) fn unit_vector(seed: u64, dimensions: usize) -> Vec<f32> {
    let mut sequence = Sequence(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let vector: Vec<f32> = (0..dimensions).map(|_| sequence.next()).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter().map(|x| x / length).collect()
}

mod rand_free {
    /// A xorshift generator; good enough to tell vectors apart.
    pub(super) struct Sequence(pub(super) u64);

    impl Sequence {
        /// Between -1 and 1.
        pub(super) fn next(&mut self) -> f32 {
            for (left, by) in [(true, 13), (false, 7), (true, 17)] {
                self.0 ^= if left { self.0 << by } else { self.0 >> by };
            }
            (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        }
    }
}
