//! The official clients, on every ingress they know, in front of every backend format.
//!
//! One gateway, one simulated backend that answers as each provider does, one script a client (`sdk/`). What
//! makes no sense is written down with its reason ([`plan::NOT_MEANINGFUL`]); everything else must pass.

pub(crate) mod plan;
mod table;

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tollgate_tests::harness::gateway::Gateway;
use tollgate_tests::harness::{install, keys};
use tollgate_tests::sim::{Options, Sim};

use self::table::{Run, Verdict};
use crate::support::sim;

/// A client's name and its script.
const CLIENTS: [(&str, &str); 7] = [
    ("openai-python", "openai_client.py"),
    ("openai-node", "openai_client.mjs"),
    ("anthropic-python", "anthropic_client.py"),
    ("google-python", "google_client.py"),
    ("google-node", "google_client.mjs"),
    ("langchain-openai", "langchain_client.py"),
    ("vercel-ai", "vercel_client.mjs"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_official_client_passes_on_every_ingress_against_every_backend_format() {
    let home = install::home().join("sdks");
    let found = home.join("python/.pins").is_file() && home.join("node/.pins").is_file();
    if !install::available("the official clients", found, "run tests/setup/sdks") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let sim: Sim = sim(Options { faults: plan::faults(), ..Options::default() }).await;
    let gateway = plan::config(folder.path(), sim.addr()).start().await.unwrap();
    let runs = CLIENTS.map(|(client, script)| run(client, script, &gateway));
    let runs = futures_util::future::join_all(runs).await.concat();
    let report = table::report(&runs, &plan::BACKENDS.map(|backend| backend.name));
    println!("{report}");
    let wrong = table::wrong(&runs);
    assert!(wrong.is_empty(), "{report}\n{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs one client's script; gives a verdict for every case.
async fn run(client: &'static str, script: &str, gateway: &Gateway) -> Vec<Run> {
    let home = install::home().join("sdks");
    let script = install::repository().join("tests/it/sdk").join(script);
    let program = if script.extension().is_some_and(|kind| kind == "py") {
        home.join("python/bin/python")
    } else {
        "node".into()
    };
    let mut child = Command::new(program)
        .arg(script)
        .env("SDK_HOME", home.join("node"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let asked = plan::of(&format!("http://{}", gateway.addr()), &keys::text("checkout"));
    let mut input = child.stdin.take().unwrap();
    input.write_all(asked.to_string().as_bytes()).await.unwrap();
    drop(input);
    let done = child.wait_with_output().await.unwrap();
    let (said, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{client} ended with {}:\n{errors}", done.status);
    said.lines().filter_map(|line| Run::read(client, line)).collect()
}

#[test]
fn lines_of_scripts_are_read_and_anything_else_is_passed_over() {
    let run = Run::read("c", "chat gemini plain FAILED Error: no answer").unwrap();
    assert_eq!((&*run.ingress, &*run.backend, &*run.case), ("chat", "gemini", "plain"));
    assert_eq!(run.verdict, Verdict::Failed("Error: no answer".to_owned()));
    assert_eq!(Run::read("c", "chat gemini plain ok").unwrap().verdict, Verdict::Passed);
    assert!(Run::read("c", "a warning of some package").is_none());
}
