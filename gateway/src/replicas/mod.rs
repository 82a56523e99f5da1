//! What replicas of the gateway know of each other's circuits, through the event log.
//!
//! [`event`] turns transitions into events and back (pure), [`outbox`] keeps the last word on each circuit
//! until the log has it (pure), [`publish`] and [`follow`] are the two threads that write and read the
//! compacted topic. Each replica reads all of it, so one that starts knows what is open already.
//!
//! Invariants:
//! * no request, and no actor, ever waits for the log; without it each replica knows what it finds out;
//! * remote updates are never rebroadcast;
//! * a circuit that opened elsewhere is open here no longer than the rules here allow.

use std::io;
use std::sync::Arc;

use tollgate_eventlog::EventLog;
use tollgate_schemas::ids::BootId;

pub mod event;
mod follow;
mod outbox;
mod publish;

use self::follow::Follower;
use self::publish::Publisher;
use crate::telemetry::background::ReplicaMetrics;
use tollgate_backends::Backends;

/// Who this replica is.
#[derive(Debug, Clone)]
pub struct Replica {
    /// Configured name.
    pub gateway_id: Arc<str>,
    /// This run.
    pub boot_id: BootId,
}

/// The running threads. Dropped, they stop.
#[derive(Debug)]
pub struct Replicas {
    publisher: Publisher,
    follower: Follower,
}

impl Replicas {
    /// Starts to tell the other replicas of the circuits of `backends`, and to heed theirs.
    ///
    /// # Errors
    /// When a thread cannot be started. A log that cannot be reached is no error.
    pub fn start(
        log: Arc<dyn EventLog>,
        backends: &Backends,
        me: Replica,
        metrics: &ReplicaMetrics,
    ) -> io::Result<Self> {
        let publisher = Publisher::start(Arc::clone(&log), metrics.clone())?;
        backends.listen(publisher.listener(me.clone(), metrics.clone()));
        let follower = Follower::start(log, backends.clone(), me, metrics.clone())?;
        Ok(Self { publisher, follower })
    }

    /// Asks both threads to end; they do so within about a second.
    pub fn stop(&self) {
        self.publisher.stop();
        self.follower.stop();
    }
}

#[cfg(test)]
mod tests;
