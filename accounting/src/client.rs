//! Asks a running accounting service over HTTP; used by the commands' `--url`.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::Error;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer, bytes.
const MAX_ANSWER: usize = 256 << 20;

/// `GET base + path` and the answer's text.
///
/// # Errors
/// When there is no answer in time, or one that is not 200.
pub(crate) async fn get(base: &str, path: &str) -> Result<String, Error> {
    let url = format!("{}{path}", base.trim_end_matches('/'));
    let failed = |message: String| Error::Remote { url: url.clone(), message };
    match timeout(TIMEOUT, fetch(&url)).await {
        Ok(Ok((200, text))) => Ok(text),
        Ok(Ok((status, text))) => Err(failed(format!("status {status}: {}", text.trim()))),
        Ok(Err(message)) => Err(failed(message)),
        Err(_) => Err(failed(format!("no answer within {TIMEOUT:?}"))),
    }
}

async fn fetch(url: &str) -> Result<(u16, String), String> {
    let uri: hyper::Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
    if uri.scheme_str() != Some("http") {
        return Err("use http://host:port".to_owned());
    }
    let authority = uri.authority().ok_or("use http://host:port")?.as_str().to_owned();
    let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
    let host = host.trim_matches(['[', ']']);
    let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header("host", authority)
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status().as_u16();
    let body =
        Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
    driver.abort();
    Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}

/// For a value of a query string.
pub(crate) fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_for_a_query_string() {
        assert_eq!(escape("2026-11-01T10:00:00+01:00"), "2026-11-01T10%3A00%3A00%2B01%3A00");
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_named() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = get(&format!("http://{free}"), "/healthz").await.unwrap_err();
        assert!(error.to_string().contains(&free.to_string()), "{error}");
        let error = get("https://127.0.0.1:1", "/healthz").await.unwrap_err();
        assert!(error.to_string().contains("use http://"), "{error}");
    }
}
