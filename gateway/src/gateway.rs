//! What all workers share, and what each has for itself.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};
use tollgate_admission::snapshot::{AdmissionSnapshot, BackendLoad};
use tollgate_admission::{Admission, MemoryBudget, OverloadSnapshot};
use tollgate_backends::Backends;
use tollgate_backends::call::BackendClient;
use tollgate_config::Config;
use tollgate_ledger::Ledger;
use tollgate_limits::Limiters;
use tollgate_runtime::{Runtime, Snapshot, compile};
use tollgate_settings::Mistakes;

use crate::cache_port::CacheLookup;
use crate::pending::Pending;
use crate::stored::Bound;
use crate::stored::idempotency::IdempotencyKeys;
use crate::stored::response_ids::ResponseIds;
use crate::telemetry::metrics::Metrics;

/// Shared by all workers of the process.
pub struct Gateway {
    /// The current configuration; a request loads it once.
    pub snapshot: ArcSwap<Snapshot>,
    /// What outlives a configuration. Some of it stands below once more, for short.
    pub runtime: Runtime,
    /// Health and circuits of the deployments.
    pub backends: Backends,
    /// Token limits.
    pub limiters: Limiters,
    /// Where every attempt is written down.
    pub ledger: Ledger,
    pub metrics: Arc<Metrics>,
    /// Answers whose models go on after them.
    pub pending: Pending,
    /// Bounds the requests that run at a time.
    pub admission: Arc<Admission>,
    /// Bounds the memory of bodies and whole answers.
    pub memory: Arc<MemoryBudget>,
    /// Binds stored answers to their owners.
    pub response_ids: ResponseIds,
    /// Binds idempotency keys to their owners.
    pub idempotency_keys: IdempotencyKeys,
    /// Set while the gateway drains.
    pub stopping: AtomicBool,
    /// Told whenever the snapshot was replaced; one task may wait.
    pub replaced: Notify,
    /// Held from compiling to storing, so that the configuration in use is the one that the runtime was adjusted to.
    replacing: Mutex<()>,
}

impl Gateway {
    /// A gateway that serves this snapshot of `runtime`.
    pub(crate) fn new(
        snapshot: Snapshot,
        runtime: Runtime,
        ledger: Ledger,
        pending: Pending,
        bound: Bound,
    ) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            backends: runtime.backends.clone(),
            limiters: runtime.limiters.clone(),
            admission: Arc::clone(&runtime.admission),
            memory: Arc::clone(&runtime.memory),
            runtime,
            ledger,
            metrics: Arc::new(Metrics::new()),
            pending,
            response_ids: bound.response_ids,
            idempotency_keys: bound.idempotency_keys,
            stopping: AtomicBool::new(false),
            replaced: Notify::new(),
            replacing: Mutex::new(()),
        }
    }

    /// Replaces the configuration. Requests that run keep the one that they began with; no counter is reset, no
    /// connection and no stream is cut. Reads files, so not to be called on a worker.
    ///
    /// # Errors
    /// Every mistake of the configuration, and every field that needs a restart; then nothing has changed.
    pub fn replace(&self, config: &Config) -> Result<(), Mistakes> {
        let _replacing = self.replacing.lock();
        let snapshot = compile(config, &self.runtime)?;
        self.snapshot.store(Arc::new(snapshot));
        self.replaced.notify_one();
        tracing::info!("the configuration was replaced");
        Ok(())
    }

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
    pub caller: Rc<BackendClient>,
    /// Asks the cache service, where the configuration has one.
    pub cache: Rc<dyn CacheLookup>,
    /// Whose turn it is to decode a compressed body: one at a time, so that the memory of decoders is bounded.
    pub decoders: Semaphore,
}
