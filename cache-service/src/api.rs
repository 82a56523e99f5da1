//! The HTTP side: lookups, invalidations, health and metrics.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder};
use prometheus_client::registry::Registry;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tollgate_schemas::cache::{CacheInvalidate, LookupRequest, LookupResponse};

use crate::lookup::Cache;
use crate::store::Progress;

/// How long the caller waits, ms.
pub(crate) const DEADLINE_HEADER: &str = "x-tollgate-deadline-ms";
/// Why there was no hit: a code of [`crate::lookup::Miss`].
pub(crate) const MISS_HEADER: &str = "x-tollgate-cache-miss";

const DEFAULT_DEADLINE: Duration = Duration::from_millis(50);
const LONGEST_DEADLINE: Duration = Duration::from_secs(10);
const READY_WITHIN: Duration = Duration::from_secs(1);

/// What the handlers share.
pub(crate) struct Api {
    pub(crate) cache: Cache,
    pub(crate) registry: Registry,
    pub(crate) token: Option<SecretString>,
    pub(crate) progress: Arc<Progress>,
}

/// The routes. `max_request_bytes` bounds every body.
pub(crate) fn routes(config: &mut ServiceConfig, api: Data<Api>, max_request_bytes: usize) {
    config
        .app_data(api)
        .app_data(web::PayloadConfig::new(max_request_bytes))
        .route("/v1/lookup", web::post().to(lookup))
        .route("/v1/invalidate", web::post().to(invalidate))
        .route("/healthz", web::get().to(HttpResponse::Ok))
        .route("/readyz", web::get().to(ready))
        .route("/metrics", web::get().to(metrics));
}

async fn lookup(api: Data<Api>, request: HttpRequest, body: Bytes) -> HttpResponse {
    if !api.admits(&request) {
        return refuse(StatusCode::UNAUTHORIZED, "unauthorized", "the token is missing or wrong");
    }
    let asked: LookupRequest = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, "invalid_request", &error.to_string()),
    };
    if asked.min_similarity.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", "min_similarity must be within 0 and 1");
    }
    let Some(deadline) = deadline(&request) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", "x-tollgate-deadline-ms must be a number");
    };
    match api.cache.find(&asked, deadline).await {
        Ok(hit) => HttpResponse::Ok().json(LookupResponse { hit: Some(hit) }),
        Err(miss) => {
            HttpResponse::Ok().insert_header((MISS_HEADER, miss.code())).json(LookupResponse { hit: None })
        }
    }
}

async fn invalidate(api: Data<Api>, request: HttpRequest, body: Bytes) -> HttpResponse {
    if !api.admits(&request) {
        return refuse(StatusCode::UNAUTHORIZED, "unauthorized", "the token is missing or wrong");
    }
    let filter: CacheInvalidate = match serde_json::from_slice(&body) {
        Ok(filter) => filter,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, "invalid_request", &error.to_string()),
    };
    tracing::info!(tenant = %filter.tenant, scope = ?filter.scope, model = ?filter.model, "cache invalidated");
    match api.cache.invalidate(filter).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => {
            tracing::error!(error = %tollgate_base::errors::chain(&error), "invalidation failed");
            refuse(StatusCode::SERVICE_UNAVAILABLE, "index_unavailable", "the index did not do it; try again")
        }
    }
}

async fn ready(api: Data<Api>) -> impl Responder {
    let index = tokio::time::timeout(READY_WITHIN, api.cache.index.stats()).await;
    let index = matches!(index, Ok(Ok(_)));
    let reading = api.progress.is_reading();
    let status = if index && reading { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status).json(serde_json::json!({ "index": index, "events": reading }))
}

async fn metrics(api: Data<Api>) -> HttpResponse {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &api.registry) {
        Ok(()) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8"))
            .body(text),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error.to_string()),
    }
}

impl Api {
    /// Hashes are compared, and in constant time: neither the length of the token nor where a guess goes wrong shows
    /// in how long the answer takes.
    fn admits(&self, request: &HttpRequest) -> bool {
        let Some(token) = &self.token else { return true };
        let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        Sha256::digest(given).ct_eq(&Sha256::digest(token.expose_secret())).into()
    }
}

fn deadline(request: &HttpRequest) -> Option<Duration> {
    let Some(header) = request.headers().get(DEADLINE_HEADER) else { return Some(DEFAULT_DEADLINE) };
    let ms = header.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(ms).min(LONGEST_DEADLINE))
}

fn refuse(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(serde_json::json!({ "error": { "code": code, "message": message } }))
}
