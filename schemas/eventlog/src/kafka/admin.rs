//! Creates topics that are missing and checks the limits of those that exist.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::settings::{QuietContext, Settings, config_error};
use crate::port::{LogError, TopicSpec};

/// The broker's limit for one batch, bytes.
const BATCH_LIMIT: &str = "max.message.bytes";

/// Most that a batch adds to its only record, bytes.
const FRAMING_BYTES: u32 = 16 << 10;

/// Longest wait for the cluster's answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Creates those of the topics that the cluster does not have. The settings of the others belong to the
/// operator: mistakes in them are logged, not mended.
pub(super) fn ensure_topics(settings: &Settings, topics: &[TopicSpec]) -> Result<(), LogError> {
    let client: AdminClient<QuietContext> =
        settings.admin().create_with_context(QuietContext::default()).map_err(config_error)?;
    let metadata =
        client.inner().fetch_metadata(None, TIMEOUT).map_err(|error| unreachable(settings, &error))?;
    let present: BTreeSet<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
    let plans = topics.iter().map(|spec| Plan::new(settings, *spec));
    let (existing, missing): (Vec<Plan>, Vec<Plan>) = plans.partition(|p| present.contains(p.name.as_str()));
    create(settings, &client, &missing)?;
    warn_of_limits(&client, &existing);
    Ok(())
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

fn create(settings: &Settings, client: &AdminClient<QuietContext>, missing: &[Plan]) -> Result<(), LogError> {
    if missing.is_empty() {
        return Ok(());
    }
    let new: Vec<NewTopic<'_>> = missing.iter().map(Plan::to_new_topic).collect();
    let results =
        block_on(client.create_topics(&new, &options())).map_err(|error| unreachable(settings, &error))?;
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

/// Warns of topics that would refuse what the producer sends. Missing rights to describe topics are no error.
fn warn_of_limits(client: &AdminClient<QuietContext>, existing: &[Plan]) {
    if existing.is_empty() {
        return;
    }
    let names: Vec<_> = existing.iter().map(|plan| ResourceSpecifier::Topic(&plan.name)).collect();
    let described = match block_on(client.describe_configs(&names, &options())) {
        Ok(described) => described,
        Err(error) => {
            tracing::info!(%error, "the settings of existing topics cannot be read");
            return;
        }
    };
    for resource in described {
        let Ok(ConfigResource { specifier: OwnedResourceSpecifier::Topic(name), entries }) = resource else {
            continue;
        };
        let Some(plan) = existing.iter().find(|plan| plan.name == name) else { continue };
        let limit = entries.iter().find(|entry| entry.name == BATCH_LIMIT);
        if let Some(complaint) = plan.complaint(limit.and_then(|entry| entry.value.as_deref())) {
            tracing::warn!(topic = name, "{complaint}");
        }
    }
}

/// Names the brokers, so that the operator knows which cluster is meant.
fn unreachable(settings: &Settings, error: &KafkaError) -> LogError {
    LogError::Unreachable(format!("{}: {error}", settings.brokers))
}

/// A topic to create, with its settings as Kafka wants them.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    name: String,
    partitions: i32,
    replication: i32,
    batch_bytes: u32,
    settings: Vec<(&'static str, String)>,
}

impl Plan {
    fn new(settings: &Settings, spec: TopicSpec) -> Self {
        // The limit is per batch: one below the producer's batch size would refuse good records.
        let batch_bytes = spec.max_record_bytes.saturating_add(FRAMING_BYTES).max(settings.max_batch_bytes());
        // Events carry their own time. The broker's keeps a gateway whose clock is ahead from being refused, and an
        // event that was late from being removed early.
        let mut config = vec![
            (BATCH_LIMIT, batch_bytes.to_string()),
            ("message.timestamp.type", "LogAppendTime".to_owned()),
        ];
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
        let name = settings.name(spec.topic).to_owned();
        Self { name, partitions, replication, batch_bytes, settings: config }
    }

    /// What is wrong with the limit that the topic has.
    fn complaint(&self, limit: Option<&str>) -> Option<String> {
        let limit: u64 = limit?.parse().ok()?;
        let needed = self.batch_bytes;
        (limit < u64::from(needed)).then(|| {
            format!(
                "{BATCH_LIMIT} is {limit}, and batches may have {needed} bytes: full batches are refused and sent \
                 again record by record; raise it"
            )
        })
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
    use std::collections::BTreeMap;

    use tollgate_settings::SecretTemplate;

    use super::*;
    use crate::config::KafkaConfig;
    use crate::port::Topic;

    fn plan(topic: Topic, replication_factor: Option<u16>) -> Plan {
        plan_with(topic, replication_factor, BTreeMap::new())
    }

    fn plan_with(
        topic: Topic,
        replication_factor: Option<u16>,
        properties: BTreeMap<String, SecretTemplate>,
    ) -> Plan {
        let config = KafkaConfig {
            brokers: vec!["a:1".to_owned()],
            topic_prefix: String::new(),
            replication_factor,
            properties,
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
    fn every_topic_takes_the_producers_largest_batch_and_the_brokers_time() {
        for topic in Topic::ALL {
            let plan = plan(topic, None);
            let setting =
                |name: &str| plan.settings.iter().find(|(known, _)| *known == name).unwrap().1.clone();
            assert!(setting("max.message.bytes").parse::<u32>().unwrap() >= 1_200_000);
            assert_eq!(setting("message.timestamp.type"), "LogAppendTime");
        }
    }

    #[test]
    fn larger_batches_of_the_operator_make_larger_limits() {
        let properties = [("message.max.bytes".to_owned(), "5000000".parse().unwrap())];
        let plan = plan_with(Topic::Usage, None, properties.into());
        assert_eq!(plan.batch_bytes, 5_000_000);
    }

    #[test]
    fn a_limit_below_the_largest_batch_is_complained_about() {
        let plan = plan(Topic::Usage, None);
        let complaint = plan.complaint(Some("65536")).unwrap();
        assert!(complaint.contains("65536") && complaint.contains("1200000"), "{complaint}");
        for enough in [Some("1200000"), Some("2000000"), None, Some("unknown")] {
            assert_eq!(plan.complaint(enough), None);
        }
    }

    #[derive(serde::Deserialize)]
    struct Listed {
        topics: Vec<Entry>,
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Entry {
        name: String,
        partitions: i32,
        retention_hours: u64,
        max_message_bytes: u32,
        timestamps: String,
    }

    #[test]
    fn the_list_for_those_who_create_topics_ahead_is_what_the_services_create() {
        let path = format!("{}/../../deploy/kafka/topics.yaml", std::env::var("CARGO_MANIFEST_DIR").unwrap());
        let listed: Listed = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let listed: Vec<_> = listed
            .topics
            .into_iter()
            .map(|it| (it.name, it.partitions, it.retention_hours, it.max_message_bytes, it.timestamps))
            .collect();
        let planned = Topic::ALL.map(|topic| {
            let plan = plan(topic, None);
            let setting = |name: &str| plan.settings.iter().find(|(known, _)| *known == name);
            let retention_ms: u64 = setting("retention.ms").map_or(0, |(_, ms)| ms.parse().unwrap());
            let timestamps = setting("message.timestamp.type").unwrap().1.clone();
            (plan.name, plan.partitions, retention_ms / 3_600_000, plan.batch_bytes, timestamps)
        });
        assert_eq!(listed, planned);
    }
}
