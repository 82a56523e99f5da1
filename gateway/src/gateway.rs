//! What all workers share, and what each has for itself.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use tollgate_admission::snapshot::{AdmissionSnapshot, BackendLoad};
use tollgate_admission::{Admission, MemoryBudget, OverloadSnapshot};
use tollgate_backends::Backends;
use tollgate_backends::call::Caller;
use tollgate_ledger::Ledger;
use tollgate_limits::Limiters;
use tollgate_runtime::snapshot::Snapshot;

use crate::cache_port::CacheLookup;
use crate::stored::response_ids::ResponseIds;
use crate::telemetry::metrics::Metrics;

/// Shared by all workers of the process.
pub struct Gateway {
    /// The current configuration; a request loads it once.
    pub snapshot: ArcSwap<Snapshot>,
    /// Health and circuits of the deployments.
    pub backends: Backends,
    /// Token limits.
    pub limiters: Limiters,
    /// Where every attempt is written down.
    pub ledger: Ledger,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Bounds the requests that run at a time.
    pub admission: Arc<Admission>,
    /// Bounds the memory of bodies and whole answers.
    pub memory: Arc<MemoryBudget>,
    /// Binds stored answers to their owners.
    pub response_ids: ResponseIds,
    /// Set while the gateway drains.
    pub stopping: AtomicBool,
}

impl Gateway {
    /// Whether the gateway takes no new requests.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// What runs, waits and was refused.
    #[must_use]
    pub fn load(&self) -> OverloadSnapshot {
        let snapshot = self.snapshot.load();
        let bounded = snapshot.backends.iter().filter_map(|(name, backend)| {
            let requests = AdmissionSnapshot::from(&**backend.admission.as_ref()?);
            Some(BackendLoad { backend: Arc::clone(name), requests })
        });
        let mut backends: Vec<BackendLoad> = bounded.collect();
        backends.sort_by(|a, b| a.backend.cmp(&b.backend));
        OverloadSnapshot {
            requests: AdmissionSnapshot::from(&*self.admission),
            memory: (&*self.memory).into(),
            backends,
        }
    }
}

/// What one worker thread works with.
pub struct Worker {
    /// Shared by all workers.
    pub gateway: Arc<Gateway>,
    /// This thread's connections to backends.
    pub caller: Rc<Caller>,
    /// Asks the cache; `None` without a cache service.
    pub cache: Option<Rc<dyn CacheLookup>>,
}
