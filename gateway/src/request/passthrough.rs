//! A call to an API of a backend that passes through: admitted, metered and written down like any other, and not
//! changed. There is one backend, so nothing is tried twice, and what the backend says goes to the client, errors
//! included.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::web::Payload;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method, Response, Uri};
use tollgate_admission::{Permit, Place};
use tollgate_backends::AnswerBody;
use tollgate_backends::InFlight;
use tollgate_backends::call::CallError;
use tollgate_backends::upload::{Upload, UploadSender};
use tollgate_crossing::known::Known;
use tollgate_identity::{Caller, presented_key};
use tollgate_runtime::snapshot::Api;
use tollgate_schemas::usage::Operation;

use super::attempt::{Attempt, Ending};
use super::context::RequestContext;
use super::event::{self, PassedSubject};
use super::guard::RequestGuard;
use super::measure::{Produced, Prompt};
use super::observer::Observer;
use super::passed::{Passed, Relayed};
use super::traffic::Traffic;
use super::verdict::call_failure;
use crate::api::client_headers::ClientHeaders;
use crate::error::{GatewayError, Side};
use crate::gateway::Worker;
use crate::headers::forwarded;
use crate::policies::token_limit::{self, Reserved};
use crate::request::body;
use crate::request::pump::Pump;

/// Bytes of a request's body per token, where tokens are estimated before the body is here.
const BYTES_PER_TOKEN: u64 = 4;
/// When to come back if nobody knows.
const SOON: Duration = Duration::from_secs(1);
/// Most of a path that is repeated in an error, characters.
const MAX_PATH_CHARS: usize = 256;

/// A call that is to be passed through.
pub struct PassedCall<'a> {
    /// Who calls.
    pub caller: &'a Caller,
    /// Whose turn it is where requests wait.
    pub place: &'a Place,
    /// Where it goes.
    pub api: &'a Arc<Api>,
    /// What follows the API's own path.
    pub rest: &'a str,
    /// What it says.
    pub request: &'a HttpRequest,
    /// Its body, which is still coming.
    pub payload: Payload,
    /// What it holds.
    pub guard: RequestGuard,
}

/// A backend's answer on its way to the client.
pub struct PassedAnswer {
    /// Status and headers as the backend gave them, but for those of its connection.
    pub head: http::response::Parts,
    /// The body.
    pub body: Passed<AnswerBody>,
}

/// A call that is worked out, but not admitted yet.
struct Planned {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    known: Option<Known>,
}

/// The body of a call.
enum Outgoing {
    Whole(Bytes),
    Stream(Upload, UploadSender, Payload),
}

/// Serves one call.
///
/// # Errors
/// Whatever the client must be told; it is in the ledger already.
pub async fn serve(
    worker: &Worker,
    context: &RequestContext,
    call: PassedCall<'_>,
) -> Result<PassedAnswer, GatewayError> {
    let method = Method::from_bytes(call.request.method().as_str().as_bytes()).unwrap_or_default();
    let uri = uri(&call.api.url, call.rest, call.request.uri().query());
    let known = uri.as_ref().and_then(|uri| Known::of(call.api.backend.format, &method, uri.path()));
    let subject = PassedSubject {
        request_id: context.id,
        payer: &call.caller.payer,
        api: call.api,
        operation: known.as_ref().map_or(Operation::Passthrough, |known| known.reading.operation()),
        model: known.as_ref().and_then(|known| known.model.as_deref()).unwrap_or_default(),
    };
    let result = match planned(context, call.request, method, uri, known.clone()) {
        Ok(planned) => pass(worker, context, call, planned, subject).await,
        Err(error) => Err(error),
    };
    result.map_err(|error| refused(worker, subject, error))
}

/// A refusal by the gateway is a row too; failures of the backend are rows of their attempts.
fn refused(worker: &Worker, subject: PassedSubject<'_>, error: Refused) -> GatewayError {
    let Refused { error, recorded } = error;
    let class = error.class();
    if !recorded && (class.side == Side::Client || error.is_without_attempt()) {
        let ledger = &worker.gateway.ledger;
        let mut event = event::not_passed(subject, class.status);
        event.error_code = Some(class.code.into());
        if let Err(error) = ledger.record(&mut event, None) {
            tracing::error!(error = %error, "a refusal could not be recorded");
        }
        worker.gateway.metrics.attempt_ended(&event);
    }
    error
}

/// Why a call failed, and whether its attempt has written that down.
struct Refused {
    error: GatewayError,
    recorded: bool,
}

impl From<GatewayError> for Refused {
    fn from(error: GatewayError) -> Self {
        Self { error, recorded: false }
    }
}

/// What is sent, but for its body.
fn planned(
    context: &RequestContext,
    request: &HttpRequest,
    method: Method,
    uri: Option<Uri>,
    known: Option<Known>,
) -> Result<Planned, Refused> {
    if let Some(protocol) = forwarded::wanted_upgrade(&ClientHeaders(request.headers())) {
        return Err(GatewayError::UpgradeNotSupported { protocol }.into());
    }
    // TRACE would show the backend's credentials to the client, CONNECT asks for a tunnel.
    if method == Method::TRACE || method == Method::CONNECT {
        let path = request.path().chars().take(MAX_PATH_CHARS).collect();
        return Err(GatewayError::WrongMethod { method: method.to_string(), path }.into());
    }
    let uri = uri.ok_or_else(|| unknown_path(request))?;
    let client = ClientHeaders(request.headers());
    let key = presented_key(&client).unwrap_or_default();
    let mut headers = forwarded::to_backend(&client, key, &context.trace);
    if known.is_some() {
        // What is compressed cannot be read along.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    Ok(Planned { method, uri, headers, known })
}

/// Nothing is served at the path of a request.
#[must_use]
pub fn unknown_path(request: &HttpRequest) -> GatewayError {
    let path = request.path().chars().take(MAX_PATH_CHARS).collect();
    GatewayError::UnknownPath { method: request.method().to_string(), path }
}

/// The backend's address for a call, with the rest of its path and its query as they came; none where the path
/// would leave the backend's base or is no path.
fn uri(base: &str, rest: &str, query: Option<&str>) -> Option<Uri> {
    if rest.split('/').any(is_dots) {
        return None;
    }
    match query {
        Some(query) => format!("{base}{rest}?{query}"),
        None => format!("{base}{rest}"),
    }
    .parse()
    .ok()
}

/// Whether a segment is `.` or `..`, also in percent signs (RFC 3986 §6.2.2).
fn is_dots(segment: &str) -> bool {
    let plain = segment.replace("%2e", ".").replace("%2E", ".");
    plain == "." || plain == ".."
}

/// Sends a call when everybody agrees.
async fn pass(
    worker: &Worker,
    context: &RequestContext,
    mut call: PassedCall<'_>,
    mut planned: Planned,
    subject: PassedSubject<'_>,
) -> Result<PassedAnswer, Refused> {
    let begun = Instant::now();
    let api = call.api;
    let backend = &api.backend;
    // Bytes of what is not known to have tokens charge no token limit.
    let tokens = match planned.known {
        Some(_) => body::announced_length(call.request).unwrap_or(0) / BYTES_PER_TOKEN,
        None => 0,
    };
    let reserved = token_limit::reserve_estimate(&worker.gateway.limiters, call.caller, tokens).await?;
    let (in_flight, permit) = admitted(api, call.place).await?;
    let outgoing =
        outgoing(context, call.request, call.payload, backend.credentials.sign_bodies(), &mut call.guard)
            .await?;
    if matches!(outgoing, Outgoing::Whole(_)) {
        // Its length is known better now.
        planned.headers.remove(CONTENT_LENGTH);
    }
    let traffic = Arc::new(match &outgoing {
        Outgoing::Whole(body) => Traffic::of_body(body.len()),
        Outgoing::Stream(upload, ..) => Traffic::of_upload(upload.progress()),
    });
    let attempt = open(worker, context, subject, &traffic, in_flight, permit, reserved)?;
    let sent = send(worker, context, api, &planned, outgoing);
    let (result, upload) = match tokio::time::timeout(backend.total_timeout, sent).await {
        Ok(sent) => sent,
        Err(_) => (Err(CallError::FirstByteTimeout), None),
    };
    match result {
        Ok(response) => {
            let held = worker.gateway.memory.hold();
            let reading = planned.known.map(|known| known.reading).filter(|_| response.status().is_success());
            let observer = Observer::new(reading, response.headers(), &context.snapshot.server, held);
            let cut_at = begun + backend.total_timeout;
            let (traffic, guard) = (Some(traffic), call.guard);
            Ok(answer(api, response, Relayed { attempt, observer, traffic, upload, guard, cut_at }))
        }
        Err(error) => Err(failed(api, attempt, error, upload.as_ref())),
    }
}

/// Admission by the circuit, and a place among the calls that run at the backend where those are bounded.
async fn admitted(api: &Api, place: &Place) -> Result<(InFlight, Option<Permit>), GatewayError> {
    let permit = match &api.backend.admission {
        None => None,
        Some(admission) => {
            let entered = admission.enter(place).await;
            Some(entered.map_err(|_| GatewayError::Overloaded { retry_after: SOON })?)
        }
    };
    let in_flight = api.deployment.admit().map_err(|refusal| GatewayError::NoBackend {
        model: Arc::clone(&api.name),
        retry_after: refusal.retry_after,
    })?;
    Ok((in_flight, permit))
}

/// The body: whole where it must be signed or there is none, else as it comes.
async fn outgoing(
    context: &RequestContext,
    request: &HttpRequest,
    payload: Payload,
    signed: bool,
    guard: &mut RequestGuard,
) -> Result<Outgoing, GatewayError> {
    let chunked = request.headers().contains_key(TRANSFER_ENCODING.as_str());
    if !chunked && body::announced_length(request).unwrap_or(0) == 0 {
        return Ok(Outgoing::Whole(Bytes::new()));
    }
    if signed {
        let body = body::read(request, payload, &context.snapshot.server, &mut guard.held).await?;
        return Ok(Outgoing::Whole(body));
    }
    let (sender, upload) = Upload::new();
    Ok(Outgoing::Stream(upload, sender, payload))
}

fn open(
    worker: &Worker,
    context: &RequestContext,
    subject: PassedSubject<'_>,
    traffic: &Arc<Traffic>,
    in_flight: InFlight,
    permit: Option<Permit>,
    reserved: Reserved,
) -> Result<Attempt, GatewayError> {
    let gateway = Arc::clone(&worker.gateway);
    let event = event::passed(subject);
    let prompt = Prompt::passed(Arc::clone(traffic));
    let trace = context.trace.header();
    let mut attempt = Attempt::open(gateway, event, prompt, in_flight, reserved, Some(&trace))
        .map_err(GatewayError::Ledger)?;
    attempt.keep(permit);
    attempt.set_gateway_time(context.received.elapsed());
    Ok(attempt)
}

/// Sends a call and waits for the head of its answer. The body may still be coming then.
async fn send(
    worker: &Worker,
    context: &RequestContext,
    api: &Api,
    planned: &Planned,
    outgoing: Outgoing,
) -> (Result<Response<AnswerBody>, CallError>, Option<Pump>) {
    let (caller, backend) = (&worker.caller, &api.backend);
    let (method, headers) = (planned.method.clone(), planned.headers.clone());
    match outgoing {
        Outgoing::Whole(body) => (caller.pass(backend, method, &planned.uri, headers, body).await, None),
        Outgoing::Stream(upload, sender, payload) => {
            let pump = Pump::start(payload, context.snapshot.server.body_timeout.0, sender);
            let answer = caller.upload(backend, method, &planned.uri, headers, upload).await;
            (answer, Some(pump))
        }
    }
}

fn answer(api: &Api, response: Response<AnswerBody>, relayed: Relayed) -> PassedAnswer {
    relayed.attempt.note_rates(response.headers());
    let (mut head, body) = response.into_parts();
    let body = Passed::new(&head, body, &api.backend, relayed);
    forwarded::clean_answer(&mut head.headers);
    PassedAnswer { head, body }
}

/// Closes the books of a call without an answer.
fn failed(api: &Api, mut attempt: Attempt, error: CallError, upload: Option<&Pump>) -> Refused {
    if let Some(error) = upload.and_then(Pump::failure) {
        let class = error.class();
        let ending = Ending::client_abort(class.status, Produced::default());
        attempt.end(Ending { error_code: Some(class.code), ..ending });
        return Refused { error, recorded: true };
    }
    let (kind, error) = call_failure(&api.backend, error);
    let class = error.class();
    tracing::warn!(api = %api.name, backend = %api.backend.name, code = class.code, %error, "call failed");
    attempt.end(Ending::failed(kind, class.status, class.code, Produced::default()));
    Refused { error, recorded: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(base: &str, rest: &str, query: Option<&str>) -> Option<String> {
        uri(base, rest, query).map(|uri| uri.to_string())
    }

    #[test]
    fn rest_and_query_follow_the_base_as_they_came() {
        for (rest, query, expected) in [
            ("/model/a%3A0/invoke", None, "http://h/base/model/a%3A0/invoke"),
            ("", None, "http://h/base"),
            ("/", Some(""), "http://h/base/?"),
            ("/a//b/", Some("x=1&x=%20&y"), "http://h/base/a//b/?x=1&x=%20&y"),
            ("/a%2F..%2Fb", Some("u=http://x/../y"), "http://h/base/a%2F..%2Fb?u=http://x/../y"),
            ("/.well-known/...", None, "http://h/base/.well-known/..."),
        ] {
            assert_eq!(mapped("http://h/base", rest, query).as_deref(), Some(expected));
        }
        assert_eq!(mapped("http://h", "", Some("a=1")).as_deref(), Some("http://h/?a=1"));
    }

    #[test]
    fn no_path_leaves_the_base_of_the_backend() {
        for rest in ["/..", "/a/../../b", "/.", "/%2e%2E/x", "/.%2e", "/a/%2E"] {
            assert_eq!(mapped("http://h/base", rest, None), None, "{rest}");
        }
    }
}
