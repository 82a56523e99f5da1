//! What outlives a configuration.

use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_admission::{Admission, AdmissionRules, MemoryBudget};
use tollgate_backends::Backends;
use tollgate_config::OverloadConfig;
use tollgate_limits::Limiters;

use crate::kept::Kept;

/// The live state of a gateway. [`crate::compile()`] adjusts it to a configuration; nothing else changes its bounds.
#[derive(Debug)]
pub struct Runtime {
    /// Health, circuits and committed capacity of the deployments.
    pub backends: Backends,
    /// Counters of limits.
    pub limiters: Limiters,
    /// Bounds the requests of the process.
    pub admission: Arc<Admission>,
    /// Bounds the memory of bodies and whole answers.
    pub memory: Arc<MemoryBudget>,
    /// Held by whoever compiles, from the first look to the last change.
    pub(crate) kept: Mutex<Kept>,
}

impl Runtime {
    /// Starts without deployments, with actors on threads of their own. Must be called inside an actix system.
    #[must_use]
    pub fn start() -> Self {
        Self::new(Backends::start(Vec::new()), Limiters::start())
    }

    /// With deployments and limiters that run already.
    #[must_use]
    pub fn new(backends: Backends, limiters: Limiters) -> Self {
        let overload = OverloadConfig::default();
        Self {
            backends,
            limiters,
            admission: Admission::new(admission_rules(&overload)),
            memory: MemoryBudget::new(overload.max_memory.0),
            kept: Mutex::default(),
        }
    }
}

/// The bounds of the process.
pub(crate) fn admission_rules(overload: &OverloadConfig) -> AdmissionRules {
    AdmissionRules {
        max_running: overload.max_running,
        max_waiting: overload.max_waiting,
        max_wait: overload.max_wait.0,
    }
}
