//! Creates topics that are missing.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::settings::{MAX_BATCH_BYTES, QuietContext, Settings, config_error};
use crate::{LogError, TopicSpec};

/// Longest wait for the cluster's answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Creates those of the topics that the cluster does not have.
pub(super) fn ensure_topics(settings: &Settings, topics: &[TopicSpec]) -> Result<(), LogError> {
    let client: AdminClient<QuietContext> =
        settings.admin().create_with_context(QuietContext::default()).map_err(config_error)?;
    let metadata =
        client.inner().fetch_metadata(None, TIMEOUT).map_err(|error| unreachable(settings, &error))?;
    let present: BTreeSet<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
    let missing: Vec<Plan> = topics
        .iter()
        .map(|spec| Plan::new(settings, *spec))
        .filter(|p| !present.contains(p.name.as_str()))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let new: Vec<NewTopic<'_>> = missing.iter().map(Plan::to_new_topic).collect();
    let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
    let results =
        block_on(client.create_topics(&new, &options)).map_err(|error| unreachable(settings, &error))?;
    for result in results {
        match result {
            Ok(name) => tracing::info!(topic = name, "topic created"),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(LogError::Other(format!("topic {name} cannot be created: {code}")));
            }
        }
    }
    Ok(())
}

/// Names the brokers: whoever reads the log knows which of them to look at.
fn unreachable(settings: &Settings, error: &KafkaError) -> LogError {
    LogError::Unreachable(format!("{}: {error}", settings.brokers))
}

/// A topic to create, with its settings as Kafka wants them.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    name: String,
    partitions: i32,
    replication: i32,
    settings: Vec<(&'static str, String)>,
}

impl Plan {
    fn new(settings: &Settings, spec: TopicSpec) -> Self {
        // The limit is per batch: one below the producer's batch size would refuse good records.
        let batch = spec.max_record_bytes.saturating_add(16 << 10).max(MAX_BATCH_BYTES);
        let mut config = vec![("max.message.bytes", batch.to_string())];
        if spec.retention_hours == 0 {
            config.push(("cleanup.policy", "compact".to_owned()));
        } else {
            config.push(("cleanup.policy", "delete".to_owned()));
            config.push(("retention.ms", (u64::from(spec.retention_hours) * 3_600_000).to_string()));
        }
        let replication = settings.replication_factor.map_or(-1, i32::from);
        if replication >= 3 {
            config.push(("min.insync.replicas", "2".to_owned()));
        }
        let partitions = i32::from(spec.partitions.max(1));
        Self { name: settings.name(spec.topic), partitions, replication, settings: config }
    }

    fn to_new_topic(&self) -> NewTopic<'_> {
        let topic = NewTopic::new(&self.name, self.partitions, TopicReplication::Fixed(self.replication));
        self.settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
    }
}

/// Waits for a future on this thread; the admin client completes it from its own.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Topic;
    use crate::config::KafkaConfig;

    fn plan(topic: Topic, replication_factor: Option<u16>) -> Plan {
        let config = KafkaConfig {
            brokers: vec!["a:1".to_owned()],
            topic_prefix: String::new(),
            replication_factor,
            properties: Default::default(),
        };
        Plan::new(&Settings::new(&config).unwrap(), topic.spec())
    }

    #[test]
    fn usage_is_kept_for_two_weeks_on_a_majority_of_replicas() {
        let plan = plan(Topic::Usage, Some(3));
        assert_eq!((plan.partitions, plan.replication), (8, 3));
        assert!(plan.settings.contains(&("retention.ms", "1209600000".to_owned())));
        assert!(plan.settings.contains(&("min.insync.replicas", "2".to_owned())));
    }

    #[test]
    fn a_topic_without_retention_is_compacted() {
        let plan = plan(Topic::BackendState, None);
        assert_eq!(plan.replication, -1);
        assert!(plan.settings.contains(&("cleanup.policy", "compact".to_owned())));
        assert!(!plan.settings.iter().any(|(name, _)| *name == "retention.ms"));
    }

    #[test]
    fn every_topic_takes_the_producers_largest_batch() {
        for topic in Topic::ALL {
            let plan = plan(topic, None);
            let (_, limit) = plan.settings.iter().find(|(name, _)| *name == "max.message.bytes").unwrap();
            assert!(limit.parse::<u32>().unwrap() >= MAX_BATCH_BYTES);
        }
    }
}
