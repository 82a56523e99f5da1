//! `tollgate report` and `tollgate reconcile` beside the process that has the ledger open.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::JoinHandle;

/// A running accounting service that answers one request; gives its address and what it was asked.
fn answering(body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        lines.find(|line| line.as_ref().unwrap().is_empty());
        let length = body.len();
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
        first
    });
    (address, asked)
}

/// A data folder whose ledger is open, and the configuration of the process that has it.
fn in_use(folder: &Path, listen: &str) -> File {
    let ledger = folder.join("data/ledger");
    std::fs::create_dir_all(&ledger).unwrap();
    let lock = File::create(ledger.join("lock")).unwrap();
    lock.lock().unwrap();
    // A secret that only the gateway needs is not set here.
    let text = format!(
        "gateway:
  backends:
    b:
      format: openai
      url: https://api.openai.com/v1
      credentials: {{ header: {{ name: Authorization, value: 'Bearer ${{secret:env:TOLLGATE_NOT_SET}}' }} }}
accounting: {{ listen: '{listen}' }}
"
    );
    std::fs::write(folder.join("tollgate.yaml"), text).unwrap();
    lock
}

fn tollgate(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command.args(arguments).current_dir(folder).env_remove("TOLLGATE_CONFIG").output().unwrap()
}

#[test]
fn a_report_is_asked_of_the_process_that_has_the_ledger_open() {
    let folder = tempfile::tempdir().unwrap();
    let (listen, asked) = answering("a table\n");
    let _lock = in_use(folder.path(), &listen);
    let output = tollgate(folder.path(), &["report", "--month", "2026-11", "--by", "team"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"a table\n");
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("GET /v1/reports/chargeback?from=2026-11-01T"), "{asked}");
}

#[test]
fn a_ledger_that_does_not_reconcile_ends_with_1() {
    const FOUND: &str = r#"{"missing":1,"pending":0,"duplicates":0,"split":0,"events":4,"recovered":0,"unpriced":0,
        "unpriced_classes":[],"dead_letters":0,"rollup_difference":"0.000000000000","rollup_stale_days":0,
        "boots":[{"gateway_id":"gw","boot_id":"b","missing":1,"pending":0,"missing_seqs":[{"first":3,"last":3}]}],
        "since":"2026-10-01T00:00:00Z"}"#;
    let folder = tempfile::tempdir().unwrap();
    let (listen, asked) = answering(FOUND);
    let _lock = in_use(folder.path(), &listen);
    let output = tollgate(folder.path(), &["reconcile"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("missing sequence numbers: 3\n"), "{text}");
    assert!(asked.join().unwrap().starts_with("GET /v1/reconcile "));
}
