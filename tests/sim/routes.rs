//! From a request to an answer.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::sim::body::{SimBody, Step};
use crate::sim::faults::{Faults, StatusFault};
use crate::sim::models::{MODELS, Model, find};
use crate::sim::port::{Port, Takeover};
use crate::sim::raw::{Good, RawFault, Script};
use crate::sim::request::{ChatRequest, EmbeddingsRequest};
use crate::sim::state::{AnswerKey, Seen, State};
use crate::sim::tokens::{TokenMode, Usage, cached_part};
use crate::sim::wire::{bytes_response, error, json_response};
use crate::sim::{answer, providers, render};

/// Largest body that is read, bytes.
const LARGEST_BODY: usize = 32 << 20;
/// Bytes of a prompt that its place in the prompt cache depends on.
const CACHE_PREFIX: usize = 2048;

/// Answers one request. `connection` is the task it runs in, for faults that cut it; an answer that no HTTP
/// server would give goes to `takeovers`.
pub(super) async fn serve(
    request: Request<Incoming>,
    state: &Arc<State>,
    connection: AbortHandle,
    takeovers: &mpsc::Sender<Takeover>,
) -> Result<Response<SimBody>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return Ok(error(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", "The body is too large."));
    };
    let body = body.to_bytes();
    if let Some(control) = head.uri.path().strip_prefix("/sim/") {
        return Ok(control_route(&head.method, control, &body, state));
    }
    let under_way = state.count_request();
    if state.options.record {
        state.remember(seen(&head, &body));
    }
    if state.options.key.as_ref().is_some_and(|key| !providers::key_fits(&head, &body, key)) {
        state.count_unauthorized();
        return Ok(providers::unauthorized(&head));
    }
    let reply = match (&head.method, head.uri.path()) {
        (&Method::GET, "/v1/models") => Reply::Http(list_models()),
        (&Method::POST, "/v1/chat/completions") => chat(&head, &body, state, connection).await,
        (&Method::POST, "/v1/embeddings") => Reply::Http(embeddings(&head, &body, state, connection).await),
        _ => Reply::Http(providers::serve(&head, &body, state, connection).await),
    };
    match reply {
        Reply::Http(mut response) => {
            response.body_mut().keep(under_way);
            Ok(response)
        }
        Reply::Raw { script, model, good } => {
            let _ = takeovers.send(Takeover { script, model, good, under_way }).await;
            // The connection is taken from under this.
            std::future::pending().await
        }
    }
}

/// An answer, or what is written to the socket in its place.
enum Reply {
    Http(Response<SimBody>),
    Raw { script: Script, model: &'static str, good: bool },
}

fn control_route(method: &Method, path: &str, body: &[u8], state: &State) -> Response<SimBody> {
    match (method, path) {
        (&Method::POST, "watch") => {
            state.watch_again();
            json_response(StatusCode::OK, &state.stats())
        }
        (&Method::PUT, "port") => match serde_json::from_slice::<Port>(body) {
            Ok(port) => {
                state.set_port(port);
                json_response(StatusCode::OK, &port)
            }
            Err(reason) => error(StatusCode::BAD_REQUEST, "invalid_port", &reason.to_string()),
        },
        (&Method::GET, "stats") => json_response(StatusCode::OK, &state.stats()),
        (&Method::GET, "requests") => json_response(StatusCode::OK, &state.seen()),
        (&Method::GET, "faults") => json_response(StatusCode::OK, &state.faults_json()),
        (&Method::DELETE, "faults") => {
            state.clear_faults();
            json_response(StatusCode::OK, &state.faults_json())
        }
        (&Method::PUT | &Method::POST, "faults") => {
            match serde_json::from_slice::<BTreeMap<String, Faults>>(body) {
                Ok(faults) => {
                    state.set_faults(faults);
                    json_response(StatusCode::OK, &state.faults_json())
                }
                Err(reason) => error(StatusCode::BAD_REQUEST, "invalid_faults", &reason.to_string()),
            }
        }
        _ => error(StatusCode::NOT_FOUND, "unknown_url", "Try /sim/stats, faults, port, watch or requests."),
    }
}

fn seen(head: &http::request::Parts, body: &[u8]) -> Seen {
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Seen {
        path: head.uri.path().to_owned(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::from_utf8_lossy(body).into_owned(),
    }
}

fn list_models() -> Response<SimBody> {
    let models = MODELS.iter().map(
        |model| json!({ "id": model.name, "object": "model", "created": 1_790_000_000, "owned_by": "tollgate-sim" }),
    );
    let data = models.collect::<Vec<Value>>();
    json_response(StatusCode::OK, &json!({ "object": "list", "data": data }))
}

/// The model, or the refusal of an unknown one.
fn model_of(name: &str, embeds: bool) -> Result<&'static Model, Box<Response<SimBody>>> {
    find(name).filter(|model| model.embeds == embeds).ok_or_else(|| {
        let text = format!("The model `{name}` does not exist or you do not have access to it.");
        Box::new(error(StatusCode::NOT_FOUND, "model_not_found", &text))
    })
}

async fn chat(
    head: &http::request::Parts,
    body: &[u8],
    state: &Arc<State>,
    connection: AbortHandle,
) -> Reply {
    let request: ChatRequest<'_> = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(reason) => {
            return Reply::Http(error(StatusCode::BAD_REQUEST, "invalid_json", &reason.to_string()));
        }
    };
    let model = match model_of(&request.model, false) {
        Ok(model) => model,
        Err(_) if providers::knows(&request.model) => {
            return Reply::Http(providers::serve(head, body, state, connection).await);
        }
        Err(refusal) => return Reply::Http(*refusal),
    };
    let faults = state.begin(model.name, &request.model, request.stream);
    wait(model, &faults).await;
    if let Some(fault) = &faults.status {
        return Reply::Http(refusal(fault));
    }
    let plan = plan(&request, model, state, &faults);
    state.count_tokens(model.name, plan.usage.prompt_tokens, plan.usage.completion_tokens);
    if let Some(fault) = faults.raw {
        return raw(&plan, request.stream, fault, &faults, state);
    }
    if request.stream {
        let steps = steps(&plan, true, &faults, state, || render::stream(&plan, &faults, &state.options));
        let mut response = Response::new(
            SimBody::stream(steps, connection).stamped(state.options.stamp).reported(state, model.name),
        );
        let kind = header::HeaderValue::from_static("text/event-stream; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        return Reply::Http(response);
    }
    Reply::Http(plain(&plan, &faults, state, connection))
}

/// The answer as bytes that break the rules.
fn raw(plan: &Plan, stream: bool, fault: RawFault, faults: &Faults, state: &State) -> Reply {
    let steps =
        if stream { render::stream(plan, faults, &state.options) } else { render::plain(plan, faults) };
    let parts = steps.into_iter().filter_map(|step| match step {
        Step::Send(bytes, _) => Some(bytes),
        Step::Stall | Step::Reset => None,
    });
    let good = Good { stream, parts: parts.collect() };
    Reply::Raw { script: fault.script(&good), model: plan.model.name, good: fault == RawFault::Interim }
}

/// An answer to one chat, before it has a form.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) model: &'static Model,
    pub(super) text: String,
    pub(super) finish_reason: &'static str,
    pub(super) usage: Usage,
    pub(super) wants_usage: bool,
}

fn plan(request: &ChatRequest<'_>, model: &'static Model, state: &State, faults: &Faults) -> Plan {
    let tokens = state.options.tokens;
    let prompt = tokens.count_prompt(request);
    let cached = if cached_part(prompt) > 0 && state.knows_prompt(prefix_hash(request)) {
        cached_part(prompt)
    } else {
        0
    };
    let mut text = match faults.oversized_bytes.or(state.options.answer_bytes) {
        Some(bytes) => answer::of_length(bytes),
        None => answer::compose(&request.question(), model),
    };
    let mut visible = tokens.count(&text);
    let mut finish_reason = "stop";
    if let Some(most) = request.max_tokens.filter(|most| *most < visible) {
        cut_to(&mut text, most, tokens);
        visible = tokens.count(&text);
        finish_reason = "length";
    }
    let reasoning = request.reasoning_effort.as_ref().map_or(0, |_| visible / 2 + 8);
    let usage = Usage::new(prompt, cached, visible, reasoning);
    Plan { model, text, finish_reason, usage, wants_usage: request.wants_usage() }
}

/// Drops words from the end until at most `most` tokens are left.
fn cut_to(text: &mut String, most: u64, tokens: TokenMode) {
    while tokens.count(text) > most {
        let end = text.rfind(' ').unwrap_or(0);
        text.truncate(end);
    }
}

fn prefix_hash(request: &ChatRequest<'_>) -> u64 {
    let mut prefix = Vec::with_capacity(CACHE_PREFIX);
    for text in request.messages.iter().flat_map(|message| message.texts()) {
        let room = CACHE_PREFIX - prefix.len();
        prefix.extend_from_slice(&text.as_bytes()[..room.min(text.len())]);
    }
    answer::hash(&prefix)
}

/// The steps of an answer; rendered once for all requests where the options fix them.
fn steps(
    plan: &Plan,
    stream: bool,
    faults: &Faults,
    state: &State,
    render: impl FnOnce() -> VecDeque<Step>,
) -> VecDeque<Step> {
    if state.options.answer_bytes.is_none() || *faults != Faults::default() {
        return render();
    }
    let key = AnswerKey { model: plan.model.name, stream, wants_usage: plan.wants_usage, usage: plan.usage };
    state.rendered(key, render)
}

fn plain(plan: &Plan, faults: &Faults, state: &Arc<State>, connection: AbortHandle) -> Response<SimBody> {
    let steps = steps(plan, false, faults, state, || render::plain(plan, faults));
    let mut response = bytes_response(StatusCode::OK, "application/json", Bytes::new());
    *response.body_mut() = SimBody::plain(steps, connection).reported(state, plan.model.name);
    response
}

async fn embeddings(
    head: &http::request::Parts,
    body: &[u8],
    state: &Arc<State>,
    connection: AbortHandle,
) -> Response<SimBody> {
    let request: EmbeddingsRequest<'_> = match serde_json::from_slice(body) {
        Ok(request) => request,
        Err(reason) => return error(StatusCode::BAD_REQUEST, "invalid_json", &reason.to_string()),
    };
    let model = match model_of(&request.model, true) {
        Ok(model) => model,
        Err(_) if providers::knows(&request.model) => {
            return providers::serve(head, body, state, connection).await;
        }
        Err(refusal) => return *refusal,
    };
    let faults = state.begin(model.name, &request.model, false);
    wait(model, &faults).await;
    if let Some(fault) = &faults.status {
        return refusal(fault);
    }
    let texts = request.input.texts();
    let tokens: u64 = texts.iter().map(|text| state.options.tokens.count(text)).sum();
    let data = texts.iter().enumerate().map(
        |(index, text)| json!({ "object": "embedding", "index": index, "embedding": render::vector(text) }),
    );
    let data = data.collect::<Vec<Value>>();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    state.count_tokens(model.name, tokens, 0);
    state.end(model.name, true);
    json_response(
        StatusCode::OK,
        &json!({ "object": "list", "data": data, "model": model.name, "usage": usage }),
    )
}

pub(super) async fn wait(model: &Model, faults: &Faults) {
    let pause = model.think + Duration::from_millis(faults.latency_ms);
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
}

pub(super) fn refusal(fault: &StatusFault) -> Response<SimBody> {
    let status = StatusCode::from_u16(fault.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let code =
        if status == StatusCode::TOO_MANY_REQUESTS { "rate_limit_exceeded" } else { "simulated_fault" };
    let mut response = match &fault.body {
        Some(body) => bytes_response(status, "text/html", Bytes::from(body.clone())),
        None => error(status, code, "This fault was switched on at /sim/faults."),
    };
    let headers = response.headers_mut();
    let mut put = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) = (name.parse::<header::HeaderName>(), value.parse()) {
            headers.insert(name, value);
        }
    };
    if let Some(seconds) = fault.retry_after_s {
        put("retry-after", &seconds.to_string());
    }
    if let Some(seconds) = fault.retry_after_date_s {
        let date = SystemTime::now() + Duration::from_secs(seconds.into());
        put("retry-after", &httpdate::fmt_http_date(date));
    }
    for (name, value) in &fault.headers {
        put(name, value);
    }
    if let Some(kind) = &fault.content_type {
        put("content-type", kind);
    }
    response
}
