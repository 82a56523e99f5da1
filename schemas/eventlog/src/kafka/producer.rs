//! Hands records to librdkafka and takes its delivery reports.
//!
//! Brokers refuse whole batches, even if only one of their records is invalid. A record whose batch was refused is
//! therefore sent again in a batch of its own, by a second client, and is reported as refused only if that fails too.
//! Records that are sent again may be overtaken by later ones of their key, as with every retry.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::reports::{Batching, Report, Reports, Sent, Shared, classify};
use super::settings::{Settings, config_error};
use crate::port::{Delivery, DeliveryError, LogError, OutRecord, Position, Producer, SendError, Topic};

/// librdkafka is asked for reports this often while some are awaited. It is never asked to wait itself: the client
/// library turns what is left of a wait into whole milliseconds, so that each wait ends with one of spinning.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Reports come when [`Producer::poll`] is called, in the caller's thread.
pub(super) struct KafkaProducer {
    settings: Arc<Settings>,
    client: BaseProducer<Reports>,
    /// Sends each record in a batch of its own; made when it is first needed.
    single: Option<BaseProducer<Reports>>,
    reports: Arc<Shared>,
    in_flight: usize,
}

impl KafkaProducer {
    pub(super) fn new(settings: Arc<Settings>) -> Result<Self, LogError> {
        let reports = Arc::new(Shared::default());
        let context = Reports::new(Arc::clone(&reports), Batching::Joint, Arc::clone(&settings));
        let client = settings.producer().create_with_context(context).map_err(config_error)?;
        Ok(Self { settings, client, single: None, reports, in_flight: 0 })
    }

    /// Takes what librdkafka has to report.
    fn take_reports(&self) -> Vec<Report> {
        let mut known = self.reports.len();
        loop {
            // One batch of reports, or one message for the log.
            self.client.poll(Duration::ZERO);
            if let Some(single) = &self.single {
                single.poll(Duration::ZERO);
            }
            let now = self.reports.len();
            if now == known {
                return self.reports.take();
            }
            known = now;
        }
    }

    /// Why nothing more can be sent by this producer, if so.
    fn fatal(&self) -> Option<String> {
        let mut clients = std::iter::once(&self.client).chain(&self.single);
        clients
            .find_map(|client| client.client().fatal_error())
            .map(|(code, reason)| format!("{code}: {reason}"))
    }

    /// Sends the record again if that may help; otherwise says what became of it.
    fn settle(&mut self, mut report: Report, fatal: Option<&String>) -> Option<Delivery> {
        if fatal.is_none()
            && let Some(record) = report.resend.take()
        {
            match self.send_alone(&record, report.token) {
                Ok(()) => return None,
                Err(error) => return Some(Delivery { token: report.token, result: Err(error) }),
            }
        }
        Some(Self::delivery(&report, fatal))
    }

    fn send_alone(&mut self, record: &OutRecord, token: u64) -> Result<(), DeliveryError> {
        let retry = |why: String| DeliveryError::Retry(why);
        let single = match &mut self.single {
            Some(single) => single,
            none => {
                let settings = Arc::clone(&self.settings);
                let context = Reports::new(Arc::clone(&self.reports), Batching::Single, settings);
                let made = self.settings.single_record_producer().create_with_context(context);
                none.insert(made.map_err(|error| retry(config_error(error).to_string()))?)
            }
        };
        enqueue(single, self.settings.name(record.topic), record, token)
            .map_err(|code| retry(code.to_string()))
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

fn enqueue(
    client: &BaseProducer<Reports>,
    topic: &str,
    record: &OutRecord,
    token: u64,
) -> Result<(), RDKafkaErrorCode> {
    let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
    for (key, value) in &record.headers {
        headers = headers.insert(Header { key, value: Some(&value[..]) });
    }
    let sent = Box::new(Sent { token, timestamp_ms: record.timestamp_ms });
    let mut message = BaseRecord::<[u8], [u8], Box<Sent>>::with_opaque_to(topic, sent)
        .key(&record.key[..])
        .headers(headers)
        .timestamp(record.timestamp_ms);
    if let Some(payload) = &record.payload {
        message = message.payload(&payload[..]);
    }
    client.send(message).map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown))
}

impl Producer for KafkaProducer {
    fn send(&mut self, record: OutRecord, token: u64) -> Result<(), SendError> {
        // The broker's own limit is per batch, so the limit per record is kept here.
        let (bytes, limit) = (record.size(), record.topic.spec().max_record_bytes as usize);
        if bytes > limit {
            return Err(SendError::Refused(format!("{bytes} bytes are more than the topic's {limit}")));
        }
        match enqueue(&self.client, self.settings.name(record.topic), &record, token) {
            Ok(()) => {}
            Err(RDKafkaErrorCode::QueueFull) => return Err(SendError::Full(record)),
            Err(
                code @ (RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidArgument
                | RDKafkaErrorCode::InvalidRecord),
            ) => return Err(SendError::Refused(code.to_string())),
            // Unknown topic for now, broken producer …: the next poll says so.
            Err(code) => {
                let topic = Some(record.topic);
                self.reports.report(Report { token, result: Err(code), topic, resend: None });
            }
        }
        self.in_flight += 1;
        Ok(())
    }

    fn poll(&mut self, timeout: Duration, done: &mut Vec<Delivery>) {
        let deadline = Instant::now() + timeout;
        let before = done.len();
        loop {
            let reports = self.take_reports();
            let fatal = self.fatal();
            for report in reports {
                done.extend(self.settle(report, fatal.as_ref()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if done.len() > before || self.in_flight == 0 || left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(ASK_EVERY));
        }
        self.in_flight = self.in_flight.saturating_sub(done.len() - before);
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }
}
