//! `GET …/models`: the aliases that a caller may use, in OpenAI's list form, or in Anthropic's or Google's for their
//! SDKs.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use percent_encoding::percent_decode_str;
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

/// Google's list (API reference, "Models").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GoogleList<'a> {
    models: Vec<GoogleEntry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GoogleEntry<'a> {
    name: String,
    display_name: &'a str,
    supported_generation_methods: [&'static str; 5],
}

/// Most models on a page of Google's list, and how many there are unless the client says.
const MOST_ON_PAGE: usize = 1_000;
const ON_PAGE: usize = 50;
/// Where Google's SDKs look for models.
const GOOGLE_VERSION: &str = "/v1beta/";

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
    if context.format.has_key_in_query() {
        return HttpResponse::Ok().json(google_page(&names, request.query_string()));
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
        Ok(model) if context.format.has_key_in_query() => HttpResponse::Ok().json(google_entry(&model.alias)),
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
    let caller = front_door::caller(worker, context, request, context.format.has_key_in_query())?;
    let queue_key =
        QueueKey { tier: caller.product.tier, subscription: Arc::clone(&caller.payer.subscription) };
    let permit = front_door::admitted(worker, &queue_key).await?;
    Ok((caller, permit))
}

/// Anthropic's SDKs say their version with every request, Google's send their key in a header of their own or ask below
/// a version that nobody else has; the path is the same as OpenAI's otherwise.
fn context(request: &HttpRequest, worker: &Worker) -> RequestContext {
    let headers = request.headers();
    let format = if headers.contains_key("anthropic-version") {
        ClientFormat::Messages
    } else if headers.contains_key("x-goog-api-key") || request.path().contains(GOOGLE_VERSION) {
        ClientFormat::Gemini { stream: false }
    } else {
        ClientFormat::Chat
    };
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

/// The models on one page; a page's token is the last name on the page before it.
fn google_page<'a>(names: &[&'a str], query: &str) -> GoogleList<'a> {
    let said = |name: &str| {
        let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        percent_decode_str(pair).decode_utf8().ok()
    };
    let size =
        said("pageSize").and_then(|size| size.parse().ok()).filter(|size| *size > 0).unwrap_or(ON_PAGE);
    let after = said("pageToken").unwrap_or_default();
    let mut rest = names.iter().copied().filter(|name| *name > &*after).peekable();
    let page: Vec<&str> = rest.by_ref().take(size.min(MOST_ON_PAGE)).collect();
    let next_page_token = rest.peek().and_then(|_| page.last().copied());
    GoogleList { models: page.into_iter().map(google_entry).collect(), next_page_token }
}

fn google_entry(alias: &str) -> GoogleEntry<'_> {
    // What an alias serves depends on its backends; each refuses what it cannot do.
    let methods =
        ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"];
    GoogleEntry {
        name: format!("models/{alias}"),
        display_name: alias,
        supported_generation_methods: methods,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn google_s_list_comes_in_pages() {
        let names = ["a", "b/c", "d"];
        let page = |query: &str| {
            let page = google_page(&names, query);
            let shown: Vec<String> = page.models.into_iter().map(|model| model.name).collect();
            (shown.join(" "), page.next_page_token)
        };
        assert_eq!(page(""), ("models/a models/b/c models/d".to_owned(), None));
        assert_eq!(page("pageSize=2"), ("models/a models/b/c".to_owned(), Some("b/c")));
        assert_eq!(page("key=k&pageSize=2&pageToken=b%2Fc"), ("models/d".to_owned(), None));
        assert_eq!(page("pageSize=0&pageToken=z"), (String::new(), None));
    }
}
