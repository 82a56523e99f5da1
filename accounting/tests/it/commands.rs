//! The commands run as the README prints them: beside a running service, and on the ledger that it left.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use tollgate_accounting::{Config, service};

use crate::service::{config_text, get, month, open_log, publish, wait_for_attempts};
use crate::support::{this_month, turn};

const README: &str = include_str!("../../../README.md");

/// What stands in the README's section on chargeback: its lines of shell without their comments, and commands in
/// its sentences.
fn printed(beginning: &str) -> Vec<Vec<String>> {
    let section = README.split_once("## Chargeback\n").unwrap().1;
    let section = section.split_once("\n## ").unwrap().0;
    let lines = section.lines().filter(|line| line.starts_with(beginning)).map(|line| line.split('#').next());
    let inline =
        section.split('`').filter(|text| text.starts_with(beginning) && !text.contains('\n')).map(Some);
    let commands = lines.chain(inline).flatten();
    commands.map(|command| command.split_whitespace().map(in_this_month).collect()).collect()
}

/// The README's month is not the month of the test's events.
fn in_this_month(word: &str) -> String {
    word.trim_matches('\'').replace("2026-11", this_month())
}

/// Runs a command of the README in a folder, with nothing else said, and gives what it prints.
fn run_in(folder: &Path, words: &[String]) -> String {
    assert_eq!(words[0], "tollgate-accounting");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-accounting"));
    command.args(&words[1..]).current_dir(folder).env_remove("TOLLGATE_ACCOUNTING_CONFIG");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn check(folder: &Path) {
    let commands = printed("tollgate-accounting ");
    let has = |part: &str| commands.iter().any(|words| words.iter().any(|word| word == part));
    assert!(has("report") && has("csv") && has("reconcile"), "{commands:?}");
    for words in &commands {
        let shown = run_in(folder, words);
        let expected = match words {
            words if words.iter().any(|word| word == "reconcile") => "\nthe ledger reconciles\n",
            words if words.iter().any(|word| word == "csv") => {
                "total,,,40,40,38000,3800,0.073780000000,USD,1,0,1"
            }
            _ => "0815         sim-large        20",
        };
        assert!(shown.contains(expected), "{words:?}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readmes_commands_answer_beside_a_running_service_and_after_it() {
    let Some(turn) = turn() else { return };
    let folder = turn.folder.path();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = config_text(&turn, false).replace("listen: 127.0.0.1:0", &format!("listen: 127.0.0.1:{port}"));
    std::fs::write(folder.join("accounting.yaml"), &text).unwrap();
    let log = open_log(&turn);
    publish(&log, month());
    let config = Config::parse(Path::new("accounting.yaml"), &text).unwrap();
    let handle = service::start(config, Arc::clone(&log)).await.unwrap();
    wait_for_attempts(&handle, 40).await;

    check(folder);
    let asked = printed("curl ").remove(0);
    let path = asked[1].strip_prefix("http://127.0.0.1:8091").unwrap().to_owned();
    let (status, body) = get(handle.addr(), &path).await;
    assert_eq!((status, body.contains("\"attempts\": 40")), (200, true), "{body}");

    handle.shutdown().await;
    check(folder);
}

#[test]
fn without_a_configuration_a_command_says_where_it_looked() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-accounting"));
    let output = command.arg("check").current_dir(folder.path()).env_remove("TOLLGATE_ACCOUNTING_CONFIG");
    let output = output.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("--config") && said.contains("accounting.yaml"), "{said}");
}

#[test]
fn a_ledger_that_is_in_use_and_a_service_that_is_not_there_are_both_named() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = folder.path().join("ledger");
    std::fs::create_dir(&ledger).unwrap();
    let lock = std::fs::File::create(ledger.join("lock")).unwrap();
    lock.lock().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!(
        "listen: {free}\nevents: {{ embedded: {{ path: log }} }}\nstore: {{ embedded: {{ path: ledger }} }}\nprice_book: p.yaml\n"
    );
    std::fs::write(folder.path().join("accounting.yaml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-accounting"));
    command.arg("report").current_dir(folder.path()).env_remove("TOLLGATE_ACCOUNTING_CONFIG");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the ledger ledger is in use") && said.contains(&free.to_string()), "{said}");
}
