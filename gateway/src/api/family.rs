//! Errors in the form of an API that is passed through, so that its SDKs understand them.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::header::{HeaderName, HeaderValue};
use serde::Serialize;
use tollgate_crossing::ClientFormat;
use tollgate_formats::BackendFormat;
use tollgate_schemas::ids::RequestId;

use super::render;
use crate::error::GatewayError;

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// AWS's form for JSON services: the exception's name in a header, its text in the body.
#[derive(Serialize)]
struct AwsBody<'a> {
    message: &'a str,
    code: &'a str,
    request_id: RequestId,
}

/// The API format whose error form clients of such a backend know, among those that the gateway serves itself.
#[must_use]
pub const fn nearest(format: BackendFormat) -> ClientFormat {
    match format {
        BackendFormat::Anthropic => ClientFormat::Messages,
        BackendFormat::Gemini => ClientFormat::Gemini { stream: false },
        _ => ClientFormat::Chat,
    }
}

/// An error as clients of a backend of this format expect it.
#[must_use]
pub fn error(error: &GatewayError, format: BackendFormat, id: RequestId) -> HttpResponse {
    let response = render::error(error, nearest(format), id);
    let class = error.class();
    let message = error.to_string();
    match format {
        BackendFormat::Bedrock => {
            let body = AwsBody { message: &message, code: class.code, request_id: id };
            let mut response = with_body(response, &body);
            let name = HeaderValue::from_static(aws_exception(class.status));
            response.headers_mut().insert(ERROR_TYPE, name);
            response
        }
        _ => response,
    }
}

fn with_body(response: HttpResponse, body: &impl Serialize) -> HttpResponse {
    response.set_body(BoxBody::new(serde_json::to_vec(body).unwrap_or_default()))
}

/// The exception of Bedrock's runtime that has this status (API reference, "Common errors").
const fn aws_exception(status: u16) -> &'static str {
    match status {
        401 | 403 => "AccessDeniedException",
        404 => "ResourceNotFoundException",
        408 | 504 => "ModelTimeoutException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailableException",
        400..=499 | 501 => "ValidationException",
        _ => "InternalServerException",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use serde_json::Value;

    use super::*;

    async fn told(format: BackendFormat) -> (HttpResponse<()>, Value) {
        let (head, body) = error(&GatewayError::MissingKey, format, RequestId::now()).into_parts();
        (head, serde_json::from_slice(&to_bytes(body).await.unwrap_or_default()).unwrap())
    }

    #[actix_rt::test]
    async fn each_family_gets_its_own_form_with_the_stable_code() {
        let (head, body) = told(BackendFormat::Bedrock).await;
        assert_eq!(head.status(), 401);
        assert_eq!(head.headers().get("x-amzn-errortype").unwrap(), "AccessDeniedException");
        assert_eq!(body["code"], "missing_api_key");
        let (_, body) = told(BackendFormat::Gemini).await;
        assert_eq!(
            (&body["error"]["status"], &body["error"]["code"]),
            (&"UNAUTHENTICATED".into(), &401.into())
        );
        assert_eq!(body["error"]["details"][0]["reason"], "missing_api_key");
        assert_eq!(told(BackendFormat::Anthropic).await.1["error"]["type"], "authentication_error");
        assert_eq!(told(BackendFormat::OpenAi).await.1["error"]["code"], "missing_api_key");
    }
}
