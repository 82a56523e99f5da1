//! An event log whose behaviour a test writes down beforehand.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tollgate_eventlog::{
    Consumer, Delivery, DeliveryError, EventLog, LogError, OutRecord, Position, Producer, SendError, Topic,
    TopicSpec,
};
use tollgate_schemas::envelope::Envelope;
use tollgate_schemas::usage::{EVENT_TYPE, UsageEvent};

/// What happens to one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Take,
    /// Taken, but the report is lost: it must be sent again.
    TakeAndRetry,
    Retry,
    Refuse,
    RefuseAtOnce,
    Full,
    Fatal,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Sink {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    taken: Vec<OutRecord>,
    script: VecDeque<Behaviour>,
    refused_topics: Vec<Topic>,
    producers: usize,
    no_producer: bool,
    holding: bool,
}

impl Sink {
    /// What happens to the next records; then everything is taken.
    pub(crate) fn script(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.state.lock().script.extend(behaviours);
    }

    /// Forgets the script: everything is taken.
    pub(crate) fn take_all(&self) {
        self.state.lock().script.clear();
    }

    pub(crate) fn refuse_topic(&self, topic: Topic) {
        self.state.lock().refused_topics.push(topic);
    }

    /// Whether deliveries are held back, as by a broker that does not answer.
    pub(crate) fn hold(&self, holding: bool) {
        self.state.lock().holding = holding;
    }

    /// Whether producers can be made.
    pub(crate) fn set_reachable(&self, reachable: bool) {
        self.state.lock().no_producer = !reachable;
    }

    pub(crate) fn taken(&self) -> Vec<OutRecord> {
        self.state.lock().taken.clone()
    }

    pub(crate) fn producers(&self) -> usize {
        self.state.lock().producers
    }

    /// The usage events that were taken, in order.
    pub(crate) fn usage(&self) -> Vec<UsageEvent> {
        self.events(Topic::Usage)
    }

    /// The usage events that ended in `topic`.
    pub(crate) fn events(&self, topic: Topic) -> Vec<UsageEvent> {
        let is_usage = |record: &&OutRecord| {
            record.topic == topic && Envelope::from_headers(&record.headers).unwrap().kind == EVENT_TYPE
        };
        let parse = |record: &OutRecord| serde_json::from_slice(record.payload.as_ref().unwrap()).unwrap();
        self.state.lock().taken.iter().filter(is_usage).map(parse).collect()
    }
}

impl EventLog for Sink {
    fn ensure_topics(&self, _: &[TopicSpec]) -> Result<(), LogError> {
        Ok(())
    }

    fn producer(&self) -> Result<Box<dyn Producer>, LogError> {
        let mut state = self.state.lock();
        if state.no_producer {
            return Err(LogError::Unreachable("scripted".to_owned()));
        }
        state.producers += 1;
        Ok(Box::new(SinkProducer { sink: self.clone(), waiting: VecDeque::new() }))
    }

    fn consumer(&self, _: &str, _: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        Err(LogError::Config("nobody reads the sink".to_owned()))
    }

    fn tail(&self, _: Topic) -> Result<Box<dyn tollgate_eventlog::Tail>, LogError> {
        Err(LogError::Config("nobody reads the sink".to_owned()))
    }
}

struct SinkProducer {
    sink: Sink,
    waiting: VecDeque<Delivery>,
}

impl Producer for SinkProducer {
    fn send(&mut self, record: OutRecord, token: u64) -> Result<(), SendError> {
        let mut state = self.sink.state.lock();
        let behaviour = match state.refused_topics.contains(&record.topic) {
            true => Behaviour::Refuse,
            false => state.script.pop_front().unwrap_or(Behaviour::Take),
        };
        let position = Position { topic: record.topic, partition: 0, offset: state.taken.len() as u64 };
        let result = match behaviour {
            Behaviour::Full => return Err(SendError::Full(record)),
            Behaviour::RefuseAtOnce => return Err(SendError::Refused("scripted".to_owned())),
            Behaviour::Take => Ok(position),
            Behaviour::TakeAndRetry | Behaviour::Retry => Err(DeliveryError::Retry("scripted".to_owned())),
            Behaviour::Refuse => Err(DeliveryError::Refused("scripted".to_owned())),
            Behaviour::Fatal => Err(DeliveryError::Fatal("scripted".to_owned())),
        };
        if matches!(behaviour, Behaviour::Take | Behaviour::TakeAndRetry) {
            state.taken.push(record);
        }
        self.waiting.push_back(Delivery { token, result });
        Ok(())
    }

    fn poll(&mut self, _: Duration, done: &mut Vec<Delivery>) {
        if !self.sink.state.lock().holding {
            done.extend(self.waiting.drain(..));
        }
    }

    fn in_flight(&self) -> usize {
        self.waiting.len()
    }
}
