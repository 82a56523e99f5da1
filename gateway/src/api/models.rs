//! `GET …/models`: the aliases that a caller may use, in OpenAI's list form, or in Anthropic's for its SDKs.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use tollgate_admission::{Permit, QueueKey};
use tollgate_crossing::ClientFormat;
use tollgate_identity::Caller;

use super::pages::{Page, page};
use super::{front_door, render};
use crate::error::GatewayError;
use crate::gateway::Worker;
use crate::request::context::RequestContext;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

/// Anthropic's list (API reference, "List Models").
#[derive(Serialize)]
struct AnthropicList<'a> {
    data: Vec<AnthropicEntry<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct AnthropicEntry<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
}

/// All aliases of the caller's product that are not hidden.
pub async fn list(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let context = context(&request, &worker);
    let entered = enter(&request, &worker, &context).await;
    let code = entered.as_ref().err().map(|error| error.class().code);
    worker.gateway.metrics.request_ended(code);
    let (caller, _permit) = match entered {
        Err(error) => return render::error(&error, context.format, context.id),
        Ok(entered) => entered,
    };
    let models = caller.product.models.iter().map(|name| &**name);
    let mut names: Vec<&str> = models.filter(|name| context.snapshot.lists(name)).collect();
    names.sort_unstable();
    if context.format == ClientFormat::Messages {
        return match page(&names, request.query_string()) {
            Ok(page) => HttpResponse::Ok().json(anthropic_list(&page)),
            Err(error) => render::error(&error, context.format, context.id),
        };
    }
    HttpResponse::Ok().json(List { object: "list", data: names.into_iter().map(entry).collect() })
}

/// One alias, when the caller may use it.
pub async fn get(request: HttpRequest, path: web::Path<String>, worker: web::Data<Worker>) -> HttpResponse {
    let context = context(&request, &worker);
    let entered = enter(&request, &worker, &context).await;
    let found = entered.and_then(|(caller, _permit)| Ok(context.snapshot.model_for(&caller, &path)?));
    worker.gateway.metrics.request_ended(found.as_ref().err().map(|error| error.class().code));
    match found {
        Ok(model) if context.format == ClientFormat::Messages => {
            HttpResponse::Ok().json(anthropic_entry(&model.alias))
        }
        Ok(model) => HttpResponse::Ok().json(entry(&model.alias)),
        Err(error) => render::error(&error, context.format, context.id),
    }
}

/// Lists need no body and no backend; they enter by the same door as everything else.
async fn enter(
    request: &HttpRequest,
    worker: &Worker,
    context: &RequestContext,
) -> Result<(Arc<Caller>, Permit), GatewayError> {
    let caller = front_door::caller(worker, context, request)?;
    let queue_key =
        QueueKey { tier: caller.product.tier, subscription: Arc::clone(&caller.payer.subscription) };
    let permit = front_door::admitted(worker, &queue_key).await?;
    Ok((caller, permit))
}

/// Anthropic's SDKs say their version with every request; the path is the same as OpenAI's.
fn context(request: &HttpRequest, worker: &Worker) -> RequestContext {
    let anthropic = request.headers().contains_key("anthropic-version");
    let format = if anthropic { ClientFormat::Messages } else { ClientFormat::Chat };
    front_door::context(request, worker, format)
}

/// What is served at no other path.
pub async fn nothing_here(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let context = context(&request, &worker);
    let path: String = request.path().chars().take(256).collect();
    let error = GatewayError::UnknownPath { method: request.method().to_string(), path };
    render::error(&error, context.format, context.id)
}

/// A path that takes other methods.
pub async fn wrong_method(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let context = context(&request, &worker);
    let path: String = request.path().chars().take(256).collect();
    let error = GatewayError::WrongMethod { method: request.method().to_string(), path };
    render::error(&error, context.format, context.id)
}

fn entry(id: &str) -> Entry<'_> {
    // An alias has no date of creation; OpenAI's field is mandatory.
    Entry { id, object: "model", created: 0, owned_by: "tollgate" }
}

fn anthropic_list<'a>(page: &Page<'a>) -> AnthropicList<'a> {
    let (first_id, last_id) = (page.names.first().copied(), page.names.last().copied());
    let data = page.names.iter().map(|name| anthropic_entry(name)).collect();
    AnthropicList { data, has_more: page.has_more, first_id, last_id }
}

fn anthropic_entry(id: &str) -> AnthropicEntry<'_> {
    // The epoch, for the same reason.
    AnthropicEntry { kind: "model", id, display_name: id, created_at: "1970-01-01T00:00:00Z" }
}
