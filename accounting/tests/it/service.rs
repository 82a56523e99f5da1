//! The whole service on the embedded log and the embedded engine, in this process and as a program.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tollgate_accounting::rollup::Rollup;
use tollgate_accounting::store::LedgerStore;
use tollgate_accounting::store::embedded::EmbeddedEngine;
use tollgate_accounting::{Config, Handle, service};
use tollgate_eventlog::config::EventLogConfig;
use tollgate_eventlog::{EventLog, OutRecord, Topic};
use tollgate_schemas::envelope::Envelope;
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::{BOOT_CLOSED_TYPE, BootClosed, EVENT_TYPE, Outcome, UsageEvent};

use crate::support::{NOW_MS, Turn, deliver, event, event_of_this_month, lines, this_month, turn};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tollgate-accounting");
const WAIT: Duration = Duration::from_secs(60);

pub(crate) fn config_text(turn: &Turn, http_listen: bool) -> String {
    let folder = turn.folder.path();
    let prices = format!("{}/../deploy/config/prices.yaml", std::env::var("CARGO_MANIFEST_DIR").unwrap());
    let http = if http_listen { ", http_listen: 127.0.0.1:0" } else { "" };
    format!(
        "listen: 127.0.0.1:0
events: {{ embedded: {{ path: {} }} }}
store: {{ embedded: {{ path: {}, library: {}{http} }} }}
price_book: {prices}
batch: {{ age: 100ms }}
rollup_interval: 1s
reconcile_interval: 1s
",
        folder.join("log").display(),
        folder.join("ledger").display(),
        turn.library.display(),
    )
}

fn config(turn: &Turn) -> Config {
    Config::parse(Path::new("accounting.yaml"), &config_text(turn, true)).unwrap()
}

pub(crate) fn open_log(turn: &Turn) -> Arc<dyn EventLog> {
    let EventLogConfig::Embedded(_) = &config(turn).events else { panic!() };
    tollgate_eventlog::open(&config(turn).events).unwrap()
}

/// Appends records and waits until the log has them.
pub(crate) fn publish(log: &Arc<dyn EventLog>, records: Vec<(&str, Vec<u8>)>) {
    let mut producer = log.producer().unwrap();
    let count = records.len();
    for (n, (kind, payload)) in records.into_iter().enumerate() {
        let envelope = Envelope {
            id: uuid::Uuid::now_v7(),
            kind: kind.to_owned(),
            source: "/tollgate/gateway/gw-1".to_owned(),
            time_ms: NOW_MS,
            subject: None,
            partition_key: None,
            traceparent: None,
            sequence: None,
        };
        let record = OutRecord {
            topic: Topic::Usage,
            key: Bytes::from(format!("key-{}", n % 7)),
            headers: envelope.to_headers(),
            payload: Some(Bytes::from(payload)),
            timestamp_ms: NOW_MS,
        };
        producer.send(record, n as u64).unwrap();
    }
    let (mut done, deadline) = (Vec::new(), Instant::now() + WAIT);
    while done.len() < count {
        assert!(Instant::now() < deadline, "the log did not take the records");
        producer.poll(Duration::from_millis(50), &mut done);
    }
    assert!(done.iter().all(|delivery| delivery.result.is_ok()));
}

fn usage(event: &UsageEvent) -> (&'static str, Vec<u8>) {
    (EVENT_TYPE, serde_json::to_vec(event).unwrap())
}

/// 40 events of two cost centers, some delivered twice; one record that cannot be read; the end of the boot.
pub(crate) fn month() -> Vec<(&'static str, Vec<u8>)> {
    let mut records = Vec::new();
    for n in 1..=40 {
        let mut event = event_of_this_month(n);
        if n % 2 == 0 {
            event.payer.cost_center = "0815".into();
            event.call.model = "sim-large".into();
        }
        match n {
            5 => {
                event.outcome = Outcome::CacheHit;
                event.attempt = 0;
                event.lines = Vec::new();
            }
            7 => event.lines = lines(&[(TokenClass::Image, 1)]),
            9 => {
                records.push(usage(&UsageEvent { version: 0, outcome: Outcome::Recovered, ..event.clone() }));
            }
            _ => {}
        }
        records.push(usage(&event));
        if n % 4 == 0 {
            records.push(usage(&event));
        }
    }
    records.push((EVENT_TYPE, b"{\"event_id\": 1}".to_vec()));
    let closed = BootClosed { gateway_id: "gw-1".into(), boot_id: event(1).ledger.boot_id, last_seq: 40 };
    records.push((BOOT_CLOSED_TYPE, serde_json::to_vec(&closed).unwrap()));
    records
}

/// Status and body of a GET, by the program's own client path: `curl` without curl.
pub(crate) async fn get(addr: std::net::SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

async fn attempts(handle: &Handle) -> u64 {
    let (status, body) = get(handle.addr(), &format!("/v1/reports/chargeback?month={}", this_month())).await;
    assert_eq!(status, 200, "{body}");
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    report["totals"][0]["attempts"].as_u64().unwrap_or(0)
}

pub(crate) async fn wait_for_attempts(handle: &Handle, expected: u64) {
    let deadline = Instant::now() + WAIT;
    while attempts(handle).await < expected {
        assert!(Instant::now() < deadline, "the events did not arrive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(attempts(handle).await, expected);
}

async fn wait_for_metric(handle: &Handle, line: &str) {
    let deadline = Instant::now() + WAIT;
    loop {
        let (_, text) = get(handle.addr(), "/metrics").await;
        if text.contains(line) {
            return;
        }
        assert!(Instant::now() < deadline, "{line} is not in\n{text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_become_a_report() {
    let Some(turn) = turn() else { return };
    let log = open_log(&turn);
    publish(&log, month());
    let handle = service::start(config(&turn), Arc::clone(&log)).await.unwrap();
    wait_for_attempts(&handle, 40).await;

    let month = this_month();
    let path = format!("/v1/reports/chargeback?month={month}&by=cost_center,model&format=table");
    let (status, table) = get(handle.addr(), &path).await;
    assert_eq!(status, 200);
    eprintln!("{table}");
    // 20 × (1000 × 2.50 + 100 × 10) and 18 × (1000 × 0.15 + 100 × 0.60) per million.
    assert!(
        table.contains("0815         sim-large        20        20         20000           2000  0.070000"),
        "{table}"
    );
    assert!(
        table.contains("4711         sim-small        20        20         18000           1800  0.003780"),
        "{table}"
    );
    assert!(table.contains("1 attempts have no price"), "{table}");

    let request = event(1).request_id.0;
    let (status, body) = get(handle.addr(), &format!("/v1/events/{request}")).await;
    assert_eq!(status, 200, "{body}");
    let drilled: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(drilled["events"][0]["cost"], "0.000210000000");

    let (status, body) = get(handle.addr(), "/v1/reconcile").await;
    assert_eq!(status, 200, "{body}");
    let found: tollgate_accounting::reconcile::Reconciliation = serde_json::from_str(&body).unwrap();
    assert!(found.is_clean(), "{found:?}");
    assert_eq!((found.events, found.dead_letters, found.unpriced, found.recovered), (40, 1, 1, 0));
    assert_eq!(found.rollup_stale_days, 0);

    wait_for_metric(&handle, "tollgate_accounting_dead_letters_total{reason=\"data\"} 1").await;
    wait_for_metric(&handle, "tollgate_ledger_unpriced_events 1").await;
    assert_eq!(get(handle.addr(), "/readyz").await, (200, "ready\n".to_owned()));
    sql_clients_may_read(&handle).await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_repairs_days_of_the_rollup_that_no_refresh_would_look_at() {
    let Some(turn) = turn() else { return };
    {
        let engine = EmbeddedEngine::open(&turn.options()).unwrap();
        let store = LedgerStore::new(Arc::new(engine));
        store.migrate().await.unwrap();
        deliver(&store, &[event_of_this_month(1)], 0).await;
        Rollup::new(store.clone()).refresh().await.unwrap();
        for statement in [
            "INSERT INTO rollup_hourly SELECT * FROM rollup_hourly",
            "INSERT INTO rollup_state SELECT rollup, watermark + INTERVAL 1 DAY, built_at + INTERVAL 1 DAY
                 FROM rollup_state",
        ] {
            store.execute(statement).await.unwrap();
        }
    }
    let handle = service::start(config(&turn), open_log(&turn)).await.unwrap();
    wait_for_metric(&handle, "tollgate_accounting_rollup_repaired_days_total 1").await;
    wait_for_metric(&handle, "tollgate_ledger_rollup_difference_pico 0").await;
    let (_, body) = get(handle.addr(), "/v1/reconcile").await;
    let found: tollgate_accounting::reconcile::Reconciliation = serde_json::from_str(&body).unwrap();
    assert!(found.is_clean(), "{found:?}");
    handle.shutdown().await;
}

async fn sql_clients_may_read(handle: &Handle) {
    let url = format!("http://{}", handle.ledger_addr().unwrap());
    let client = clickhouse::Client::default().with_url(url);
    let count = client.query("SELECT count() FROM v_usage").fetch_one::<u64>().await.unwrap();
    assert_eq!(count, 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_the_last_run_committed() {
    let Some(turn) = turn() else { return };
    let log = open_log(&turn);
    publish(&log, (1..=10).map(|n| usage(&event_of_this_month(n))).collect());
    let handle = service::start(config(&turn), Arc::clone(&log)).await.unwrap();
    wait_for_attempts(&handle, 10).await;
    handle.shutdown().await;
    publish(&log, (8..=20).map(|n| usage(&event_of_this_month(n))).collect());
    let handle = service::start(config(&turn), Arc::clone(&log)).await.unwrap();
    wait_for_attempts(&handle, 20).await;
    wait_for_metric(&handle, "tollgate_accounting_records_total{kind=\"usage\"} 13").await;
    handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_cannot_be_answered_say_why() {
    let Some(turn) = turn() else { return };
    let handle = service::start(config(&turn), open_log(&turn)).await.unwrap();
    for (path, status, code, text) in [
        ("/v1/reports/chargeback?by=cost_centre", 400, "invalid_report", "did you mean `cost_center`?"),
        ("/v1/reports/chargeback?month=2026-13", 400, "invalid_report", "is not a month"),
        ("/v1/reports/chargeback?format=xml", 400, "invalid_report", "use table, csv or json"),
        ("/v1/reports/chargeback?mont=2026-11", 400, "invalid_query", "mont"),
        ("/v1/events/x", 400, "invalid_request_id", "not a UUID"),
        ("/v1/events/00000000-0000-0000-0000-000000000001", 404, "unknown_request", "no event"),
        ("/v1/reconcile?grace=soon", 400, "invalid_grace", "30s"),
        ("/nothing", 404, "not_found", "no such endpoint"),
    ] {
        let (given, body) = get(handle.addr(), path).await;
        assert_eq!(given, status, "{path}: {body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"]["code"], code, "{path}");
        assert!(body["error"]["message"].as_str().unwrap().contains(text), "{path}: {body}");
    }
    handle.shutdown().await;
}

/// The program, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn write_config(turn: &Turn) -> (PathBuf, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = turn.folder.path().join("accounting.yaml");
    let text = config_text(turn, false).replace("listen: 127.0.0.1:0", &format!("listen: 127.0.0.1:{port}"));
    std::fs::write(&path, text).unwrap();
    (path, format!("http://127.0.0.1:{port}"))
}

fn wait_until_ready(program: &mut Running, url: &str) {
    let deadline = Instant::now() + WAIT;
    let address = url.trim_start_matches("http://");
    while std::net::TcpStream::connect(address).is_err() {
        assert!(program.0.try_wait().unwrap().is_none(), "the program ended");
        assert!(Instant::now() < deadline, "the program does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn report_until(arguments: &[&str], expected: &str) -> String {
    let deadline = Instant::now() + WAIT;
    loop {
        let (code, out, err) = run(arguments);
        if code == Some(0) && out.contains(expected) {
            return out;
        }
        assert!(Instant::now() < deadline, "{expected} is not in\n{out}\n{err}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_program_serves_reports_and_survives_being_killed() {
    let Some(turn) = turn() else { return };
    publish(&open_log(&turn), month());
    let (config, url) = write_config(&turn);
    let config = config.to_str().unwrap();
    let start =
        || Running(Command::new(PROGRAM).args(["--config", config]).stderr(Stdio::null()).spawn().unwrap());

    let mut program = start();
    wait_until_ready(&mut program, &url);
    let report = ["report", "--month", this_month(), "--by", "cost_center", "--format", "csv", "--url", &url];
    let out = report_until(&report, "total,40,40,38000,3800,0.073780000000,USD,1,0,1");
    assert!(out.starts_with("cost_center,requests,"), "{out}");

    // The service has the ledger open: it is asked.
    let month = ["--month", this_month(), "--by", "", "--format", "csv"];
    let (code, out, err) = run(&[&["report", "--config", config], &month[..]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("40,40,38000,3800,0.073780000000,USD,1,0,1"), "{out}");

    program.0.kill().unwrap();
    program.0.wait().unwrap();
    let mut program = start();
    wait_until_ready(&mut program, &url);
    report_until(&report, "total,40,40,38000,3800,0.073780000000,USD,1,0,1");
    let (code, out, err) = run(&["reconcile", "--grace", "0s", "--url", &url]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("no price: provider=sim model=sim-small class=image events=1"), "{out}");
    stop_gently(program);

    // With the service gone the ledger is read directly.
    let (code, out, err) =
        run(&["report", "--config", config, "--month", this_month(), "--by", "cost_center"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("0.073780"), "{out}");
}

fn stop_gently(mut program: Running) {
    let pid = program.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let deadline = Instant::now() + WAIT;
    loop {
        if let Some(status) = program.0.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        assert!(Instant::now() < deadline, "the program did not stop");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn mistakes_in_the_files_are_told_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("accounting.yaml");
    let prices = folder.path().join("prices.yaml");
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    let text = format!(
        "events: {{ embedded: {{ path: /nowhere }} }}\nstore: {{ embedded: {{ path: /nowhere }} }}\nprice_book: {}\n",
        prices.display()
    );
    write(&config, &text);
    let check = ["check", "--config", config.to_str().unwrap()];
    let (code, _, err) = run(&check);
    assert_eq!((code, err.contains("prices.yaml")), (Some(2), true), "{err}");
    write(
        &prices,
        "currency: USD\nentries:\n  - { provider: p, model: m, class: imput, per_unit: \"1\", from: 2024-01-01 }\n",
    );
    let (_, _, err) = run(&check);
    assert!(err.contains("line 3: p/m imput: there is no class `imput`; did you mean `input`?"), "{err}");
    write(&prices, "currency: USD\n");
    assert_eq!(run(&check).0, Some(0));
    write(&config, &format!("{text}lisen: x\n"));
    let (code, _, err) = run(&check);
    assert_eq!((code, err.contains("lisen")), (Some(2), true), "{err}");
}
