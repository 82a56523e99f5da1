//! Health, readiness, metrics and the state of the actors, on an address of their own.

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use serde::Serialize;

use crate::gateway::Gateway;

mod circuits;

pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/healthz", web::get().to(alive))
        .route("/readyz", web::get().to(ready))
        .route("/metrics", web::get().to(metrics))
        .route("/admin/backends", web::get().to(backends))
        .route("/admin/backends/{backend}/open", web::post().to(circuits::open))
        .route("/admin/backends/{backend}/close", web::post().to(circuits::close))
        .route("/admin/limits", web::get().to(limits))
        .route("/admin/overload", web::get().to(overload))
        .route("/admin/ledger", web::get().to(ledger));
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

async fn alive() -> impl Responder {
    HttpResponse::Ok().json(serde_json::json!({ "alive": true }))
}

/// Ready means: takes requests and can write them down.
async fn ready(gateway: web::Data<Gateway>) -> HttpResponse {
    let reason = if gateway.is_stopping() {
        Some("stopping")
    } else if gateway.ledger.status().refusing {
        Some("the usage ledger cannot take records")
    } else {
        None
    };
    let body = Readiness { ready: reason.is_none(), reason };
    if body.ready { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) }
}

async fn metrics(gateway: web::Data<Gateway>) -> HttpResponse {
    let ledger = gateway.ledger.status();
    let (backends, limiters) = (gateway.backends.observe(), gateway.limiters.stats());
    gateway.metrics.pending().set(gateway.pending.count());
    let text = gateway.metrics.encode(&ledger, &backends, &limiters, &gateway.load());
    HttpResponse::Ok().content_type("application/openmetrics-text; version=1.0.0; charset=utf-8").body(text)
}

async fn backends(gateway: web::Data<Gateway>) -> impl Responder {
    HttpResponse::Ok().json(gateway.backends.observe())
}

async fn limits(gateway: web::Data<Gateway>) -> impl Responder {
    HttpResponse::Ok().json(gateway.limiters.observe())
}

async fn overload(gateway: web::Data<Gateway>) -> impl Responder {
    HttpResponse::Ok().json(gateway.load())
}

async fn ledger(gateway: web::Data<Gateway>) -> impl Responder {
    HttpResponse::Ok().json(gateway.ledger.status())
}
