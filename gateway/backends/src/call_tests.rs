//! Calls as a backend sees them, with credentials that are fixed, fetched, or not to be had.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tollgate_codings::{Coding, Encoding};
use tollgate_config::BackendConfig;

use super::*;
use crate::tls::client_config;

/// The requests that the server got: path with query, and `authorization`.
type Asked = Rc<RefCell<Vec<(String, String)>>>;

/// A server that is token endpoint and backend in one.
async fn serve(token_status: u16) -> (SocketAddr, Asked) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let asked = Asked::default();
    let kept = Rc::clone(&asked);
    actix_rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = Rc::clone(&kept);
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let target = request.uri().to_string();
                let shown = request.headers().get("authorization");
                let shown = shown.map_or("", |value| value.to_str().unwrap()).to_owned();
                let is_token = target == "/token";
                kept.borrow_mut().push((target, shown));
                let (status, body) = if is_token {
                    (token_status, r#"{"access_token":"t1","token_type":"Bearer","expires_in":3600}"#)
                } else {
                    (200, "{}")
                };
                let answer =
                    Response::builder().status(status).body(Full::new(Bytes::from_static(body.as_bytes())));
                std::future::ready(Ok::<_, Infallible>(answer.unwrap()))
            });
            actix_rt::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (addr, asked)
}

fn backend(addr: SocketAddr, credentials: &str) -> Backend {
    let yaml = format!(
        "{{ format: openai, url: 'http://{addr}/v1', serves_responses: true, credentials: {{ {credentials} }} }}"
    );
    let config: BackendConfig = tollgate_settings::load::parse_yaml("t.yaml".as_ref(), &yaml).unwrap();
    let credentials = crate::credentials::resolve(&"b".into(), config.credentials.as_ref()).unwrap();
    Backend::resolve(&"b".into(), &config, credentials, None).unwrap()
}

fn uri(backend: &Backend) -> Uri {
    backend
        .responses_url
        .as_deref()
        .unwrap_or_default()
        .replace("responses", "chat/completions")
        .parse()
        .unwrap()
}

async fn post(backend: &Backend) -> Result<Response<AnswerBody>, CallError> {
    let caller = BackendClient::new(client_config().unwrap());
    caller.post(backend, &uri(backend), HeaderMap::new(), Bytes::from_static(b"{}"), &Sent::default()).await
}

fn oauth2(addr: SocketAddr) -> String {
    format!("oauth2: {{ token_url: 'http://{addr}/token', client_id: c, client_secret: s }}")
}

/// A server that compresses its answer whatever `accept-encoding` says.
async fn compressing(coding: &'static str, body: Bytes) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    actix_rt::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let body = body.clone();
            let service = service_fn(move |_: Request<hyper::body::Incoming>| {
                let answer = Response::builder().header(CONTENT_ENCODING, coding);
                let answer = answer.body(Full::new(body.clone())).unwrap();
                std::future::ready(Ok::<_, Infallible>(answer))
            });
            actix_rt::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    addr
}

fn compressed(coding: Coding, body: &[u8]) -> Bytes {
    let mut encoding = Encoding::new(coding);
    let head = encoding.push(body).unwrap();
    [head, encoding.end().unwrap()].concat().into()
}

#[actix_rt::test]
async fn an_answer_that_is_compressed_unasked_is_read_as_what_it_was() {
    let text = "data: {}\n\n".repeat(5_000);
    for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
        let addr = compressing(coding.as_str(), compressed(coding, text.as_bytes())).await;
        let backend = backend(addr, "query: { name: key, value: s3cret }");
        for _ in 0..2 {
            let response = post(&backend).await.unwrap();
            assert!(!response.headers().contains_key(CONTENT_ENCODING));
            assert!(!response.headers().contains_key(CONTENT_LENGTH));
            let body = collect(response.into_body(), 1 << 20, Duration::from_secs(5)).await.unwrap();
            assert!(body == text, "{coding:?}");
        }
        let response = post(&backend).await.unwrap();
        let bounded = collect(response.into_body(), 10_000, Duration::from_secs(5)).await;
        assert!(matches!(bounded, Err(CallError::TooLarge(10_000))), "{coding:?}");
    }
}

#[actix_rt::test]
async fn an_answer_that_cannot_be_decoded_says_why() {
    let broken = compressing("gzip", Bytes::from_static(b"{\"choices\":[]}")).await;
    let response = post(&backend(broken, "query: { name: key, value: s3cret }")).await.unwrap();
    let read = collect(response.into_body(), 1 << 20, Duration::from_secs(5)).await;
    assert!(matches!(read, Err(CallError::Undecodable(_))), "{read:?}");
    let unknown = compressing("compress", Bytes::from_static(b"{}")).await;
    let called = post(&backend(unknown, "query: { name: key, value: s3cret }")).await;
    assert!(matches!(&called, Err(CallError::UnknownCoding(coding)) if coding == "compress"));
}

#[actix_rt::test]
async fn a_token_is_fetched_for_the_first_call_and_kept_for_the_next() {
    let (addr, asked) = serve(200).await;
    let backend = backend(addr, &oauth2(addr));
    for _ in 0..2 {
        assert_eq!(post(&backend).await.unwrap().status(), StatusCode::OK);
    }
    let chat = ("/v1/chat/completions".to_owned(), "Bearer t1".to_owned());
    let asked = asked.borrow();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert_eq!(asked[0].0, "/token");
    assert_eq!(asked[1..], [chat.clone(), chat]);
}

#[actix_rt::test]
async fn without_credentials_the_backend_is_not_called() {
    let (addr, asked) = serve(400).await;
    let backend = backend(addr, &oauth2(addr));
    let error = post(&backend).await.unwrap_err();
    assert!(matches!(error, CallError::Credentials(_)), "{error}");
    assert_eq!(asked.borrow().len(), 1, "the token endpoint alone");
}

#[actix_rt::test]
async fn a_secret_parameter_reaches_the_backend() {
    let (addr, asked) = serve(200).await;
    let backend = backend(addr, "query: { name: key, value: s3cret }");
    post(&backend).await.unwrap();
    assert_eq!(asked.borrow()[0].0, "/v1/chat/completions?key=s3cret");
    assert!(!format!("{backend:?}").contains("s3cret"));
}
