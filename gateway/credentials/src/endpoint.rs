//! Requests to token endpoints: bounded in time and size, without redirects, over TLS or to this machine.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use secrecy::SecretString;

use crate::error::{ConfigureError, CredentialError};

/// Largest answer of a token endpoint, and largest token file, bytes.
const MAX_BYTES: usize = 64 << 10;
/// How long a connection to a token endpoint may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where tokens are had.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) uri: Uri,
    /// Host and port, for errors and logs: paths and queries may tell more than they should.
    pub(crate) name: Arc<str>,
}

impl Endpoint {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is no http or https URL, or plain HTTP to an address that others could answer for.
    pub(crate) fn new(
        url: &str,
        allow_plain_http: bool,
        field: &'static str,
    ) -> Result<Self, ConfigureError> {
        let wrong = |reason: &str| Err(ConfigureError::new(field, reason));
        let Ok(uri) = url.parse::<Uri>() else { return wrong("is not a URL") };
        let Some(authority) = uri.authority() else { return wrong("is not an http or https URL") };
        if authority.as_str().contains('@') {
            return wrong("must not have a user or password");
        }
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if allow_plain_http || is_local(authority.host()) => {}
            Some("http") => {
                return wrong("is plain HTTP to another machine; use https, or set allow_plain_http: true");
            }
            _ => return wrong("is not an http or https URL"),
        }
        let name = authority.as_str().into();
        Ok(Self { uri, name })
    }

    pub(crate) fn answer_error(&self, reason: &'static str) -> CredentialError {
        CredentialError::Answer { endpoint: Arc::clone(&self.name), reason }
    }
}

/// Whether an address is on this machine or handed out by its hypervisor.
fn is_local(host: &str) -> bool {
    match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        // fd00:ec2::/32 and fd20:ce::254 are the metadata addresses of AWS and Google Cloud.
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback()
                || ip.is_unicast_link_local()
                || matches!(ip.segments(), [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..])
        }
        Err(_) => host == "localhost" || host == "metadata.google.internal",
    }
}

/// What a token endpoint answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

/// Talks to token endpoints. A connection serves one request: fetches are rare, and a connection must not
/// outlive the worker that made it.
#[derive(Clone)]
pub(crate) struct TokenClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl TokenClient {
    pub(crate) fn new(tls: ClientConfig) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Self(Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https))
    }

    /// Posts form parameters.
    pub(crate) async fn post_form(
        &self,
        endpoint: &Endpoint,
        mut headers: HeaderMap,
        form: String,
    ) -> Result<Answer, CredentialError> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        self.send(endpoint, Method::POST, headers, Bytes::from(form)).await
    }

    /// Gets a document.
    pub(crate) async fn get(
        &self,
        endpoint: &Endpoint,
        headers: HeaderMap,
    ) -> Result<Answer, CredentialError> {
        self.send(endpoint, Method::GET, headers, Bytes::new()).await
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, CredentialError> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = endpoint.uri.clone();
        *request.headers_mut() = headers;
        let response =
            self.0.request(request).await.map_err(|error| unreachable(endpoint, Arc::new(error)))?;
        let (head, body) = response.into_parts();
        let retry_after = head.headers.get(RETRY_AFTER).and_then(seconds);
        let body = read(endpoint, body).await?;
        Ok(Answer { status: head.status.as_u16(), retry_after, body })
    }
}

async fn read(endpoint: &Endpoint, body: Incoming) -> Result<Bytes, CredentialError> {
    let mut body = Limited::new(body, MAX_BYTES);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data)),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(endpoint.answer_error("it is larger than 64 KiB"));
            }
            Err(error) => return Err(unreachable(endpoint, Arc::from(error))),
        }
    }
    Ok(bytes.freeze())
}

fn unreachable(endpoint: &Endpoint, source: Arc<dyn std::error::Error + Send + Sync>) -> CredentialError {
    CredentialError::Unreachable { endpoint: Arc::clone(&endpoint.name), source }
}

/// `Retry-After` in seconds; token endpoints do not send dates.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Reads a token file of the platform. It is read for every fetch, because the platform replaces it.
pub(crate) async fn read_token_file(path: &Arc<str>) -> Result<SecretString, CredentialError> {
    let failed =
        |reason: String| CredentialError::TokenFile { path: Arc::clone(path), reason: reason.into() };
    let file = tokio::fs::metadata(&**path).await.map_err(|error| failed(error.to_string()))?;
    if file.len() > MAX_BYTES as u64 {
        return Err(failed("it is larger than 64 KiB".to_owned()));
    }
    let text = tokio::fs::read_to_string(&**path).await.map_err(|error| failed(error.to_string()))?;
    match text.trim() {
        "" => Err(failed("it is empty".to_owned())),
        token => Ok(SecretString::from(token)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_the_machine() {
        for url in [
            "http://127.0.0.1:41741/msi/token",
            "http://localhost:42356/msi/token",
            "http://[::1]:80/",
            "http://169.254.169.254/metadata",
            "http://[fe80::1]/",
            "http://[fd00:ec2::23]/",
            "http://metadata.google.internal/",
            "https://login.microsoftonline.com/",
        ] {
            assert!(Endpoint::new(url, false, "endpoint").is_ok(), "{url}");
        }
        for url in ["http://login.example.com/token", "http://10.0.0.1/", "http://localhost.example.com/"] {
            let error = Endpoint::new(url, false, "token_url").unwrap_err();
            assert!(error.to_string().starts_with("credentials.token_url: is plain HTTP"), "{error}");
            assert!(Endpoint::new(url, true, "token_url").is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_repeating_it() {
        for url in ["ftp://h/", "/token", "https://user:s3cret@h/", "", "https://h h/"] {
            let error = Endpoint::new(url, true, "token_url").unwrap_err();
            assert!(!error.to_string().contains("s3cret"));
        }
    }

    #[test]
    fn an_endpoint_is_known_by_its_host() {
        let endpoint = Endpoint::new("https://id.example:8443/t?sig=s3cret", false, "token_url").unwrap();
        assert_eq!(&*endpoint.name, "id.example:8443");
    }
}
