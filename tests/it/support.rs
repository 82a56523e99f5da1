//! What the tests start from.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;
use tollgate_tests::harness::gateway::{BACKEND_KEY, Gateway, GatewayConfig, Subscriber};
use tollgate_tests::harness::http::Reply;
use tollgate_tests::harness::install;
use tollgate_tests::harness::kafka::Kafka;
use tollgate_tests::harness::topic::{Records, UsageTopic};
use tollgate_tests::harness::wait;
use tollgate_tests::sim::{Options, Sim};

/// The path of chats.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A gateway in front of a simulated backend.
pub(crate) struct Bed {
    pub(crate) gateway: Gateway,
    pub(crate) sim: Sim,
    pub(crate) folder: TempDir,
}

/// A simulated backend that wants the gateway's credentials and remembers its requests.
pub(crate) async fn sim(options: Options) -> Sim {
    let options = Options { key: Some(BACKEND_KEY.to_owned()), record: true, ..options };
    Sim::start(any_port(), options).await.unwrap()
}

pub(crate) fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// The usual gateway, changed by `change`, with its events in files of its own.
pub(crate) async fn bed(options: Options, change: impl FnOnce(GatewayConfig) -> GatewayConfig) -> Bed {
    let folder = tempfile::tempdir().unwrap();
    let sim = sim(options).await;
    let config = change(GatewayConfig::usual(folder.path(), &sim.url()).unwrap());
    let gateway = config.start().await.unwrap();
    Bed { gateway, sim, folder }
}

/// The usual gateway as it is.
pub(crate) async fn usual() -> Bed {
    bed(Options::default(), |config| config).await
}

/// A gateway whose events go to the shared Kafka under `prefix`; `None` if no Kafka is installed.
pub(crate) async fn bed_on_kafka(
    prefix: &str,
    options: Options,
    change: impl FnOnce(GatewayConfig) -> GatewayConfig,
) -> Option<(Bed, UsageTopic)> {
    let kafka = shared_kafka().await?;
    let topic = UsageTopic::new(&kafka.broker(), prefix);
    let bed = bed(options, |config| change(config.events(kafka.events(prefix)))).await;
    Some((bed, topic))
}

/// Waits for that many events, stops the gateway, and reads all there are. In this order: a gateway that runs
/// publishes until the log has taken everything, one that stops only for some seconds.
pub(crate) async fn records_at_the_end(bed: &mut Bed, topic: &UsageTopic, count: usize) -> Records {
    topic.wait_for(count, wait::EFFECT).await.unwrap();
    bed.gateway.stop().await.unwrap();
    topic.wait_for(count, wait::EFFECT).await.unwrap()
}

/// The Kafka of this test binary; `None` if none is installed.
pub(crate) async fn shared_kafka() -> Option<&'static Kafka> {
    static KAFKA: OnceCell<Kafka> = OnceCell::const_new();
    if !install::kafka() {
        return None;
    }
    Some(KAFKA.get_or_init(|| async { Kafka::start().await.unwrap() }).await)
}

/// A subscription of tenant acme.
pub(crate) fn team<'a>(name: &'a str, product: &'a str, cost_center: &'a str) -> Subscriber<'a> {
    Subscriber { name, product, tenant: "acme", cost_center, team: name }
}

/// Asserts an error in OpenAI's form that can be found in the log, and gives its message.
pub(crate) fn refused(reply: &Reply, status: u16, code: &str) -> String {
    let body = reply.json();
    let error = &body["error"];
    assert_eq!(reply.status.as_u16(), status, "{}", reply.text());
    assert_eq!(error["code"], code, "{}", reply.text());
    assert!(error["type"].is_string(), "{}", reply.text());
    let id = error["request_id"].as_str().unwrap_or_default();
    assert!(!id.is_empty() && id == reply.header("x-request-id"), "{} {:?}", reply.text(), reply.headers);
    error["message"].as_str().unwrap().to_owned()
}

/// The text of a plain answer.
pub(crate) fn text_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

/// Parsed chunks of a stream, without `[DONE]`.
pub(crate) fn chunks(events: &[String]) -> Vec<Value> {
    let open = events.iter().filter(|event| *event != "[DONE]");
    open.map(|event| serde_json::from_str(event).unwrap_or_else(|_| panic!("not JSON: {event}"))).collect()
}
