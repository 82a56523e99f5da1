//! Reads what circuits of other replicas became, and applies it to the circuits here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tollgate_backends::Backends;
use tollgate_eventlog::{EventLog, InRecord, LogError, Tail, Topic};

use super::{Replica, event};
use crate::telemetry::background::ReplicaMetrics;
use tollgate_base::time::now_ms;

/// How long one look at the log may wait; the thread ends within that.
const LOOK: Duration = Duration::from_millis(500);
/// Pause after the log could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// The thread that reads.
#[derive(Debug)]
pub(super) struct Follower {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    pub(super) fn start(
        log: Arc<dyn EventLog>,
        backends: Backends,
        me: Replica,
        metrics: ReplicaMetrics,
    ) -> io::Result<Self> {
        let stopping = Arc::<AtomicBool>::default();
        let work = Work { log, backends, me, metrics, stopping: Arc::clone(&stopping), failing: false };
        let thread = std::thread::Builder::new().name("replicas-follow".to_owned()).spawn(|| work.run())?;
        Ok(Self { stopping, thread: Some(thread) })
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            // A panicked thread has nothing more to say.
            let _ = thread.join();
        }
    }
}

struct Work {
    log: Arc<dyn EventLog>,
    backends: Backends,
    me: Replica,
    metrics: ReplicaMetrics,
    stopping: Arc<AtomicBool>,
    /// Whether the last look failed; said once.
    failing: bool,
}

impl Work {
    fn run(mut self) {
        let mut tail: Option<Box<dyn Tail>> = None;
        let mut records = Vec::new();
        let mut known = self.backends.made();
        while !self.stopping.load(Ordering::Relaxed) {
            let made = self.backends.made();
            if std::mem::replace(&mut known, made) != made {
                // A new configuration has deployments that were passed over so far; read again, for the others nothing
                // changes.
                tail = None;
            }
            let looked = match &mut tail {
                Some(tail) => tail.poll(LOOK, &mut records),
                None => self.log.tail(Topic::BackendState).map(|new| tail = Some(new)),
            };
            for record in records.drain(..) {
                self.apply_remote(&record);
            }
            if let Err(error) = looked {
                // A new reader starts at the beginning; what is known already changes nothing.
                tail = None;
                self.failed(&error);
                std::thread::park_timeout(PAUSE);
            } else {
                self.failing = false;
            }
        }
    }

    fn apply_remote(&self, record: &InRecord) {
        let Some(state) = event::read(record) else { return };
        let Some((id, remote)) = event::remote_change(&self.me, &state, now_ms()) else { return };
        if self.backends.hear(&id, remote) {
            self.metrics.heard();
        }
    }

    fn failed(&mut self, error: &LogError) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "circuits of other replicas cannot be read");
        }
    }
}
