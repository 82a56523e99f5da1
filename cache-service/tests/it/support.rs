//! What the tests share: a service on free ports, its events, its clients, and an embeddings endpoint.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_cache_service::config::MiniLmConfig;
use tollgate_cache_service::{Config, Handle, start};
use tollgate_eventlog::{EventLog, OutRecord, Topic};
use tollgate_schemas::cache::{
    CacheInvalidate, CachePartition, CacheStore, INVALIDATE_TYPE, LookupRequest, LookupResponse, STORE_TYPE,
};
use tollgate_schemas::envelope::Envelope;
use tollgate_schemas::ids::{EventId, RequestId};
use uuid::Uuid;

/// Long enough for a busy machine; nothing waits that long when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The installed model. Where it is missing the tests say so and end, unless they must not.
pub(crate) fn installed_model() -> Option<MiniLmConfig> {
    let home = std::env::var_os("TOLLGATE_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share/tollgate")))?;
    let model = MiniLmConfig::installed_in(&home);
    if model.model_dir.join("model.onnx").is_file() && model.onnxruntime.is_file() {
        return Some(model);
    }
    let missing =
        format!("the embedding model is not installed below {}: run deploy/setup/minilm", home.display());
    let required = std::env::var_os("TOLLGATE_REQUIRE_ENGINES").is_some_and(|value| value == "1");
    assert!(!required, "{missing}");
    // Past the capture of test output: it must be seen when the test passes.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: {missing}").unwrap();
    None
}

/// A running service with its event log.
pub(crate) struct Service {
    pub(crate) handle: Handle,
    pub(crate) log: Arc<dyn EventLog>,
}

impl Service {
    /// Starts on the folders of `dir`; `index` and `embedder` are the configuration's YAML.
    pub(crate) async fn start(dir: &TempDir, index: &str, embedder: &str) -> Self {
        Self::start_with(dir, index, embedder, "").await
    }

    pub(crate) async fn start_with(dir: &TempDir, index: &str, embedder: &str, more: &str) -> Self {
        let config = config(dir.path(), index, embedder, more);
        let log = tollgate_eventlog::open(&config.events).unwrap();
        let handle = start(config, Arc::clone(&log)).await.unwrap();
        Self { handle, log }
    }

    /// Puts records into the cache topic and waits until they are there.
    pub(crate) fn publish(&self, records: Vec<OutRecord>) {
        publish(&*self.log, records);
    }

    pub(crate) async fn lookup(&self, lookup: &LookupRequest) -> (LookupResponse, HeaderMap) {
        let body = serde_json::to_value(lookup).unwrap();
        let (status, headers, body) = self.post("/v1/lookup", &body, None).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        (serde_json::from_str(&body).unwrap(), headers)
    }

    /// Asks until there is an answer.
    pub(crate) async fn await_hit(&self, lookup: &LookupRequest) -> LookupResponse {
        until("an entry to be found", async || self.lookup(lookup).await.0.hit.is_some()).await;
        self.lookup(lookup).await.0
    }

    /// Waits until this many records of the topic have been worked off.
    pub(crate) async fn await_records(&self, count: u64) {
        let all = async || {
            let metrics = self.get("/metrics").await.2;
            let counts = metrics.lines().filter(|line| line.starts_with("tollgate_cache_records_total{"));
            counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>() >= count
        };
        until("records to be worked off", all).await;
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        body: &Value,
        token: Option<&str>,
    ) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::post(format!("http://{}{path}", self.handle.addr()))
            // The tests are about answers, not about a busy machine's speed.
            .header("x-tollgate-deadline-ms", "10000");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        send(request.body(Full::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        let request = Request::get(format!("http://{}{path}", self.handle.addr()));
        send(request.body(Full::default()).unwrap()).await
    }

    /// Stops everything, so that the folders are free again.
    pub(crate) async fn stop(self) {
        self.handle.shutdown().await;
    }
}

pub(crate) fn config(dir: &Path, index: &str, embedder: &str, more: &str) -> Config {
    let events = dir.join("events");
    let yaml = format!(
        "listen: 127.0.0.1:0\nevents: {{ embedded: {{ path: {} }} }}\nindex: {index}\nembedder: {embedder}\n{more}\n",
        events.display()
    );
    Config::parse(Path::new("cache.yaml"), &yaml).unwrap()
}

pub(crate) fn embedded_index(dir: &Path) -> String {
    format!("{{ embedded: {{ path: {} }} }}", dir.join("cache").display())
}

pub(crate) fn publish(log: &dyn EventLog, records: Vec<OutRecord>) {
    log.ensure_topics(&[Topic::Cache.spec()]).unwrap();
    let mut producer = log.producer().unwrap();
    let (count, mut done) = (records.len(), Vec::new());
    for (token, record) in records.into_iter().enumerate() {
        producer.send(record, token as u64).unwrap();
    }
    while done.len() < count {
        producer.poll(Duration::from_millis(100), &mut done);
    }
    assert!(done.iter().all(|delivery| delivery.result.is_ok()), "{done:?}");
}

async fn send(request: Request<Full<Bytes>>) -> (StatusCode, HeaderMap, String) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let all = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "waited in vain for {what}");
}

pub(crate) fn now_ms() -> i64 {
    tollgate_cache_service::clock::Clock::system().now_ms()
}

pub(crate) fn partition(tenant: &str) -> CachePartition {
    CachePartition {
        tenant: tenant.into(),
        scope: "tenant".into(),
        model: "gpt".into(),
        context_hash: "c0".into(),
    }
}

/// The answer to `text` in the place of `partition`, as the gateway publishes it.
pub(crate) fn store(partition: CachePartition, text: &str, answer: &str) -> CacheStore {
    CacheStore {
        event_id: EventId(Uuid::now_v7()),
        request_id: RequestId::now(),
        partition,
        exact_key: format!("key of {text}").into(),
        text: text.to_owned(),
        response: RawValue::from_string(json!({ "answer": answer }).to_string()).unwrap(),
        stored_at_ms: now_ms(),
        ttl_s: 3_600,
        semantic: true,
    }
}

pub(crate) fn store_record(store: &CacheStore) -> OutRecord {
    let key = store.partition.tenant.to_string();
    record(STORE_TYPE, key, serde_json::to_vec(store).unwrap())
}

pub(crate) fn invalidate_record(filter: &CacheInvalidate) -> OutRecord {
    record(INVALIDATE_TYPE, filter.tenant.to_string(), serde_json::to_vec(filter).unwrap())
}

fn record(kind: &str, key: String, payload: Vec<u8>) -> OutRecord {
    let envelope = Envelope {
        id: Uuid::now_v7(),
        kind: kind.to_owned(),
        source: "/tollgate/gateway/test".to_owned(),
        time_ms: now_ms(),
        subject: None,
        partition_key: None,
        traceparent: None,
        sequence: None,
    };
    OutRecord {
        topic: Topic::Cache,
        key: key.into(),
        headers: envelope.to_headers(),
        payload: Some(payload.into()),
        timestamp_ms: now_ms(),
    }
}

/// A question in the place of `partition`.
pub(crate) fn question(partition: CachePartition, text: &str, min_similarity: Option<f32>) -> LookupRequest {
    LookupRequest {
        partition,
        exact_key: format!("key of {text}").into(),
        text: text.to_owned(),
        min_similarity,
    }
}

/// An endpoint of OpenAI's embeddings format whose vectors count words: the more words two texts share, the
/// more similar they are. It wants the credential `Bearer sesame`.
pub(crate) fn embeddings_endpoint() -> SocketAddr {
    let server = HttpServer::new(|| App::new().route("/v1/embeddings", web::post().to(embed)))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    address
}

async fn embed(request: actix_web::HttpRequest, body: web::Json<Value>) -> HttpResponse {
    let credential = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if credential != Some("Bearer sesame") {
        return HttpResponse::Unauthorized().finish();
    }
    let mut vector = vec![0.0; 64];
    for word in body["input"].as_str().unwrap_or_default().to_lowercase().split_whitespace() {
        let hash = word.bytes().fold(5381u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte));
        vector[hash as usize % 64] += 1.0;
    }
    HttpResponse::Ok().json(json!({ "object": "list", "data": [{ "index": 0, "embedding": vector }] }))
}

/// The configuration of [`embeddings_endpoint`]; its credential comes from a file in `dir`.
pub(crate) fn endpoint_embedder(dir: &Path, address: SocketAddr) -> String {
    let secret = dir.join("embedder-key");
    std::fs::write(&secret, "sesame\n").unwrap();
    format!(
        "{{ openai: {{ url: 'http://{address}/v1/embeddings', model: words, dimensions: 64, header: {{ name: Authorization, value: 'Bearer ${{secret:file:{}}}' }} }} }}",
        secret.display()
    )
}
