//! A gateway that cannot work as told says so at once, with the place and what was probably meant.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tollgate_tests::harness::gateway::{GatewayConfig, chat};
use tollgate_tests::harness::install::binary;
use tollgate_tests::harness::process::Process;
use tollgate_tests::harness::topic::UsageTopic;
use tollgate_tests::harness::{ports, wait};
use tollgate_tests::sim::Options;

use crate::support::{CHAT, bed, sim, text_of};

/// What the gateway says about that file before it ends with the exit code of a bad configuration.
async fn complaint(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.yaml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(binary("tollgate-gateway").unwrap());
    command.arg("--config").arg(&file).current_dir(folder.path()).env_remove("A_SECRET_THAT_IS_NOT_SET");
    let mut process = Process::start("tollgate-gateway", &mut command).unwrap();
    let status = process.wait(Duration::from_secs(20)).await.unwrap();
    assert_eq!(status.code(), Some(2), "{}", process.log().text());
    // The reader of its output may be a moment behind.
    let log = process.log().clone();
    let said = || std::future::ready(Some(log.text()).filter(|text| !text.is_empty()));
    wait::until("the gateway says something", wait::EFFECT, said).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_field_is_named_with_file_line_and_what_was_meant() {
    let said = complaint("listen: 127.0.0.1:0\nadmin_listen: 127.0.0.1:0\nbackend: {}\n").await;
    assert!(said.contains("gateway.yaml:3"), "{said}");
    assert!(said.contains("`backend`") && said.contains("did you mean `backends`?"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_is_said_at_once() {
    let said = complaint(
        "models:\n  chat: { targets: [ { backend: nowhere, model: x } ] }\nproducts:\n  gold: { models: [chatt] }\n",
    )
    .await;
    assert!(said.contains("nowhere") && said.contains("chatt"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named_and_not_guessed() {
    let said = complaint(
        "backends:\n  a:\n    format: openai\n    url: http://127.0.0.1:1/v1\n    credentials:\n      header: \
         { name: Authorization, value: \"Bearer ${secret:env:A_SECRET_THAT_IS_NOT_SET}\" }\n",
    )
    .await;
    assert!(said.contains("A_SECRET_THAT_IS_NOT_SET"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_is_named() {
    let mut command = Command::new(binary("tollgate-gateway").unwrap());
    command.args(["--config", "/nowhere/gateway.yaml"]);
    let mut process = Process::start("tollgate-gateway", &mut command).unwrap();
    assert_eq!(process.wait(Duration::from_secs(20)).await.unwrap().code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_named() {
    let first = bed(Options::default(), |config| config).await;
    let folder = tempfile::tempdir().unwrap();
    let second = GatewayConfig::usual(folder.path(), "http://127.0.0.1:1/v1").unwrap();
    let taken = first.gateway.addr().to_string();
    let error = second.set("listen", json!(taken)).start().await.unwrap_err();
    assert!(format!("{error:#}").contains(&taken), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_be_reached_is_said_and_costs_no_request_and_no_event() {
    let Some(kafka) = crate::support::shared_kafka().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let sim = sim(Options::default()).await;
    let nobody = ports::free().unwrap();
    let config = GatewayConfig::usual(folder.path(), &sim.url()).unwrap();
    let lonely = config
        .clone()
        .events(json!({ "kafka": { "brokers": [nobody.to_string()], "topic_prefix": "late." } }));
    let mut gateway = lonely.start().await.unwrap();
    for _ in 0..5 {
        text_of(&gateway.client("checkout").post(CHAT, &chat("chat", "Hello")).await.unwrap());
    }
    let log = gateway.service().process().log().clone();
    let said = || std::future::ready(log.find(&nobody.to_string()));
    wait::until("the log names the broker", wait::EFFECT, said).await.unwrap();
    gateway.stop().await.unwrap();
    drop(gateway);

    let mut gateway = config.events(kafka.events("late.")).start().await.unwrap();
    let topic = UsageTopic::new(&kafka.broker(), "late.");
    let records = topic.wait_for(5, wait::EFFECT).await.unwrap();
    assert_eq!(records.by_id().len(), 5);
    gateway.stop().await.unwrap();
}
