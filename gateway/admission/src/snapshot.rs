//! What runs, waits and was refused, for operators and metrics.

use std::sync::Arc;

use serde::Serialize;

use super::{Admission, MemoryBudget};

/// The load of the process and of the backends that have a bound of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OverloadSnapshot {
    /// Requests in the process.
    pub requests: AdmissionSnapshot,
    /// Bodies and whole answers.
    pub memory: MemorySnapshot,
    /// Requests at backends, by name.
    pub backends: Vec<BackendLoad>,
}

/// One admission.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AdmissionSnapshot {
    /// Requests that run now.
    pub running: usize,
    /// Requests that may run at a time.
    pub max_running: usize,
    /// Requests that wait now.
    pub waiting: usize,
    /// Requests that may wait at a time.
    pub max_waiting: usize,
    /// Requests refused since the start, or since there is a bound.
    pub refused: u64,
}

/// A memory budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemorySnapshot {
    /// Bytes that are held now.
    pub used_bytes: u64,
    /// Bytes that may be held.
    pub max_bytes: u64,
    /// Times something had to be refused since the start.
    pub refused: u64,
}

/// A backend with a bound of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackendLoad {
    /// Its name.
    pub backend: Arc<str>,
    /// Its requests.
    #[serde(flatten)]
    pub requests: AdmissionSnapshot,
}

impl From<&Admission> for AdmissionSnapshot {
    fn from(admission: &Admission) -> Self {
        let rules = admission.rules();
        Self {
            running: admission.running(),
            max_running: rules.max_running,
            waiting: admission.waiting(),
            max_waiting: rules.max_waiting,
            refused: admission.refused(),
        }
    }
}

impl From<&MemoryBudget> for MemorySnapshot {
    fn from(memory: &MemoryBudget) -> Self {
        Self { used_bytes: memory.used_bytes(), max_bytes: memory.max_bytes(), refused: memory.refused() }
    }
}
