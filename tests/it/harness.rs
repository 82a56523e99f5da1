//! The harness keeps its own promise: nothing outlives the program that started it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tollgate_tests::harness::process::Process;
use tollgate_tests::harness::wait;

/// Set for the program that is killed.
const VICTIM: &str = "TOLLGATE_TEST_VICTIM";

#[test]
fn a_program_that_will_be_killed() {
    // Does nothing but in the hands of the test below.
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let process = Process::start("sleep", Command::new("sleep").arg("600")).unwrap();
    println!("started {}", process.pid());
    std::thread::sleep(Duration::from_secs(600));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_program_started_dies_with_it() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "harness::a_program_that_will_be_killed", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let started =
        lines.find_map(|line| line.unwrap().split_once("started ").map(|(_, pid)| pid.to_owned())).unwrap();
    let running = Path::new("/proc").join(started.trim());
    assert!(running.exists());
    victim.kill().unwrap();
    victim.wait().unwrap();
    let gone = || std::future::ready((!running.exists()).then_some(()));
    wait::until("the started process is gone", wait::EFFECT, gone).await.unwrap();
}
