//! Writes what circuits here became to the log: actors leave it in a bounded queue, a thread takes it on.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tollgate_base::time::now_ms;

use tollgate_backends::transition::Listener;
use tollgate_eventlog::{DeliveryError, EventLog, Producer, SendError};
use tollgate_schemas::backend_state::BackendState;

use super::outbox::Outbox;
use super::{Replica, event};
use crate::telemetry::background::ReplicaMetrics;

/// Transitions that may wait for the thread; further ones are dropped and counted.
const QUEUE: usize = 1_024;
/// How often deliveries are looked at while there are some.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Pause after the log refused a producer.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the last transitions may take to reach the log at the end.
const FLUSH: Duration = Duration::from_millis(500);

enum Message {
    Say(BackendState),
    Stop,
}

/// The thread that writes.
#[derive(Debug)]
pub(super) struct Publisher {
    queue: SyncSender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    pub(super) fn start(log: Arc<dyn EventLog>, metrics: ReplicaMetrics) -> io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE);
        let work = Work { log, messages, metrics, outbox: Outbox::default(), producer: None, retry_at: None };
        let thread = std::thread::Builder::new().name("replicas-publish".to_owned()).spawn(|| work.run())?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// What actors tell their transitions to. Never waits.
    pub(super) fn listener(&self, me: Replica, metrics: ReplicaMetrics) -> Listener {
        let queue = self.queue.clone();
        Arc::new(move |transition| {
            let state = event::state(&me, &transition, now_ms());
            match queue.try_send(Message::Say(state)) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => metrics.dropped(),
                Err(TrySendError::Disconnected(_)) => {} // the gateway stops
            }
        })
    }

    pub(super) fn stop(&self) {
        // A full queue has plenty to wake the thread with; it finds the end when the queue is dropped.
        let _ = self.queue.try_send(Message::Stop);
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.queue.send(Message::Stop);
        if let Some(thread) = self.thread.take() {
            // A panicked thread has nothing more to say.
            let _ = thread.join();
        }
    }
}

struct Work {
    log: Arc<dyn EventLog>,
    messages: Receiver<Message>,
    metrics: ReplicaMetrics,
    outbox: Outbox,
    producer: Option<Box<dyn Producer>>,
    /// No producer is asked for before.
    retry_at: Option<Instant>,
}

impl Work {
    fn run(mut self) {
        while self.take_messages() {
            self.send();
        }
        let deadline = Instant::now() + FLUSH;
        while !self.outbox.is_empty() && Instant::now() < deadline {
            self.send();
        }
    }

    /// Waits for transitions if there is nothing else to do; false at the end.
    fn take_messages(&mut self) -> bool {
        let mut wait = if self.outbox.is_empty() { None } else { Some(LOOK_EVERY) };
        loop {
            let message = match wait {
                None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => self.messages.recv_timeout(wait),
            };
            match message {
                Ok(Message::Say(state)) => {
                    if !self.outbox.put(state) {
                        self.metrics.dropped();
                    }
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => return true,
            }
            wait = Some(Duration::ZERO);
        }
    }

    /// Hands to the log what waits, and looks at what became of the rest.
    fn send(&mut self) {
        let Some(mut producer) = self.producer.take().or_else(|| self.new_producer()) else {
            std::thread::sleep(LOOK_EVERY);
            return;
        };
        while let Some((token, state)) = self.outbox.next(now_ms()) {
            let Ok(record) = event::record(&state) else {
                self.outbox.done(token);
                continue;
            };
            match producer.send(record, token) {
                Ok(()) => {}
                Err(SendError::Full(_)) => {
                    self.outbox.again(token);
                    break;
                }
                Err(SendError::Refused(reason)) => self.refused(token, &reason),
            }
        }
        let mut deliveries = Vec::new();
        producer.poll(LOOK_EVERY, &mut deliveries);
        let mut broken = false;
        for delivery in deliveries {
            match delivery.result {
                Ok(_) => {
                    self.outbox.done(delivery.token);
                    self.metrics.published();
                }
                Err(DeliveryError::Retry(_)) => self.outbox.again(delivery.token),
                Err(DeliveryError::Refused(reason)) => self.refused(delivery.token, &reason),
                Err(DeliveryError::Fatal(_)) => broken = true,
            }
        }
        if broken {
            self.outbox.all_again();
        } else {
            self.producer = Some(producer);
        }
    }

    fn new_producer(&mut self) -> Option<Box<dyn Producer>> {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return None;
        }
        self.retry_at = Some(Instant::now() + PAUSE);
        self.log
            .producer()
            .inspect_err(|error| tracing::warn!(%error, "circuits cannot be told to other replicas"))
            .ok()
    }

    fn refused(&mut self, token: u64, reason: &str) {
        tracing::warn!(reason, "the event log refused the state of a circuit");
        self.metrics.dropped();
        self.outbox.done(token);
    }
}
