//! Changes of a circuit: those that other replicas are told, and those that they report.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::circuit::Cause;
use super::deployment_id::DeploymentId;

/// A circuit of this process has moved, by its rules or by an operator, not because of another replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Whose circuit.
    pub id: DeploymentId,
    /// What it became.
    pub change: Change,
}

/// What a circuit became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Open for `left` from now on.
    Opened {
        /// Until a probe may go.
        left: Duration,
        /// Why.
        cause: Cause,
    },
    /// Open until an operator closes it.
    Held,
    /// Closed.
    Closed {
        /// Whether an operator did it, rather than a probe.
        by_operator: bool,
    },
}

/// A change that another replica reports of its circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Name of the replica.
    pub replica: Arc<str>,
    /// The change.
    pub change: RemoteChange,
}

/// What another replica's circuit became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteChange {
    /// Open for another `left`.
    Opened {
        /// Until a probe may go.
        left: Duration,
    },
    /// Open until an operator closes it.
    Held,
    /// Closed.
    Closed {
        /// Whether an operator did it, rather than a probe.
        by_operator: bool,
    },
}

/// Is told of each transition by the actor that made it; must not wait.
pub type Listener = Arc<dyn Fn(Transition) + Send + Sync>;

/// Where the actors find their listener.
#[derive(Default)]
pub(super) struct Listening(OnceLock<Listener>);

impl Listening {
    /// Sets the listener; the first one stays.
    pub(super) fn set(&self, listener: Listener) {
        let _ = self.0.set(listener);
    }

    pub(super) fn tell(&self, transition: impl FnOnce() -> Transition) {
        if let Some(listener) = self.0.get() {
            listener(transition());
        }
    }
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listening").field(&self.0.get().is_some()).finish()
    }
}
