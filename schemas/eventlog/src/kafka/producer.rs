//! Hands records to librdkafka and collects its delivery reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};

use super::settings::{Reporter, Settings, config_error};
use crate::{Delivery, DeliveryError, LogError, OutRecord, Position, Producer, SendError, Topic};

/// librdkafka is asked for reports this often while some are awaited. It is never asked to wait itself: the client
/// library turns what is left of a wait into whole milliseconds, so that each wait ends with one of spinning.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Reports come when [`Producer::poll`] is called, in the caller's thread.
pub(super) struct KafkaProducer {
    client: BaseProducer<Reports>,
    reports: Arc<Shared>,
    names: [(Topic, String); Topic::ALL.len()],
    in_flight: usize,
}

/// Delivery reports on their way from librdkafka's callback to the caller.
#[derive(Debug, Default)]
struct Shared {
    done: Mutex<Vec<Report>>,
    reporter: Reporter,
}

#[derive(Debug)]
struct Report {
    token: u64,
    result: Result<(i32, i64), RDKafkaErrorCode>,
    topic: Option<Topic>,
}

struct Reports {
    shared: Arc<Shared>,
    names: [(Topic, String); Topic::ALL.len()],
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
    type DeliveryOpaque = usize;

    fn delivery(&self, outcome: &DeliveryResult<'_>, token: usize) {
        let (result, message) = match outcome {
            Ok(message) => (Ok((message.partition(), message.offset())), message),
            Err((error, message)) => {
                (Err(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown)), message)
            }
        };
        let topic = self.names.iter().find(|(_, name)| name == message.topic()).map(|(topic, _)| *topic);
        if result.is_ok() {
            self.shared.reporter.reached();
        }
        self.shared.report(Report { token: token as u64, result, topic });
    }
}

impl Shared {
    fn report(&self, report: Report) {
        self.done.lock().push(report);
    }
}

impl KafkaProducer {
    pub(super) fn new(settings: &Settings) -> Result<Self, LogError> {
        let reports = Arc::new(Shared::default());
        let names = Topic::ALL.map(|topic| (topic, settings.name(topic)));
        let context = Reports { shared: Arc::clone(&reports), names: names.clone() };
        let client = settings.producer().create_with_context(context).map_err(config_error)?;
        Ok(Self { client, reports, names, in_flight: 0 })
    }

    /// Takes what librdkafka has to report.
    fn ask(&self) -> Vec<Report> {
        let mut known = self.reports.done.lock().len();
        loop {
            // One batch of reports, or one message for the log.
            self.client.poll(Duration::ZERO);
            let mut done = self.reports.done.lock();
            if done.len() == known {
                return std::mem::take(&mut *done);
            }
            known = done.len();
        }
    }

    fn name(&self, topic: Topic) -> &str {
        self.names.iter().find(|(known, _)| *known == topic).map_or(topic.name(), |(_, name)| name)
    }

    /// Why nothing more can be sent by this producer, if so.
    fn fatal(&self) -> Option<String> {
        self.client.client().fatal_error().map(|(code, reason)| format!("{code}: {reason}"))
    }

    fn enqueue(&self, record: &OutRecord, token: usize) -> Result<(), RDKafkaErrorCode> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(&value[..]) });
        }
        let mut message = BaseRecord::<[u8], [u8], usize>::with_opaque_to(self.name(record.topic), token)
            .key(&record.key[..])
            .headers(headers)
            .timestamp(record.timestamp_ms);
        if let Some(payload) = &record.payload {
            message = message.payload(&payload[..]);
        }
        self.client
            .send(message)
            .map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown))
    }

    fn delivery(report: &Report, fatal: Option<&String>) -> Delivery {
        let result = match (report.result, fatal) {
            (Ok((partition, offset)), _) => Ok(Position {
                topic: report.topic.unwrap_or(Topic::Usage),
                partition: u16::try_from(partition).unwrap_or_default(),
                offset: u64::try_from(offset).unwrap_or_default(),
            }),
            (Err(_), Some(reason)) => Err(DeliveryError::Fatal(reason.clone())),
            (Err(code), None) => Err(classify(code)),
        };
        Delivery { token: report.token, result }
    }
}

/// What a failed delivery asks of the caller.
fn classify(code: RDKafkaErrorCode) -> DeliveryError {
    match code {
        RDKafkaErrorCode::Fatal => DeliveryError::Fatal(code.to_string()),
        RDKafkaErrorCode::MessageSizeTooLarge
        | RDKafkaErrorCode::InvalidMessageSize
        | RDKafkaErrorCode::InvalidRecord
        | RDKafkaErrorCode::InvalidTimestamp => DeliveryError::Refused(code.to_string()),
        _ => DeliveryError::Retry(code.to_string()),
    }
}

impl Producer for KafkaProducer {
    fn send(&mut self, record: OutRecord, token: u64) -> Result<(), SendError> {
        // The broker's own limit is per batch, so the limit per record is kept here.
        let (bytes, limit) = (record.size(), record.topic.spec().max_record_bytes as usize);
        if bytes > limit {
            return Err(SendError::Refused(format!("{bytes} bytes are more than the topic's {limit}")));
        }
        let opaque = usize::try_from(token).map_err(|error| SendError::Refused(error.to_string()))?;
        match self.enqueue(&record, opaque) {
            Ok(()) => {}
            Err(RDKafkaErrorCode::QueueFull) => return Err(SendError::Full(record)),
            Err(
                code @ (RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidArgument
                | RDKafkaErrorCode::InvalidRecord),
            ) => return Err(SendError::Refused(code.to_string())),
            // Unknown topic for now, broken producer …: the next poll says so.
            Err(code) => self.reports.report(Report { token, result: Err(code), topic: Some(record.topic) }),
        }
        self.in_flight += 1;
        Ok(())
    }

    fn poll(&mut self, timeout: Duration, done: &mut Vec<Delivery>) {
        let deadline = Instant::now() + timeout;
        let mut reports = self.ask();
        while reports.is_empty() && self.in_flight > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(ASK_EVERY));
            reports = self.ask();
        }
        if reports.is_empty() {
            return;
        }
        let fatal = self.fatal();
        self.in_flight = self.in_flight.saturating_sub(reports.len());
        done.extend(reports.iter().map(|report| Self::delivery(report, fatal.as_ref())));
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_ask_for_the_right_reaction() {
        use RDKafkaErrorCode as Code;
        assert!(matches!(classify(Code::MessageTimedOut), DeliveryError::Retry(_)));
        assert!(matches!(classify(Code::NotEnoughReplicas), DeliveryError::Retry(_)));
        assert!(matches!(classify(Code::TopicAuthorizationFailed), DeliveryError::Retry(_)));
        assert!(matches!(classify(Code::MessageSizeTooLarge), DeliveryError::Refused(_)));
        assert!(matches!(classify(Code::Fatal), DeliveryError::Fatal(_)));
    }
}
