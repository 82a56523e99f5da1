//! The endpoints that ask a model: one line for each, by the API format they speak.

use actix_web::{HttpRequest, HttpResponse, web};
use tollgate_crossing::ClientFormat;
use tollgate_formats::openai_media::MediaKind;

use super::front_door;
use crate::gateway::Worker;
use crate::request::call::CallKind;

type Shared = web::Data<Worker>;

async fn serve(
    request: HttpRequest,
    payload: web::Payload,
    worker: Shared,
    format: ClientFormat,
    alias_in_path: Option<&str>,
) -> HttpResponse {
    let kind = CallKind::Model { format, alias_in_path };
    front_door::serve(request, payload, worker, format, kind).await
}

/// `POST …/chat/completions`: OpenAI Chat Completions.
pub async fn chat(request: HttpRequest, payload: web::Payload, worker: Shared) -> HttpResponse {
    serve(request, payload, worker, ClientFormat::Chat, None).await
}

/// `POST …/completions`: OpenAI's legacy Completions.
pub async fn completions(request: HttpRequest, payload: web::Payload, worker: Shared) -> HttpResponse {
    serve(request, payload, worker, ClientFormat::Completions, None).await
}

/// `POST …/embeddings`: OpenAI Embeddings.
pub async fn embeddings(request: HttpRequest, payload: web::Payload, worker: Shared) -> HttpResponse {
    serve(request, payload, worker, ClientFormat::Embeddings, None).await
}

/// `POST …/responses`: OpenAI Responses.
pub async fn responses(request: HttpRequest, payload: web::Payload, worker: Shared) -> HttpResponse {
    serve(request, payload, worker, ClientFormat::Responses, None).await
}

/// `POST …/messages`: Anthropic Messages.
pub async fn messages(request: HttpRequest, payload: web::Payload, worker: Shared) -> HttpResponse {
    serve(request, payload, worker, ClientFormat::Messages, None).await
}

/// `POST …/images/generations` and the other paths of [`MediaKind`].
pub async fn media(
    request: HttpRequest,
    payload: web::Payload,
    worker: Shared,
    kind: MediaKind,
) -> HttpResponse {
    serve(request, payload, worker, ClientFormat::Media(kind), None).await
}

/// `POST /openai/deployments/{alias}/chat/completions`: Azure OpenAI, with the alias in the path.
pub async fn azure_chat(
    request: HttpRequest,
    payload: web::Payload,
    alias: web::Path<String>,
    worker: Shared,
) -> HttpResponse {
    serve(request, payload, worker, ClientFormat::Chat, Some(&alias)).await
}

/// `POST /openai/deployments/{alias}/completions`: Azure OpenAI, with the alias in the path.
pub async fn azure_completions(
    request: HttpRequest,
    payload: web::Payload,
    alias: web::Path<String>,
    worker: Shared,
) -> HttpResponse {
    serve(request, payload, worker, ClientFormat::Completions, Some(&alias)).await
}

/// `POST /openai/deployments/{alias}/embeddings`: Azure OpenAI, with the alias in the path.
pub async fn azure_embeddings(
    request: HttpRequest,
    payload: web::Payload,
    alias: web::Path<String>,
    worker: Shared,
) -> HttpResponse {
    serve(request, payload, worker, ClientFormat::Embeddings, Some(&alias)).await
}
