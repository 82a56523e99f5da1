//! Every fault of a backend ends as it must: for the client, in the ledger, and in what the gateway holds.

use std::process::Command;
use std::time::Duration;

use tollgate_tests::harness::install::binary;
use tollgate_tests::harness::process::Process;

/// Longer than the drill ever takes: it bounds itself.
const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_matrix_ends_as_it_must() {
    let mut command = Command::new(binary("tollgate-drill").unwrap());
    let mut drill = Process::start("tollgate-drill", command.arg("upstream-faults")).unwrap();
    let ended = drill.wait(LIMIT).await.unwrap();
    let log = drill.log().text();
    let wrong = log.lines().filter(|line| line.contains("WRONG")).collect::<Vec<_>>();
    assert!(ended.success(), "{wrong:#?}\n{}", drill.log().tail(5));
}
