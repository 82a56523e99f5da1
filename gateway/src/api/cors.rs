//! Calls of pages of other origins, where the configuration lets them: a browser asks first, without a key, whether it may
//! (Fetch standard, "CORS protocol"), and shows a page only answers that say so.

use std::future::Future;

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpResponse, web};

use crate::gateway::Worker;

/// Asked before its route is looked for: no path serves `OPTIONS`, and none asks for a key then.
///
/// # Errors
/// What the service says.
pub fn shared<S>(
    request: ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<ServiceResponse<BoxBody>, Error>> + use<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    let origin = allowed_origin(&request);
    let told = match &origin {
        Some((origin, max_age_s)) => preflight(&request, origin, *max_age_s),
        None => None,
    };
    let (answered, called) = match told {
        Some(response) => (Some(request.into_response(response)), None),
        None => (None, Some(service.call(request))),
    };
    async move {
        let mut response = match (answered, called) {
            (Some(response), _) => return Ok(response),
            (None, Some(called)) => called.await?,
            (None, None) => return Err(actix_web::error::ErrorInternalServerError("not called")),
        };
        if let Some((origin, _)) = origin {
            allow(response.headers_mut(), origin);
        }
        Ok(response)
    }
}

/// The origin of the page that calls, if it may, and how long a browser may remember that, in seconds.
fn allowed_origin(request: &ServiceRequest) -> Option<(HeaderValue, u64)> {
    let origin = request.headers().get(ORIGIN)?;
    let snapshot = request.app_data::<web::Data<Worker>>()?.gateway.snapshot.load();
    let cors = &snapshot.cors;
    cors.allows(origin.to_str().ok()?).then(|| (origin.clone(), cors.max_age.0.as_secs()))
}

/// The answer to a browser that asks whether it may; `None` for every other call.
fn preflight(request: &ServiceRequest, origin: &HeaderValue, max_age_s: u64) -> Option<HttpResponse> {
    let method = request.headers().get(ACCESS_CONTROL_REQUEST_METHOD)?;
    if request.method() != Method::OPTIONS {
        return None;
    }
    let mut response = HttpResponse::new(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    allow(headers, origin.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
    // Whatever header a client library sends: which of them count is decided when it is read.
    if let Some(wanted) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(max_age_s));
    Some(response)
}

/// Lets a page of this origin read an answer and its headers.
fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
    headers.append(VARY, HeaderValue::from_static("origin"));
}
