//! Probes of a backend on loopback whose status the tests choose.

use std::sync::atomic::{AtomicU16, Ordering};

use parking_lot::Mutex;
use smallvec::smallvec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tollgate_base::clock::Clock;
use tollgate_config::BackendConfig;
use tollgate_settings::load::parse_yaml;

use super::*;
use crate::telemetry::metrics::Metrics;
use tollgate_backends::circuit::{CircuitRules, CountedFailures, Rule, Threshold};
use tollgate_backends::{CircuitState, DeploymentId, DeploymentSpec, credentials, tls};

/// A backend that answers everything with one status and keeps the last request's head.
#[derive(Clone)]
struct Stub {
    status: Arc<AtomicU16>,
    seen: Arc<Mutex<String>>,
    url: String,
}

impl Stub {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Self {
            status: Arc::new(AtomicU16::new(200)),
            seen: Arc::default(),
            url: format!("http://{}/v1", listener.local_addr().unwrap()),
        };
        let this = stub.clone();
        actix_rt::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = vec![0; 4096];
                let length = stream.read(&mut head).await.unwrap_or(0);
                *this.seen.lock() = String::from_utf8_lossy(&head[..length]).to_lowercase();
                let status = this.status.load(Ordering::Relaxed);
                let answer =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        stub
    }
}

fn resolved(config: &BackendConfig) -> Backend {
    let name = "b".into();
    let credentials = credentials::resolve(&name, config.credentials.as_ref()).unwrap();
    Backend::resolve(&name, config, credentials, None).unwrap()
}

fn probe(url: &str, config: &str, clock: &Clock, metrics: &Metrics) -> Probe {
    let text = format!(
        "format: openai\nurl: '{url}'\n\
         credentials: {{ header: {{ name: api-key, value: k3y }} }}\nprobe: {config}"
    );
    let backend: BackendConfig = parse_yaml("t.yaml".as_ref(), &text).unwrap();
    let config = backend.probe.clone().unwrap();
    let rule = Rule { threshold: Threshold::Consecutive(2), counted: CountedFailures::default() };
    let spec = |model: &str| DeploymentSpec {
        id: DeploymentId { backend: "b".into(), model: model.into() },
        rules: CircuitRules { rules: smallvec![rule.clone()], ..CircuitRules::default() },
        capacity: None,
    };
    let specs = vec![spec("m"), spec("n")];
    Probe {
        uri: config.uri(&backend.url).unwrap(),
        config,
        backend: Arc::new(ArcSwap::from_pointee(resolved(&backend))),
        caller: Rc::new(BackendClient::new(tls::client_config().unwrap())),
        backends: Backends::start_in(&actix_rt::Arbiter::current(), clock.clone(), specs),
        metrics: metrics.probes().clone(),
    }
}

async fn until(backends: &Backends, state: CircuitState) {
    let reached = async {
        while backends.observe().iter().any(|seen| seen.circuit != state) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reached).await.unwrap();
}

#[actix_rt::test]
async fn a_probe_shows_the_credentials_and_looks_at_the_status_alone() {
    let stub = Stub::start().await;
    let metrics = Metrics::new();
    let probe =
        probe(&stub.url, "{ path: '/models?limit=1', expect_status: 200-299 }", &Clock::manual(), &metrics);
    assert_eq!(probe.look().await, Finding::Healthy);
    let head = stub.seen.lock().clone();
    assert!(head.starts_with("get /v1/models?limit=1 http/1.1") && head.contains("api-key: k3y"), "{head}");
    stub.status.store(503, Ordering::Relaxed);
    assert_eq!(probe.look().await, Finding::Unwell("status"));
}

#[actix_rt::test]
async fn nobody_there_and_no_answer_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let metrics = Metrics::new();
    let silent = probe(&url, "{ timeout: 30ms }", &Clock::manual(), &metrics);
    assert_eq!(silent.look().await, Finding::Unwell("timeout"));
    drop(listener);
    let gone = probe(&url, "{ timeout: 10s }", &Clock::manual(), &metrics);
    assert_eq!(gone.look().await, Finding::Unwell("connect"));
}

#[actix_rt::test]
async fn a_backend_is_left_alone_and_comes_back_without_a_clients_request() {
    let stub = Stub::start().await;
    let (clock, metrics) = (Clock::manual(), Metrics::new());
    let probe = probe(&stub.url, "{ every: 2ms }", &clock, &metrics);
    let backends = probe.backends.clone();
    stub.status.store(500, Ordering::Relaxed);
    let probes = Task::start(probe);
    until(&backends, CircuitState::Open).await;
    stub.status.store(200, Ordering::Relaxed);
    clock.advance(Duration::from_secs(10));
    until(&backends, CircuitState::Closed).await;
    assert!(backends.observe().iter().all(|seen| seen.trips == 1 && seen.succeeded + seen.failed == 0));
    drop(probes);
    let text = metrics.encode(
        &tollgate_ledger::LedgerStatus::default(),
        &[],
        &tollgate_limits::LimiterStats::default(),
        &Default::default(),
    );
    for line in [
        r#"tollgate_probes_total{backend="b",result="healthy"}"#,
        r#"tollgate_probes_total{backend="b",result="status"}"#,
        r#"tollgate_probe_duration_seconds_count{backend="b"}"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[actix_rt::test]
async fn only_probes_whose_settings_change_are_started_anew_and_all_get_the_new_backend() {
    let metrics = Metrics::new();
    let started = std::cell::Cell::new(0);
    let start = |target: &ProbeTarget| {
        started.set(started.get() + 1);
        let mut probe = probe("http://h/v1", "{ every: 1h }", &Clock::manual(), &metrics);
        (probe.config, probe.uri) = (target.config.clone(), target.uri.clone());
        probe
    };
    let target = |config: &str| {
        let text = format!("{{ format: openai, url: 'http://h/v1', probe: {config} }}");
        let backend: BackendConfig = parse_yaml("t.yaml".as_ref(), &text).unwrap();
        let config = backend.probe.clone().unwrap();
        ProbeTarget { uri: config.uri(&backend.url).unwrap(), config, backend: Arc::new(resolved(&backend)) }
    };
    let mut running = Running::default();
    running.follow(&[target("{ every: 1h }")], start);
    let second = target("{ every: 1h }");
    running.follow(std::slice::from_ref(&second), start);
    assert_eq!(started.get(), 1);
    assert!(Arc::ptr_eq(&running.0["b"].backend.load(), &second.backend));
    running.follow(&[target("{ every: 2h }")], start);
    assert_eq!(started.get(), 2);
    running.follow(&[], start);
    assert!(running.0.is_empty());
}

#[test]
fn probes_are_a_tenth_early_or_late_at_most() {
    let every = Duration::from_secs(10);
    for _ in 0..1_000 {
        let wait = jittered(every);
        assert!(wait >= Duration::from_secs(9) && wait <= Duration::from_secs(11), "{wait:?}");
    }
}
