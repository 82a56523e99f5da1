//! Configurations that replace each other in a running gateway, under traffic.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tollgate_gateway::{Config, Handle, start};
use tollgate_settings::load::parse_yaml;

const KEY: &str = "tg-key";
/// Longest wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What the servers beside the gateway have seen, and what they wait for.
#[derive(Default)]
struct Seen {
    /// Connections to the backend.
    connections: AtomicUsize,
    tokens: AtomicUsize,
    lookups: AtomicUsize,
    probes: Notify,
    /// The rest of a stream comes after this.
    release: Notify,
}

/// A gateway with its backend (https, an authority of its own), its token endpoint and its cache service.
struct World {
    seen: Arc<Seen>,
    handle: Handle,
    config: Config,
    client: Client<HttpConnector, Full<Bytes>>,
    side: SocketAddr,
    _folder: TempDir,
}

impl World {
    /// Starts all of them; the configuration is the usual one, changed.
    async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        let seen = Arc::<Seen>::default();
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, certified.cert.pem()).unwrap();
        let backend = serve_backend(&seen, certified).await;
        let side = serve_side(&seen).await;
        let mut config = usual(folder.path(), &authority, backend, side);
        config.allow_plain_secrets = true;
        change(&mut config);
        let handle = start(&config, tollgate_eventlog::open(&config.events).unwrap()).unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { seen, handle, config, client, side, _folder: folder }
    }

    /// Replaces the configuration by the present one, changed.
    fn reload(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.handle.reload(&self.config).unwrap();
    }

    async fn ask(&self, body: &Value) -> Response<Incoming> {
        let request = Request::post(format!("http://{}/v1/chat/completions", self.handle.addr()))
            .header("authorization", format!("Bearer {KEY}"))
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))
            .unwrap();
        tokio::time::timeout(PATIENCE, self.client.request(request)).await.unwrap().unwrap()
    }

    /// The status and body of a whole answer.
    async fn status(&self, body: &Value) -> (StatusCode, String) {
        let answer = self.ask(body).await;
        (answer.status(), text(answer.into_body()).await)
    }

    /// An answer that has begun and not ended.
    async fn stream(&self) -> Incoming {
        let mut request = question(20);
        request["stream"] = true.into();
        let answer = self.ask(&request).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let mut body = answer.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(std::str::from_utf8(&first).unwrap().contains("one"));
        body
    }
}

fn usual(folder: &Path, authority: &Path, backend: SocketAddr, side: SocketAddr) -> Config {
    let digest = ring::digest::digest(&ring::digest::SHA256, KEY.as_bytes());
    let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!(
        "gateway_id: g
listen: 127.0.0.1:0
admin_listen: 127.0.0.1:0
workers: 1
data_dir: {folder}/data
events: {{ embedded: {{ path: {folder}/log }} }}
overload: {{ max_wait: 20ms }}
backends:
  b:
    format: openai
    url: https://localhost:{port}/v1
    tls: {{ ca: {authority} }}
    credentials: {{ oauth2: {{ token_url: 'http://{side}/token', client_id: c, client_secret: s }} }}
models: {{ m: {{ targets: [ {{ backend: b, model: x }} ] }} }}
products: {{ p: {{ models: [m] }} }}
subscriptions: {{ s: {{ product: p, keys: [ {{ sha256: {hash} }} ] }} }}
",
        folder = folder.display(),
        authority = authority.display(),
        port = backend.port(),
    );
    parse_yaml("t.yaml".as_ref(), &text).unwrap()
}

fn question(max_tokens: u32) -> Value {
    json!({ "model": "m", "max_tokens": max_tokens, "messages": [ { "role": "user", "content": "Hi" } ] })
}

async fn text(body: Incoming) -> String {
    let whole = tokio::time::timeout(PATIENCE, body.collect()).await.unwrap().unwrap();
    String::from_utf8(whole.to_bytes().to_vec()).unwrap()
}

async fn serve_backend(seen: &Arc<Seen>, certified: rcgen::CertifiedKey<rcgen::KeyPair>) -> SocketAddr {
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let seen = Arc::clone(seen);
    actix_rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.connections.fetch_add(1, Ordering::Relaxed);
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            actix_rt::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve_connection(stream, &seen).await;
                }
            });
        }
    });
    addr
}

/// The token endpoint and the cache service.
async fn serve_side(seen: &Arc<Seen>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let seen = Arc::clone(seen);
    actix_rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            actix_rt::spawn(async move { serve_connection(stream, &seen).await });
        }
    });
    addr
}

async fn serve_connection(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, seen: &Arc<Seen>) {
    let service =
        service_fn(|request| async { Ok::<_, Infallible>(answer(request, Arc::clone(seen)).await) });
    // A client that goes away is no fault.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, seen: Arc<Seen>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let asked = text(request.into_body()).await;
    let whole = |value: Value| Response::new(Full::from(value.to_string()).boxed_unsync());
    match &*path {
        "/token" => {
            seen.tokens.fetch_add(1, Ordering::Relaxed);
            whole(json!({ "access_token": "t", "token_type": "Bearer", "expires_in": 3600 }))
        }
        "/v1/lookup" => {
            seen.lookups.fetch_add(1, Ordering::Relaxed);
            whole(json!({ "hit": null }))
        }
        "/v1/models" => {
            seen.probes.notify_one();
            whole(json!({ "data": [] }))
        }
        _ if asked.contains("\"stream\":true") => {
            let rest = async move {
                seen.release.notified().await;
                frame(&format!("{}data: [DONE]\n\n", chunk("two", Some("stop"))))
            };
            let parts = stream::once(async { frame(&chunk("one", None)) }).chain(stream::once(rest));
            let body = StreamBody::new(parts).boxed_unsync();
            Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
        }
        _ => whole(json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "x",
            "choices": [ { "index": 0, "finish_reason": "stop",
                           "message": { "role": "assistant", "content": "Hi." } } ],
            "usage": { "prompt_tokens": 100, "completion_tokens": 99_900, "total_tokens": 100_000 },
        })),
    }
}

fn frame(text: &str) -> Result<Frame<Bytes>, Infallible> {
    Ok(Frame::data(Bytes::copy_from_slice(text.as_bytes())))
}

fn chunk(content: &str, finish: Option<&str>) -> String {
    let value = json!({
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x",
        "choices": [ { "index": 0, "finish_reason": finish, "delta": { "content": content } } ],
    });
    format!("data: {value}\n\n")
}

#[actix_rt::test]
async fn tokens_are_not_fetched_again_and_connections_are_used_on() {
    let mut world = World::start(|_| {}).await;
    let counts = |world: &World| {
        let Seen { connections, tokens, .. } = &*world.seen;
        (connections.load(Ordering::Relaxed), tokens.load(Ordering::Relaxed))
    };
    for hidden in [false, true, false] {
        world.reload(|config| config.models["m"].hidden = hidden);
        assert_eq!(world.status(&question(20)).await.0, StatusCode::OK);
        assert_eq!(counts(&world), (1, 1), "connections and tokens");
    }
    // Other credentials are fetched anew, over the same connections.
    let side = world.side;
    world.reload(|config| {
        let text =
            format!("oauth2: {{ token_url: 'http://{}/token', client_id: other, client_secret: s }}", side);
        config.backends["b"].credentials = Some(parse_yaml("t.yaml".as_ref(), &text).unwrap());
    });
    assert_eq!(world.status(&question(20)).await.0, StatusCode::OK);
    assert_eq!(counts(&world), (1, 2), "connections and tokens");
    world.handle.shutdown().await;
}

#[actix_rt::test]
async fn a_stream_ends_under_the_configuration_it_began_with() {
    let mut world = World::start(|_| {}).await;
    let body = world.stream().await;
    world.reload(|config| {
        config.models.clear();
        config.backends.clear();
        config.products["p"].models.clear();
    });
    assert_eq!(world.status(&question(20)).await.0, StatusCode::NOT_FOUND);
    world.seen.release.notify_one();
    let rest = text(body).await;
    assert!(rest.contains("two") && rest.ends_with("data: [DONE]\n\n"), "{rest}");
    world.handle.shutdown().await;
}

#[actix_rt::test]
async fn a_bound_counts_those_who_run_since_before() {
    let mut world = World::start(|config| config.backends["b"].max_running = Some(1)).await;
    let body = world.stream().await;
    assert_ne!(world.status(&question(20)).await.0, StatusCode::OK);
    world.reload(|config| config.models["m"].hidden = true);
    assert_ne!(world.status(&question(20)).await.0, StatusCode::OK, "the bound is not doubled");
    world.reload(|config| config.backends["b"].max_running = Some(2));
    assert_eq!(world.status(&question(20)).await.0, StatusCode::OK);
    let load = world.handle.gateway().load();
    assert_eq!((load.backends[0].requests.running, load.backends[0].requests.max_running), (1, 2));
    world.seen.release.notify_one();
    text(body).await;
    world.handle.shutdown().await;
}

#[actix_rt::test]
async fn a_limit_keeps_what_was_used_of_it() {
    let limit = |tokens: u32| {
        let text =
            format!("{{ models: [m], limits: [ {{ per: subscription, tokens_per_minute: {tokens} }} ] }}");
        parse_yaml("t.yaml".as_ref(), &text).unwrap()
    };
    let mut world = World::start(|config| config.products["p"] = limit(1_000)).await;
    // Debts of an hour and a half.
    assert_eq!(world.status(&question(20)).await.0, StatusCode::OK);
    world.reload(|config| config.models["m"].hidden = true);
    assert_eq!(world.status(&question(500)).await.0, StatusCode::TOO_MANY_REQUESTS);
    world.reload(|config| config.products["p"] = limit(1_100));
    assert_eq!(world.status(&question(500)).await.0, StatusCode::TOO_MANY_REQUESTS);
    world.handle.shutdown().await;
}

#[actix_rt::test]
async fn cache_service_and_probes_follow_the_configuration() {
    let mut world = World::start(|_| {}).await;
    assert_eq!(world.status(&question(20)).await.0, StatusCode::OK);
    assert_eq!(world.seen.lookups.load(Ordering::Relaxed), 0);
    let side = world.side;
    world.reload(|config| {
        let cache = format!("url: 'http://{}'\ndeadline: 10s", side);
        config.cache_service = Some(parse_yaml("t.yaml".as_ref(), &cache).unwrap());
        config.models["m"].cache = Some(parse_yaml("t.yaml".as_ref(), "exact: { ttl: 1h }").unwrap());
        config.backends["b"].probe = Some(parse_yaml("t.yaml".as_ref(), "every: 1s\ntimeout: 1s").unwrap());
    });
    assert_eq!(world.status(&question(20)).await.0, StatusCode::OK);
    assert_eq!(world.seen.lookups.load(Ordering::Relaxed), 1);
    tokio::time::timeout(PATIENCE, world.seen.probes.notified()).await.unwrap();
    world.handle.shutdown().await;
}

#[actix_rt::test]
async fn what_needs_a_restart_or_has_a_mistake_changes_nothing() {
    let mut world = World::start(|config| config.backends["b"].max_running = Some(1)).await;
    let mut wrong = world.config.clone();
    wrong.workers = Some(2);
    wrong.backends["b"].max_running = Some(9);
    wrong.models["m"].targets[0].backend = "c".into();
    let mistakes = world.handle.reload(&wrong).unwrap_err();
    let paths: Vec<&str> = mistakes.0.iter().map(|mistake| &*mistake.path).collect();
    assert_eq!(paths, ["workers", "models.m.targets[0].backend"]);
    assert_eq!(world.handle.gateway().load().backends[0].requests.max_running, 1);
    assert_eq!(world.status(&question(20)).await.0, StatusCode::OK);
    world.reload(|_| {});
    world.handle.shutdown().await;
}
