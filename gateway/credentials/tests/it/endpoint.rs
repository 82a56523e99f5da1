//! A token endpoint on loopback that answers what a test says, and keeps what it was asked.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use tollgate_credentials::{Clock, ConfigureError, CredentialContext, Credentials, Environment, Timing};

/// 2015-08-30T12:36:00Z, the moment of AWS's examples.
pub(crate) const EPOCH: Duration = Duration::from_secs(1_440_938_160);

/// One question.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    /// The form in its body.
    pub(crate) fn form(&self) -> HashMap<String, String> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// One answer; the last one of a script is given again and again.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// Never answered.
    silent: bool,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), silent: false }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn silence() -> Self {
        Self { silent: true, ..Self::new(200, "") }
    }
}

pub(crate) struct Endpoint {
    pub(crate) addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Endpoint {
    pub(crate) async fn serve(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(replies.into_iter().collect::<VecDeque<_>>()));
        let kept = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, kept) = (Arc::clone(&script), Arc::clone(&kept));
                let service =
                    service_fn(move |request| answer(request, Arc::clone(&script), Arc::clone(&kept)));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { addr, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// What it was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn only_question(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked[0].clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    script: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let target = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let method = head.method.to_string();
    asked.lock().unwrap().push(Asked { method, target, headers: head.headers, body });
    let reply = {
        let mut script = script.lock().unwrap();
        if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
    };
    let reply = reply.expect("a script has an answer");
    if reply.silent {
        std::future::pending::<()>().await;
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    Ok(response.body(Full::new(reply.body)).unwrap())
}

/// The answer of a token endpoint.
pub(crate) fn token(text: &str, life_s: u64) -> Reply {
    Reply::new(200, format!(r#"{{"token_type":"Bearer","expires_in":{life_s},"access_token":"{text}"}}"#))
}

/// A context with a clock that stands at [`EPOCH`], patient enough for tests and no more.
pub(crate) struct Bench {
    pub(crate) clock: Clock,
    context: CredentialContext,
}

impl Bench {
    pub(crate) fn new(variables: &[(&str, &str)]) -> Self {
        let timing = Timing { first_wait: Duration::from_millis(1), ..Timing::default() };
        Self::patient(variables, timing)
    }

    pub(crate) fn patient(variables: &[(&str, &str)], timing: Timing) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let clock = Clock::manual(EPOCH);
        let environment = Environment::of(variables.iter().copied());
        let context = CredentialContext::new(tls, clock.clone(), environment, timing);
        Self { clock, context }
    }

    pub(crate) fn credentials(&self, yaml: &str) -> Credentials {
        self.try_credentials(yaml).unwrap()
    }

    pub(crate) fn try_credentials(&self, yaml: &str) -> Result<Credentials, ConfigureError> {
        let config = serde_saphyr::from_str(yaml).unwrap();
        Credentials::new(&"backend".into(), &config, &self.context)
    }
}

/// The head of a chat request.
pub(crate) fn head() -> Parts {
    let request = Request::post("https://api.example/v1/chat/completions").body(()).unwrap();
    request.into_parts().0
}

/// The `Authorization` that credentials add.
pub(crate) async fn authorization(
    credentials: &Credentials,
) -> Result<String, tollgate_credentials::CredentialError> {
    let mut head = head();
    credentials.prepare(&mut head, b"{}").await?;
    Ok(head.headers["authorization"].to_str().unwrap().to_owned())
}
