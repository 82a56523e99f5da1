//! Tests of the Kafka log against the mock cluster of librdkafka.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::embedded::partition_of;
use crate::port::{Delivery, DeliveryError, InRecord, OutRecord, Polled, SendError, TopicPartition};

const WAIT: Duration = Duration::from_secs(30);

struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    log: KafkaLog,
}

fn cluster(properties: &[(&str, &str)]) -> Cluster {
    let mock = MockCluster::new(3).unwrap();
    for topic in Topic::ALL {
        mock.create_topic(&format!("t.{}", topic.name()), i32::from(topic.spec().partitions), 3).unwrap();
    }
    // The mock coordinator waits for one session timeout in every rebalance.
    let quick = [("linger.ms", "1"), ("session.timeout.ms", "6000"), ("heartbeat.interval.ms", "500")];
    let mut own = BTreeMap::from(quick.map(|(name, value)| (name.to_owned(), value.parse().unwrap())));
    own.extend(properties.iter().map(|(name, value)| ((*name).to_owned(), value.parse().unwrap())));
    let log = KafkaLog::new(&KafkaConfig {
        brokers: vec![mock.bootstrap_servers()],
        topic_prefix: "t.".to_owned(),
        replication_factor: Some(3),
        properties: own,
    });
    Cluster { mock, log: log.unwrap() }
}

fn record(key: &str, payload: &str) -> OutRecord {
    OutRecord {
        topic: Topic::Usage,
        key: Bytes::copy_from_slice(key.as_bytes()),
        headers: vec![("ce_id".into(), Bytes::from_static(b"7"))],
        payload: Some(Bytes::copy_from_slice(payload.as_bytes())),
        timestamp_ms: 1_795_000_000_000,
    }
}

fn send_all(producer: &mut dyn Producer, range: std::ops::Range<u64>) {
    for token in range {
        producer.send(record(&format!("key-{}", token % 5), &token.to_string()), token).unwrap();
    }
}

fn wait_for_reports(producer: &mut dyn Producer) -> Vec<Delivery> {
    let mut done = Vec::new();
    let deadline = Instant::now() + WAIT;
    while producer.in_flight() > 0 {
        assert!(Instant::now() < deadline, "{} records were not reported", producer.in_flight());
        producer.poll(Duration::from_secs(1), &mut done);
    }
    done
}

fn consume(consumer: &mut dyn Consumer, count: usize) -> Vec<InRecord> {
    let mut found = Vec::new();
    let deadline = Instant::now() + WAIT;
    while found.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records came", found.len());
        if let Polled::Records(records) = consumer.poll(Duration::from_secs(1)).unwrap() {
            found.extend(records);
        }
    }
    found
}

fn payloads(records: &[InRecord]) -> Vec<u64> {
    let text = |r: &InRecord| String::from_utf8(r.payload.clone().unwrap().to_vec()).unwrap();
    let mut numbers: Vec<u64> = records.iter().map(|r| text(r).parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn records_arrive_with_key_headers_and_time_in_the_partition_of_the_embedded_log() {
    let cluster = cluster(&[]);
    let mut producer = cluster.log.producer().unwrap();
    send_all(&mut *producer, 0..50);
    assert!(wait_for_reports(&mut *producer).iter().all(|delivery| delivery.result.is_ok()));
    let found = consume(&mut *cluster.log.consumer("g", &[Topic::Usage]).unwrap(), 50);
    assert_eq!(payloads(&found), (0..50).collect::<Vec<_>>());
    for record in &found {
        assert_eq!(record.headers, [("ce_id".into(), Bytes::from_static(b"7"))]);
        assert_eq!(record.timestamp_ms, 1_795_000_000_000);
        assert_eq!(record.at.partition, partition_of(&record.key, 8));
    }
}

#[test]
fn a_group_resumes_at_its_commit() {
    let cluster = cluster(&[]);
    let mut producer = cluster.log.producer().unwrap();
    for number in 0..10 {
        producer.send(record("one key", &number.to_string()), number).unwrap();
    }
    wait_for_reports(&mut *producer);
    let mut consumer = cluster.log.consumer("g", &[Topic::Usage]).unwrap();
    let first = consume(&mut *consumer, 10);
    let at = TopicPartition { topic: Topic::Usage, partition: first[0].at.partition };
    consumer.commit(at, first[6].at.offset + 1).unwrap();
    drop(consumer);
    let rest = consume(&mut *cluster.log.consumer("g", &[Topic::Usage]).unwrap(), 3);
    assert_eq!(payloads(&rest), [7, 8, 9]);
}

#[test]
fn tails_read_everything_each_by_itself() {
    let cluster = cluster(&[]);
    let mut producer = cluster.log.producer().unwrap();
    send_all(&mut *producer, 0..20);
    wait_for_reports(&mut *producer);
    for _ in 0..2 {
        let mut tail = cluster.log.tail(Topic::Usage).unwrap();
        let mut found = Vec::new();
        let deadline = Instant::now() + WAIT;
        while found.len() < 20 {
            assert!(Instant::now() < deadline, "{} of 20 records came", found.len());
            tail.poll(Duration::from_secs(1), &mut found).unwrap();
        }
        assert_eq!(payloads(&found), (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn a_joining_member_is_told_its_partitions_after_the_other_gave_them_up() {
    let cluster = cluster(&[]);
    let mut first = cluster.log.consumer("g", &[Topic::Usage]).unwrap();
    let mut second = None;
    let (mut owned, mut other) = (Vec::new(), Vec::new());
    let deadline = Instant::now() + WAIT;
    while owned.len() != 4 || other.len() != 4 {
        assert!(Instant::now() < deadline, "the group did not balance: {owned:?} {other:?}");
        follow(&mut *first, &mut owned);
        if owned.len() == 8 && second.is_none() {
            second = Some(cluster.log.consumer("g", &[Topic::Usage]).unwrap());
        }
        if let Some(second) = &mut second {
            follow(&mut **second, &mut other);
        }
    }
    assert!(owned.iter().all(|partition| !other.contains(partition)));
}

fn follow(consumer: &mut dyn Consumer, owned: &mut Vec<TopicPartition>) {
    match consumer.poll(Duration::from_millis(50)).unwrap() {
        Polled::Assigned(new) => owned.extend(new),
        Polled::Revoked(gone) => owned.retain(|partition| !gone.contains(partition)),
        Polled::Idle | Polled::Records(_) => {}
    }
}

#[test]
fn nothing_is_lost_or_doubled_while_all_brokers_are_down() {
    let cluster = cluster(&[]);
    let mut producer = cluster.log.producer().unwrap();
    send_all(&mut *producer, 0..20);
    wait_for_reports(&mut *producer);
    cluster.mock.broker_down(-1).unwrap();
    send_all(&mut *producer, 20..60);
    let mut done = Vec::new();
    producer.poll(Duration::from_millis(300), &mut done);
    assert!(done.is_empty());
    cluster.mock.broker_up(-1).unwrap();
    assert!(wait_for_reports(&mut *producer).iter().all(|delivery| delivery.result.is_ok()));
    let found = consume(&mut *cluster.log.consumer("g", &[Topic::Usage]).unwrap(), 60);
    assert_eq!(payloads(&found), (0..60).collect::<Vec<_>>());
}

#[test]
fn too_few_replicas_are_waited_for() {
    let cluster = cluster(&[("retry.backoff.ms", "10")]);
    let mut producer = cluster.log.producer().unwrap();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &[error; 5]);
    send_all(&mut *producer, 0..30);
    assert!(wait_for_reports(&mut *producer).iter().all(|delivery| delivery.result.is_ok()));
    let found = consume(&mut *cluster.log.consumer("g", &[Topic::Usage]).unwrap(), 30);
    assert_eq!(payloads(&found), (0..30).collect::<Vec<_>>());
}

#[test]
fn a_message_that_times_out_is_to_be_sent_again() {
    let cluster = cluster(&[("message.timeout.ms", "500")]);
    let mut producer = cluster.log.producer().unwrap();
    cluster.mock.broker_down(-1).unwrap();
    send_all(&mut *producer, 0..1);
    let done = wait_for_reports(&mut *producer);
    assert!(matches!(done[0].result, Err(DeliveryError::Retry(_))), "{:?}", done[0]);
}

#[test]
fn a_fatal_error_asks_for_a_new_producer() {
    let cluster = cluster(&[]);
    let mut producer = cluster.log.producer().unwrap();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &[error; 20]);
    send_all(&mut *producer, 0..1);
    let done = wait_for_reports(&mut *producer);
    assert!(matches!(done[0].result, Err(DeliveryError::Fatal(_))), "{:?}", done[0]);
    send_all(&mut *producer, 1..2);
    let done = wait_for_reports(&mut *producer);
    assert!(matches!(done[0].result, Err(DeliveryError::Fatal(_))), "{:?}", done[0]);
    cluster.mock.clear_request_errors(RDKafkaApiKey::Produce);
    let mut fresh = cluster.log.producer().unwrap();
    send_all(&mut *fresh, 0..2);
    assert!(wait_for_reports(&mut *fresh).iter().all(|delivery| delivery.result.is_ok()));
}

#[test]
fn records_of_a_batch_that_was_refused_are_each_sent_again_alone() {
    for error in [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
    ] {
        let cluster = cluster(&[]);
        let mut producer = cluster.log.producer().unwrap();
        cluster.mock.request_errors(RDKafkaApiKey::Produce, &[error]);
        send_all(&mut *producer, 0..30);
        let done = wait_for_reports(&mut *producer);
        assert_eq!(done.len(), 30);
        assert!(done.iter().all(|delivery| delivery.result.is_ok()), "{done:?}");
        let found = consume(&mut *cluster.log.consumer("g", &[Topic::Usage]).unwrap(), 30);
        assert_eq!(payloads(&found), (0..30).collect::<Vec<_>>());
        assert!(found.iter().all(|record| record.timestamp_ms == 1_795_000_000_000));
        assert_eq!(found[0].headers, [("ce_id".into(), Bytes::from_static(b"7"))]);
    }
}

#[test]
fn a_record_that_is_refused_alone_as_well_is_refused() {
    let cluster = cluster(&[]);
    let mut producer = cluster.log.producer().unwrap();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &[error; 2]);
    send_all(&mut *producer, 0..1);
    let done = wait_for_reports(&mut *producer);
    assert!(matches!(done[..], [Delivery { token: 0, result: Err(DeliveryError::Refused(_)) }]), "{done:?}");
    send_all(&mut *producer, 1..2);
    assert!(wait_for_reports(&mut *producer)[0].result.is_ok());
}

#[test]
fn a_record_whose_timestamp_is_refused_arrives_without_one() {
    let cluster = cluster(&[]);
    let mut producer = cluster.log.producer().unwrap();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &[error; 2]);
    send_all(&mut *producer, 0..1);
    assert!(wait_for_reports(&mut *producer)[0].result.is_ok());
    let found = consume(&mut *cluster.log.consumer("g", &[Topic::Usage]).unwrap(), 1);
    assert_eq!((found[0].timestamp_ms, payloads(&found)), (0, vec![0]));
}

#[test]
fn a_full_queue_gives_the_record_back_and_an_oversize_one_is_refused() {
    let cluster = cluster(&[("queue.buffering.max.messages", "2")]);
    cluster.mock.broker_down(-1).unwrap();
    let mut producer = cluster.log.producer().unwrap();
    send_all(&mut *producer, 0..2);
    let error = producer.send(record("k", "third"), 2).unwrap_err();
    assert!(matches!(error, SendError::Full(record) if record.payload.as_deref() == Some(b"third")));
    let error = producer.send(record("k", &"x".repeat(65 << 10)), 3).unwrap_err();
    assert!(matches!(error, SendError::Refused(_)));
}

#[test]
fn a_paused_consumer_gets_its_records_after_it_resumes() {
    let cluster = cluster(&[]);
    let mut consumer = cluster.log.consumer("g", &[Topic::Usage]).unwrap();
    consumer.pause(true).unwrap();
    let mut producer = cluster.log.producer().unwrap();
    send_all(&mut *producer, 0..10);
    wait_for_reports(&mut *producer);
    let deadline = Instant::now() + WAIT;
    let mut assigned = false;
    while !assigned && Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)).unwrap() {
            Polled::Assigned(_) => assigned = true,
            Polled::Records(records) => panic!("{} records came although paused", records.len()),
            _ => {}
        }
    }
    for _ in 0..5 {
        assert!(!matches!(consumer.poll(Duration::from_millis(100)).unwrap(), Polled::Records(_)));
    }
    consumer.pause(false).unwrap();
    assert_eq!(payloads(&consume(&mut *consumer, 10)), (0..10).collect::<Vec<_>>());
}

#[test]
fn an_unreachable_cluster_is_no_error_until_it_must_answer() {
    let config = KafkaConfig {
        brokers: vec!["127.0.0.1:1".to_owned()],
        topic_prefix: String::new(),
        replication_factor: None,
        properties: BTreeMap::new(),
    };
    let log = KafkaLog::new(&config).unwrap();
    let mut producer = log.producer().unwrap();
    producer.send(record("k", "x"), 1).unwrap();
    let mut consumer = log.consumer("g", &[Topic::Usage]).unwrap();
    assert!(matches!(consumer.poll(Duration::from_millis(100)).unwrap(), Polled::Idle));
}

#[test]
fn topics_that_exist_are_left_alone() {
    let cluster = cluster(&[]);
    cluster.log.ensure_topics(&Topic::ALL.map(Topic::spec)).unwrap();
}

#[test]
fn a_setting_that_librdkafka_does_not_know_is_refused() {
    let cluster = cluster(&[("no.such.setting", "1")]);
    assert!(matches!(cluster.log.producer(), Err(LogError::Config(_))));
}
