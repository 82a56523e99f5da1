//! Answers and errors as HTTP responses in the client's API format.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    SET_COOKIE, VARY,
};
use tollgate_backends::AnswerBody;
use tollgate_base::headers::Headers;
use tollgate_codings::Coding;
use tollgate_config::ServerConfig;
use tollgate_crossing::ClientFormat;
use tollgate_schemas::ids::RequestId;

use super::held_body::{HeldBody, RelayedBody};
use crate::error::{GatewayError, seconds_up};
use crate::request::answer::{Answer, Facts};
use crate::request::error_body;
use crate::request::passthrough::relayed::Relayed;

/// In what answers may be compressed; what costs least for its gain comes first.
const OFFERED_CODINGS: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const OWN_REQUEST_ID: HeaderName = HeaderName::from_static("x-tollgate-request-id");
const CACHE: HeaderName = HeaderName::from_static("x-tollgate-cache");
const SIMILARITY: HeaderName = HeaderName::from_static("x-tollgate-cache-similarity");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit-tokens");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining-tokens");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset-tokens");
const DROPPED: HeaderName = HeaderName::from_static("x-tollgate-dropped-parameters");
const VARIANT: HeaderName = HeaderName::from_static("x-tollgate-variant");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-tollgate-attempts");
const COUNTED_BY: HeaderName = HeaderName::from_static("x-tollgate-token-count");
const BACKEND: HeaderName = HeaderName::from_static("x-tollgate-backend");
const MODEL: HeaderName = HeaderName::from_static("x-tollgate-model");
/// Tells proxies in front not to collect a stream before they pass it on.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Whether answers are compressed for a client.
#[derive(Debug, Clone, Copy)]
pub struct Compression {
    /// Only what has more bytes.
    above: u64,
    /// What the client likes best; `None` if it takes nothing compressed.
    coding: Option<Coding>,
}

impl Compression {
    /// For a client with these headers; `None` where it is switched off.
    #[must_use]
    pub fn of(client: &dyn Headers, server: &ServerConfig) -> Option<Self> {
        let above = server.compress_above?.0;
        Some(Self { above, coding: Coding::preferred(client, &OFFERED_CODINGS) })
    }
}
const EVENTS: &str = "text/event-stream; charset=utf-8";

/// An answer of the pipeline as a response.
#[must_use]
pub fn answer(answer: Answer, id: RequestId, compression: Option<Compression>) -> HttpResponse {
    match answer {
        Answer::Whole { status, body, facts, guard } => {
            let mut response = HttpResponse::build(status_of(status.as_u16()));
            let kind = if facts.is_stream { EVENTS } else { "application/json" };
            response.insert_header((CONTENT_TYPE, HeaderValue::from_static(kind)));
            let large = compression.filter(|wanted| body.len() as u64 > wanted.above);
            let coding = large.and_then(|wanted| wanted.coding);
            if compression.is_some() {
                response.insert_header((VARY, HeaderValue::from_static("accept-encoding")));
            }
            if let Some(coding) = coding {
                response.insert_header((CONTENT_ENCODING, HeaderValue::from_static(coding.as_str())));
            }
            let mut response = response.body(HeldBody::new(body, coding, guard));
            add_facts(&mut response, &facts, id);
            response
        }
        Answer::Relayed { status, headers, body, facts } => {
            let mut response = relayed(status, &headers, *body);
            match facts {
                Some(facts) => add_facts(&mut response, &facts, id),
                None => add_own_id(&mut response, id),
            }
            response
        }
        Answer::Stream { stream, facts } => {
            let mut response = HttpResponse::Ok();
            response.insert_header((CONTENT_TYPE, HeaderValue::from_static(EVENTS)));
            response.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")));
            response.insert_header((NO_BUFFERING, HeaderValue::from_static("no")));
            let mut response = response.streaming(stream);
            add_facts(&mut response, &facts, id);
            response
        }
    }
}

/// A body that is relayed as it comes, with these headers.
fn relayed(status: http::StatusCode, headers: &http::HeaderMap, body: Relayed<AnswerBody>) -> HttpResponse {
    let body = RelayedBody(body);
    let mut response = HttpResponse::new(status_of(status.as_u16())).set_body(body).map_into_boxed_body();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The gateway's id of a call whose backend may have an id of its own, in `x-request-id` for example.
fn add_own_id(response: &mut HttpResponse, id: RequestId) {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(OWN_REQUEST_ID, value);
    }
}

/// An error as a response.
#[must_use]
pub fn error(error: &GatewayError, client: ClientFormat, id: RequestId) -> HttpResponse {
    let mut response = HttpResponse::build(status_of(error_body::status(error, client)));
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    let mut response = response.body(error_body::whole(error, client, id));
    let mut facts = Facts { retry_after: error.retry_after(), ..Facts::default() };
    // The headers speak of tokens.
    if let GatewayError::LimitReached { limit, remaining, retry_after } = error
        && limit.meter.counts_tokens()
    {
        facts.limit = Some(limit.balance(*remaining, *retry_after));
    }
    if matches!(error, GatewayError::UnsupportedEncoding(_)) {
        // RFC 9110 §15.5.16: what would have been understood.
        let accepted = HeaderValue::from_static(tollgate_codings::ACCEPTED);
        response.headers_mut().insert(ACCEPT_ENCODING, accepted);
    }
    add_facts(&mut response, &facts, id);
    response
}

/// Tells how many backends were called in vain, where any was.
pub fn add_attempts(response: &mut HttpResponse, attempts: u8) {
    if attempts > 0 {
        response.headers_mut().insert(ATTEMPTS, HeaderValue::from(u16::from(attempts)));
    }
}

fn add_facts(response: &mut HttpResponse, facts: &Facts, id: RequestId) {
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    };
    put(REQUEST_ID, id.to_string());
    if let Some(cache) = facts.cache {
        put(CACHE, cache.as_str().to_owned());
    }
    if let Some(similarity) = facts.similarity {
        put(SIMILARITY, format!("{similarity:.4}"));
    }
    if let Some(limit) = facts.limit {
        put(LIMIT, limit.limit.to_string());
        put(REMAINING, limit.remaining.to_string());
        put(RESET, format!("{}ms", limit.reset.as_millis()));
    }
    if let Some(served) = &facts.served {
        put(ATTEMPTS, served.attempts.to_string());
        if let Some((backend, model)) = &served.target {
            put(BACKEND, backend.to_string());
            put(MODEL, model.to_string());
        }
        if let Some(variant) = &served.variant {
            put(VARIANT, variant.to_string());
        }
        if !served.dropped.is_empty() {
            put(DROPPED, served.dropped.join(", "));
        }
    }
    if let Some(counted_by) = facts.counted_by {
        put(COUNTED_BY, counted_by.as_str().to_owned());
    }
    if let Some(wait) = facts.retry_after {
        put(RETRY_AFTER, seconds_up(wait).to_string());
    }
    for (name, value) in facts.served.iter().flat_map(|served| &served.rates) {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    }
    if let Some(cookie) = facts
        .served
        .as_ref()
        .and_then(|served| served.set_cookie.as_ref())
        .and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok())
    {
        headers.append(SET_COOKIE, cookie);
    }
}

fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Duration;
    use tollgate_limits::{LimitRule, Meter, Scope, Span, Window};

    #[test]
    fn a_refusal_by_a_limit_says_when_to_come_back() {
        let refused_by = |meter| {
            let limit = LimitRule {
                name: "limit".into(),
                scope: Scope::Subscription,
                meter,
                window: Window::Sliding(Span::Minute),
                amount: 100,
            };
            let retry_after = Duration::from_millis(1500);
            GatewayError::LimitReached { limit: Arc::new(limit), remaining: 3, retry_after }
        };
        let refusal = refused_by(Meter::Tokens);
        let response = error(&refusal, ClientFormat::Chat, RequestId::now());
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers().get("retry-after").unwrap(), "2");
        assert_eq!(response.headers().get("x-ratelimit-remaining-tokens").unwrap(), "3");
        assert_eq!(response.headers().get("x-ratelimit-limit-tokens").unwrap(), "100");
        let of_requests = error(&refused_by(Meter::Requests), ClientFormat::Chat, RequestId::now());
        assert!(of_requests.headers().get("x-ratelimit-remaining-tokens").is_none());
    }
}
