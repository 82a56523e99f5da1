//! Read-only HTTP: reports, the events behind them, reconciliation, health and metrics.
//!
//! The server has its own thread; queries run on the service's runtime, so that a store connection never
//! belongs to an HTTP worker that may go away.

use std::net::TcpListener;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, HttpServer, web};
use serde::Deserialize;
use serde_json::json;
use tollgate_settings::units::Time;
use uuid::Uuid;

use crate::error::Error;
use crate::reconcile::reconcile_in;
use crate::reports::{Chargeback, Dimension, Format, Period, drill_down};
use crate::rollup::Rollup;
use crate::server_thread::ServerThread;
use crate::store::{LedgerStore, StoreError};
use crate::telemetry::{Health, Metrics};

/// What the handlers work with.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) store: LedgerStore,
    pub(crate) rollup: Arc<Rollup>,
    pub(crate) metrics: Metrics,
    pub(crate) health: Arc<Health>,
    pub(crate) grace: Duration,
    pub(crate) runtime: tokio::runtime::Handle,
}

/// Starts the server on its own thread.
pub(crate) fn serve(listener: TcpListener, app: App) -> Result<ServerThread, Error> {
    let address = listener.local_addr().map_err(|error| Error::Internal(error.to_string()))?;
    let started = ServerThread::start("accounting-http", address, move || {
        let app = web::Data::new(app);
        let server = HttpServer::new(move || {
            actix_web::App::new().app_data(app.clone()).configure(routes).default_service(web::to(not_found))
        });
        Ok(server.workers(1).shutdown_timeout(5).disable_signals().listen(listener)?.run())
    });
    started.map_err(|error| Error::Listen { address, error })
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", web::get().to(|| async { "ok\n" }))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics))
        .route("/v1/reports/chargeback", web::get().to(chargeback))
        .route("/v1/events/{request_id}", web::get().to(events))
        .route("/v1/reconcile", web::get().to(reconciliation));
}

async fn readyz(app: web::Data<App>) -> HttpResponse {
    match app.health.trouble() {
        None => HttpResponse::Ok().body("ready\n"),
        Some(trouble) => HttpResponse::ServiceUnavailable().body(format!("not ready: {trouble}\n")),
    }
}

async fn metrics(app: web::Data<App>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(app.metrics.to_text())
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargebackQuery {
    month: Option<String>,
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    by: String,
    #[serde(default)]
    format: Option<String>,
}

async fn chargeback(app: web::Data<App>, query: Query<ChargebackQuery>) -> Result<HttpResponse, Refusal> {
    let Query(query) = query;
    let format = query.format.as_deref().map_or(Ok(Format::Json), Format::from_str)?;
    let now = jiff::Timestamp::now();
    let (month, from, to) = (query.month.as_deref(), query.from.as_deref(), query.to.as_deref());
    let period = Period::from_options(month, from, to, now)?;
    let by = Dimension::list(&query.by)?;
    let store = app.store.clone();
    let report = app.run(async move { Chargeback::make(&store, period, by).await }).await?;
    Ok(HttpResponse::Ok().content_type(format.content_type()).body(report.render(format)))
}

async fn events(app: web::Data<App>, path: web::Path<String>) -> Result<HttpResponse, Refusal> {
    let request = Uuid::parse_str(&path).map_err(|_| {
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_request_id", "the request id is not a UUID".to_owned())
    })?;
    let store = app.store.clone();
    let events = app.run(async move { drill_down::events_of(&store, request).await }).await?;
    if events.is_empty() {
        let message = format!("the ledger has no event of request {request}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, "unknown_request", message));
    }
    Ok(HttpResponse::Ok().json(json!({ "request_id": request, "events": events })))
}
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReconcileQuery {
    month: Option<String>,
    grace: Option<String>,
    #[serde(default)]
    format: Option<String>,
}

async fn reconciliation(app: web::Data<App>, query: Query<ReconcileQuery>) -> Result<HttpResponse, Refusal> {
    let format = query.0.format.as_deref().map_or(Ok(Format::Json), Format::from_str)?;
    let grace = query.0.grace.as_deref().map(Time::from_str).transpose();
    let grace = grace
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "invalid_grace", error.to_string()))?
        .map_or(app.grace, |given| given.0);
    let period = query.0.month.as_deref().map(Period::month).transpose()?;
    let (store, rollup, leads) = (app.store.clone(), Arc::clone(&app.rollup), app.health.is_leader());
    let found = app
        .run(async move {
            if leads {
                rollup.refresh().await?;
            }
            reconcile_in(&store, jiff::Timestamp::now(), grace, period).await
        })
        .await?;
    if period.is_none() {
        app.metrics.reconciled(&found);
    }
    Ok(match format {
        Format::Json => HttpResponse::Ok().json(found),
        other => HttpResponse::Ok().content_type(other.content_type()).body(found.render(other)),
    })
}

async fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such endpoint".to_owned())
}

impl App {
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, Refusal> {
        match self.runtime.spawn(work).await {
            Ok(outcome) => Ok(outcome?),
            Err(error) => Err(Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                format!("the query did not finish: {error}"),
            )),
        }
    }
}

/// An answer that is an error: status, stable code, text.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self { status, code, message }
    }
}

impl From<crate::reports::ReportError> for Refusal {
    fn from(error: crate::reports::ReportError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_report", error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "query failed");
        match error {
            StoreError::Unreachable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "the ledger store cannot be reached".to_owned(),
            ),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "store_failed",
                "the ledger store refused the query; its words are in the log".to_owned(),
            ),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl actix_web::ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        HttpResponse::build(self.status).json(body)
    }
}

impl actix_web::Responder for Refusal {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &actix_web::HttpRequest) -> HttpResponse {
        actix_web::ResponseError::error_response(&self)
    }
}

/// The query string as a `T`; what cannot be read is a refusal of ours.
#[derive(Debug)]
struct Query<T>(T);

impl<T: serde::de::DeserializeOwned> actix_web::FromRequest for Query<T> {
    type Error = Refusal;
    type Future = std::future::Ready<Result<Self, Refusal>>;

    fn from_request(request: &actix_web::HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        let query = web::Query::<T>::from_query(request.query_string());
        std::future::ready(
            query
                .map(|query| Self(query.into_inner()))
                .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "invalid_query", error.to_string())),
        )
    }
}
