//! Any backend with an OpenAI-format embeddings endpoint.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tollgate_settings::SecretError;

use super::{EmbedError, Embedder};
use crate::config::OpenAiEmbedderConfig;

/// Largest answer: a vector of 8,192 components in decimal has a third of it.
const MAX_ANSWER_BYTES: usize = 512 << 10;

/// A client of one embeddings endpoint.
#[derive(Debug)]
pub struct OpenAiEmbedder {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    model: String,
    name: String,
    dimensions: usize,
    send_dimensions: bool,
    credential: Option<(HeaderName, HeaderValue)>,
    timeout: Duration,
    runtime: Handle,
}

/// Why the endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenAiError {
    /// The address is not a URL.
    #[error("embedder url: {0}")]
    Url(String),
    /// The credential cannot be a header.
    #[error("embedder header {0} is not a valid header")]
    Header(String),
    /// The credential is not there.
    #[error("embedder header")]
    Secret(#[from] SecretError),
    /// The system has no certificates to check the endpoint's with.
    #[error("no root certificates")]
    Roots(#[source] std::io::Error),
}

#[derive(Serialize)]
struct Ask<'a> {
    model: &'a str,
    input: &'a str,
    encoding_format: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Datum>,
}

#[derive(Deserialize)]
struct Datum {
    embedding: Vec<f32>,
}

impl OpenAiEmbedder {
    /// A client by `config`; its traffic runs on `runtime`.
    ///
    /// # Errors
    /// When address or credential cannot be used.
    pub fn new(config: &OpenAiEmbedderConfig, runtime: Handle) -> Result<Self, OpenAiError> {
        let url: Uri =
            config.url.parse().map_err(|error| OpenAiError::Url(format!("{}: {error}", config.url)))?;
        if url.scheme().is_none() || url.host().is_none() {
            return Err(OpenAiError::Url(format!("{} is not absolute", config.url)));
        }
        let credential = config.header.as_ref().map(|header| {
            let invalid = || OpenAiError::Header(header.name.clone());
            let name = HeaderName::try_from(header.name.as_str()).map_err(|_| invalid())?;
            let secret = header.value.resolve()?;
            let mut value = HeaderValue::from_str(secret.expose_secret()).map_err(|_| invalid())?;
            value.set_sensitive(true);
            Ok::<_, OpenAiError>((name, value))
        });
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(OpenAiError::Roots)?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            url,
            name: format!("{}/{}", config.model, config.dimensions),
            model: config.model.clone(),
            dimensions: config.dimensions,
            send_dimensions: config.send_dimensions,
            credential: credential.transpose()?,
            timeout: config.timeout(),
            runtime,
        })
    }

    async fn ask(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let ask = Ask {
            model: &self.model,
            input: text,
            encoding_format: "float",
            dimensions: self.send_dimensions.then_some(self.dimensions),
        };
        let body = serde_json::to_vec(&ask).map_err(failed)?;
        let mut request = Request::post(&self.url).header(CONTENT_TYPE, "application/json");
        if let Some((name, value)) = &self.credential {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(failed)?;
        let answer = self.client.request(request).await.map_err(failed)?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Err(EmbedError::Failed(format!("the embeddings endpoint answered {status}")));
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await.map_err(failed)?;
        let answer: Answer = serde_json::from_slice(&body.to_bytes()).map_err(failed)?;
        self.vector(answer)
    }

    fn vector(&self, answer: Answer) -> Result<Vec<f32>, EmbedError> {
        let vector = answer.data.into_iter().next().map(|datum| datum.embedding).unwrap_or_default();
        if vector.len() != self.dimensions {
            return Err(EmbedError::Failed(format!(
                "the embeddings endpoint gave {} components, {} are configured",
                vector.len(),
                self.dimensions
            )));
        }
        super::normalized(vector).ok_or_else(|| EmbedError::Failed("the vector has no direction".to_owned()))
    }
}

impl Embedder for OpenAiEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        self.runtime.block_on(async {
            let answer = tokio::time::timeout(self.timeout, self.ask(text)).await;
            answer.map_err(|_| {
                EmbedError::Failed("the embeddings endpoint did not answer in time".to_owned())
            })?
        })
    }
}

fn failed(error: impl std::fmt::Display) -> EmbedError {
    EmbedError::Failed(error.to_string())
}
