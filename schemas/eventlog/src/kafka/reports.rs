//! Delivery reports on their way from librdkafka's callback to the caller.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::record::headers_of;
use super::settings::{Reporter, Settings};
use crate::port::{DeliveryError, OutRecord, Topic};

/// The timestamp of a record that has none. Brokers do not check it, and count the age of a segment that has only such
/// records from its file's time.
pub(super) const NO_TIMESTAMP: i64 = -1;

/// What travels through librdkafka with a record and comes back in its report. A failed message no longer tells its
/// timestamp.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) token: u64,
    pub(super) timestamp_ms: i64,
}

#[derive(Debug)]
pub(super) struct Report {
    pub(super) token: u64,
    /// Partition and offset.
    pub(super) result: Result<(i32, i64), RDKafkaErrorCode>,
    pub(super) topic: Option<Topic>,
    /// The record as it is to be sent once more; `None` if that would not help.
    pub(super) resend: Option<OutRecord>,
}

/// Collects the reports of all clients of one producer.
#[derive(Debug, Default)]
pub(super) struct Shared {
    done: Mutex<Vec<Report>>,
    pub(super) reporter: Reporter,
}

impl Shared {
    pub(super) fn report(&self, report: Report) {
        self.done.lock().push(report);
    }

    pub(super) fn len(&self) -> usize {
        self.done.lock().len()
    }

    pub(super) fn take(&self) -> Vec<Report> {
        std::mem::take(&mut *self.done.lock())
    }
}

/// Whether a client sends several records in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Batching {
    Joint,
    Single,
}

pub(super) struct Reports {
    shared: Arc<Shared>,
    batching: Batching,
    settings: Arc<Settings>,
}

impl Reports {
    pub(super) fn new(shared: Arc<Shared>, batching: Batching, settings: Arc<Settings>) -> Self {
        Self { shared, batching, settings }
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        Reporter::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.shared.reporter.error(&error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, outcome: &DeliveryResult<'_>, sent: Box<Sent>) {
        let (result, message) = match outcome {
            Ok(message) => (Ok((message.partition(), message.offset())), message),
            Err((error, message)) => {
                (Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)), message)
            }
        };
        let topic = self.settings.topic(message.topic());
        let resend = match (result, topic) {
            (Err(code), Some(topic)) => to_resend(code, self.batching, || out_record(topic, message, *sent)),
            _ => None,
        };
        if result.is_ok() {
            self.shared.reporter.reached();
        }
        self.shared.report(Report { token: sent.token, result, topic, resend });
    }
}

/// The record to send once more in a batch of its own; `None` if that would not help.
///
/// Brokers refuse whole batching: for their size, and for any record in them that is invalid.
fn to_resend(
    code: RDKafkaErrorCode,
    batching: Batching,
    record: impl FnOnce() -> OutRecord,
) -> Option<OutRecord> {
    match (code, batching) {
        (code, Batching::Joint) if refuses_the_batch(code) => Some(record()),
        // Alone and still too far from the broker's clock: the event's own time is in the data.
        (RDKafkaErrorCode::InvalidTimestamp, Batching::Single) => {
            let record = record();
            (record.timestamp_ms != NO_TIMESTAMP)
                .then_some(OutRecord { timestamp_ms: NO_TIMESTAMP, ..record })
        }
        _ => None,
    }
}

fn refuses_the_batch(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidTimestamp
    )
}

/// What a failed delivery asks of the caller, when sending again alone has not helped.
pub(super) fn classify(code: RDKafkaErrorCode) -> DeliveryError {
    match code {
        RDKafkaErrorCode::Fatal => DeliveryError::Fatal(code.to_string()),
        // The record is good: it goes through once the clocks agree.
        RDKafkaErrorCode::InvalidTimestamp => {
            DeliveryError::Retry(format!("{code}: this machine's clock and the broker's differ too much"))
        }
        code if refuses_the_batch(code) => DeliveryError::Refused(code.to_string()),
        _ => DeliveryError::Retry(code.to_string()),
    }
}

fn out_record(topic: Topic, message: &BorrowedMessage<'_>, sent: Sent) -> OutRecord {
    OutRecord {
        topic,
        key: message.key().map_or_else(Bytes::new, Bytes::copy_from_slice),
        headers: headers_of(message),
        payload: message.payload().map(Bytes::copy_from_slice),
        timestamp_ms: sent.timestamp_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RDKafkaErrorCode as Code;

    fn record(timestamp_ms: i64) -> OutRecord {
        OutRecord {
            topic: Topic::Usage,
            key: Bytes::from_static(b"k"),
            headers: Vec::new(),
            payload: None,
            timestamp_ms,
        }
    }

    #[test]
    fn errors_ask_for_the_right_reaction() {
        for code in [Code::MessageTimedOut, Code::NotEnoughReplicas, Code::TopicAuthorizationFailed] {
            assert!(matches!(classify(code), DeliveryError::Retry(_)), "{code}");
        }
        for code in [Code::MessageSizeTooLarge, Code::MessageBatchTooLarge, Code::InvalidRecord] {
            assert!(matches!(classify(code), DeliveryError::Refused(_)), "{code}");
        }
        assert!(matches!(classify(Code::Fatal), DeliveryError::Fatal(_)));
    }

    #[test]
    fn a_clock_that_is_ahead_makes_no_record_a_refused_one() {
        assert!(matches!(classify(Code::InvalidTimestamp), DeliveryError::Retry(_)));
    }

    #[test]
    fn a_refusal_of_the_batch_is_none_of_its_records() {
        for code in [Code::MessageSizeTooLarge, Code::MessageBatchTooLarge, Code::InvalidRecord] {
            assert!(to_resend(code, Batching::Joint, || record(7)).is_some(), "{code}");
            assert!(to_resend(code, Batching::Single, || record(7)).is_none(), "{code}");
        }
        assert!(to_resend(Code::MessageTimedOut, Batching::Joint, || record(7)).is_none());
    }

    #[test]
    fn a_refused_timestamp_is_first_tried_alone_and_then_left_out() {
        let first = to_resend(Code::InvalidTimestamp, Batching::Joint, || record(7)).unwrap();
        assert_eq!(first.timestamp_ms, 7);
        let second = to_resend(Code::InvalidTimestamp, Batching::Single, || first).unwrap();
        assert_eq!(second.timestamp_ms, NO_TIMESTAMP);
        assert!(to_resend(Code::InvalidTimestamp, Batching::Single, || second).is_none());
    }
}
