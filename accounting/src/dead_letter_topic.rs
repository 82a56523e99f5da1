//! Copies dead letters to their topic. Best effort: the row in the ledger is the durable one.
//!
//! Invariant: nothing here blocks the consumer for more than [`SEND_WAIT`] a record.

use std::sync::Arc;
use std::time::Duration;

use tollgate_eventlog::{Delivery, DeliveryError, EventLog, Producer, SendError};

use crate::dead_letter::DeadLetter;
use crate::telemetry::Metrics;

/// Longest wait for room in the producer's queue.
const SEND_WAIT: Duration = Duration::from_millis(50);
/// Longest wait for outstanding deliveries at the end.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct DeadLetterTopic {
    log: Arc<dyn EventLog>,
    metrics: Metrics,
    producer: Open,
}

/// The producer is made with the first dead letter: most services never need it.
enum Open {
    NotYet,
    Producer(Box<dyn Producer>),
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotYet => "NotYet",
            Self::Producer(_) => "Producer",
        })
    }
}

impl DeadLetterTopic {
    pub(crate) fn new(log: Arc<dyn EventLog>, metrics: Metrics) -> Self {
        Self { log, metrics, producer: Open::NotYet }
    }

    pub(crate) fn send(&mut self, letter: &DeadLetter) {
        if let Err(error) = self.try_send(letter) {
            tracing::warn!(error, "dead letter not copied to its topic");
            self.metrics.dead_letter_topic_failures.inc();
        }
    }

    fn try_send(&mut self, letter: &DeadLetter) -> Result<(), String> {
        if matches!(self.producer, Open::NotYet) {
            self.producer = Open::Producer(self.log.producer().map_err(|error| error.to_string())?);
        }
        let Open::Producer(producer) = &mut self.producer else { return Ok(()) };
        let mut done = Vec::new();
        let outcome = match producer.send(letter.to_record(), 0) {
            Err(SendError::Full(record)) => {
                producer.poll(SEND_WAIT, &mut done);
                producer.send(record, 0)
            }
            outcome => outcome,
        };
        self.settle(done);
        outcome.map_err(|error| error.to_string())
    }

    /// Takes note of deliveries; returns at once.
    pub(crate) fn poll(&mut self) {
        self.wait(Duration::ZERO);
    }

    pub(crate) fn close(&mut self) {
        self.wait(CLOSE_WAIT);
    }

    fn wait(&mut self, time: Duration) {
        if let Open::Producer(producer) = &mut self.producer
            && producer.in_flight() > 0
        {
            let mut done = Vec::new();
            producer.poll(time, &mut done);
            self.settle(done);
        }
    }

    fn settle(&mut self, done: Vec<Delivery>) {
        for error in done.into_iter().filter_map(|delivery| delivery.result.err()) {
            tracing::warn!(%error, "dead letter not copied to its topic");
            self.metrics.dead_letter_topic_failures.inc();
            if matches!(error, DeliveryError::Fatal(_)) {
                self.producer = Open::NotYet;
            }
        }
    }
}
