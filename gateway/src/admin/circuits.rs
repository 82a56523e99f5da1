//! Circuits by hand: `POST /admin/backends/{backend}/open?model=NAME`, and `/close`.
//!
//! Without `model` all models of the backend are meant. An open circuit stays open until it is closed by
//! hand, at this replica and, where circuits are shared, at all others.

use std::sync::Arc;

use actix_web::{HttpResponse, http::StatusCode, web};
use serde::{Deserialize, Serialize};
use tollgate_backends::{Backends, DeploymentId, ManualAction, ManualError};

use crate::gateway::Gateway;

/// Which circuits are meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Name of the model at the backend; all of them without it. Names may hold `/` and `:`.
    model: Option<Arc<str>>,
}

#[derive(Debug, Serialize)]
struct Refusal {
    error: Reason,
}

#[derive(Debug, Serialize)]
struct Reason {
    code: &'static str,
    message: String,
}

/// Opens circuits and answers what they became.
pub(super) async fn open(
    gateway: web::Data<Gateway>,
    backend: web::Path<String>,
    which: web::Query<Which>,
) -> HttpResponse {
    act(&gateway.backends, &backend, which.into_inner().model, ManualAction::Open).await
}

/// Closes circuits and answers what they became.
pub(super) async fn close(
    gateway: web::Data<Gateway>,
    backend: web::Path<String>,
    which: web::Query<Which>,
) -> HttpResponse {
    act(&gateway.backends, &backend, which.into_inner().model, ManualAction::Close).await
}

async fn act(
    backends: &Backends,
    backend: &str,
    model: Option<Arc<str>>,
    action: ManualAction,
) -> HttpResponse {
    let ids: Vec<DeploymentId> = match model {
        Some(model) => vec![DeploymentId { backend: backend.into(), model }],
        None => backends.of_backend(backend).iter().map(|deployment| deployment.id().clone()).collect(),
    };
    if ids.is_empty() {
        return refuse(
            StatusCode::NOT_FOUND,
            "backend_not_found",
            format!("no model is served by `{backend}`"),
        );
    }
    let mut seen = Vec::with_capacity(ids.len());
    for id in &ids {
        match backends.set_manual(id, action).await {
            Ok(snapshot) => seen.push(snapshot),
            Err(error @ ManualError::Unknown(_)) => {
                return refuse(StatusCode::NOT_FOUND, "deployment_not_found", error.to_string());
            }
            Err(error @ ManualError::Unavailable(_)) => {
                return refuse(StatusCode::SERVICE_UNAVAILABLE, "circuit_unavailable", error.to_string());
            }
        }
    }
    seen.sort_by(|a, b| a.id.model.cmp(&b.id.model));
    let seen: Vec<_> = seen.iter().map(|snapshot| &**snapshot).collect();
    HttpResponse::Ok().json(seen)
}

fn refuse(status: StatusCode, code: &'static str, message: String) -> HttpResponse {
    HttpResponse::build(status).json(Refusal { error: Reason { code, message } })
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use serde_json::Value;

    use super::*;
    use tollgate_backends::{DeploymentSpec, circuit::CircuitRules};
    use tollgate_base::clock::Clock;

    fn backends() -> Backends {
        let spec = |model: &str| DeploymentSpec {
            id: DeploymentId { backend: "b".into(), model: model.into() },
            rules: CircuitRules::default(),
            capacity: None,
        };
        let specs = vec![spec("vendor/m:free"), spec("other")];
        Backends::start_in(&actix_rt::Arbiter::current(), Clock::manual(), specs)
    }

    async fn answer(
        backends: &Backends,
        backend: &str,
        model: Option<&str>,
        action: ManualAction,
    ) -> (u16, Value) {
        let answer = act(backends, backend, model.map(Into::into), action).await;
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&to_bytes(answer.into_body()).await.unwrap()).unwrap())
    }

    #[actix_rt::test]
    async fn one_model_or_all_models_of_a_backend_are_opened_and_closed() {
        let backends = backends();
        let (status, seen) = answer(&backends, "b", Some("vendor/m:free"), ManualAction::Open).await;
        assert_eq!((status, seen[0]["circuit"].as_str()), (200, Some("held")));
        assert_eq!(seen[0]["cause"]["rule"], "operator");
        assert!(seen[0].get("retry_at").is_none() && seen.as_array().unwrap().len() == 1);
        let (_, seen) = answer(&backends, "b", None, ManualAction::Close).await;
        assert_eq!((seen[0]["model"].as_str(), seen[1]["circuit"].as_str()), (Some("other"), Some("closed")));
    }

    #[actix_rt::test]
    async fn what_is_not_there_is_named() {
        let backends = backends();
        for (backend, model, code) in
            [("x", None, "backend_not_found"), ("b", Some("x"), "deployment_not_found")]
        {
            let (status, refusal) = answer(&backends, backend, model, ManualAction::Open).await;
            assert_eq!((status, refusal["error"]["code"].as_str()), (404, Some(code)));
        }
    }
}
