//! `GET …/models`: the aliases that a caller may use, in OpenAI's list form.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use super::{chat_completions, render};
use crate::access;
use crate::error::GatewayError;
use crate::gateway::Worker;

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

/// All aliases of the caller's product that are not hidden.
pub async fn list(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let context = chat_completions::context(&request, &worker);
    match access::identify(request.headers(), &context.snapshot) {
        Err(error) => render::error(&error, context.id),
        Ok(caller) => {
            let mut names: Vec<&str> = caller
                .product
                .models
                .iter()
                .map(|name| &**name)
                .filter(|name| context.snapshot.lists(name))
                .collect();
            names.sort_unstable();
            HttpResponse::Ok().json(List { object: "list", data: names.into_iter().map(entry).collect() })
        }
    }
}

/// One alias, when the caller may use it.
pub async fn get(request: HttpRequest, path: web::Path<String>, worker: web::Data<Worker>) -> HttpResponse {
    let context = chat_completions::context(&request, &worker);
    let found = access::identify(request.headers(), &context.snapshot)
        .and_then(|caller| access::model_for(&context.snapshot, &caller, &path));
    match found {
        Ok(model) => HttpResponse::Ok().json(entry(&model.alias)),
        Err(error) => render::error(&error, context.id),
    }
}

/// What is served at no other path.
pub async fn nothing_here(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let context = chat_completions::context(&request, &worker);
    let path: String = request.path().chars().take(256).collect();
    let error = GatewayError::UnknownPath { method: request.method().to_string(), path };
    render::error(&error, context.id)
}

/// A path that takes other methods.
pub async fn wrong_method(request: HttpRequest, worker: web::Data<Worker>) -> HttpResponse {
    let context = chat_completions::context(&request, &worker);
    let path: String = request.path().chars().take(256).collect();
    let error = GatewayError::WrongMethod { method: request.method().to_string(), path };
    render::error(&error, context.id)
}

fn entry(id: &str) -> Entry<'_> {
    // An alias has no date of creation; OpenAI's field is mandatory.
    Entry { id, object: "model", created: 0, owned_by: "tollgate" }
}
