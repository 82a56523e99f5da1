//! A real model behind the gateway, where one is installed: real text, real tokens, real streaming.

use std::process::Command;

use serde_json::json;
use tollgate_schemas::usage::{Outcome, UsageSource};
use tollgate_tests::harness::gateway::{GatewayConfig, chat, chat_stream};
use tollgate_tests::harness::http::Client;
use tollgate_tests::harness::process::Process;
use tollgate_tests::harness::topic::UsageTopic;
use tollgate_tests::harness::{install, ports, sse, wait};

use crate::support::{CHAT, shared_kafka, text_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_real_model_answers_streams_and_is_accounted_for() {
    let folder = install::home().join("local-model");
    let (python, weights) = (folder.join("venv/bin/python"), folder.join("model.gguf"));
    let server = Command::new(&python).args(["-c", "import llama_cpp.server"]).output();
    if !weights.is_file() || !server.is_ok_and(|done| done.status.success()) {
        // Ten minutes of compiling: never required.
        install::announce("SKIPPED: no local model is installed: run deploy/setup/local-model");
        return;
    }
    let Some(kafka) = shared_kafka().await else { return };
    let addr = ports::free().unwrap();
    let mut command = Command::new(&python);
    command.args(["-m", "llama_cpp.server", "--host", "127.0.0.1", "--n_ctx", "1024", "--port"]);
    command.arg(addr.port().to_string()).arg("--model").arg(&weights).args(["--model_alias", "smollm2"]);
    let mut process = Process::start("llama", &mut command).unwrap();
    let client = Client::new(addr);
    let alive = || async { client.get("/v1/models").await.is_ok_and(|reply| reply.status == 200) };
    process.ready(wait::START * 2, alive).await.unwrap();

    let files = tempfile::tempdir().unwrap();
    let mut gateway = GatewayConfig::usual(files.path(), &format!("http://{addr}/v1"))
        .unwrap()
        .events(kafka.events("local."))
        .alias("chat", "sim", "smollm2")
        .start()
        .await
        .unwrap();
    let mut body = chat("chat", "Name one colour.");
    body["max_tokens"] = json!(24);
    let reply = gateway.client("checkout").post(CHAT, &body).await.unwrap();
    assert!(!text_of(&reply).trim().is_empty());
    let usage = reply.json()["usage"].clone();
    let mut body = chat_stream("chat", "Name one animal.");
    body["max_tokens"] = json!(24);
    let events = gateway.client("checkout").stream(CHAT, &body).await.unwrap().rest().await.unwrap();
    assert!(!sse::text_of(&events).trim().is_empty() && events.last().unwrap() == "[DONE]");

    let topic = UsageTopic::new(&kafka.broker(), "local.");
    let records = topic.wait_for(2, wait::EFFECT).await.unwrap();
    gateway.stop().await.unwrap();
    let rows = records.rows();
    assert!(rows.iter().all(|row| row.outcome == Outcome::Ok && row.output_tokens() > 0), "{rows:?}");
    let plain = rows.iter().find(|row| !row.call.stream).unwrap();
    assert_eq!(plain.usage_source, UsageSource::ProviderFinal);
    assert_eq!(Some(plain.output_tokens()), usage["completion_tokens"].as_u64());
}
