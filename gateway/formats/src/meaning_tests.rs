//! Every disguise that an error is known to come in, by format.

use Meaning::{
    Failed, Filtered, KeyRefused, ModelUnknown, NoMoney, Overloaded, RateLimited, Request, TooLong,
};

use super::*;
use crate::{anthropic, bedrock, gemini, openai_chat};

fn openai(status: u16, body: &str) -> Meaning {
    BackendError::new(status, openai_chat::error::decode(status, body.as_bytes())).meaning
}

fn claude(status: u16, kind: &str, message: &str) -> Meaning {
    let body = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#);
    BackendError::new(status, anthropic::error::decode(status, body.as_bytes())).meaning
}

fn google(code: u16, status: &str, message: &str, details: &str) -> Meaning {
    let body = format!(
        r#"{{"error":{{"code":{code},"message":"{message}","status":"{status}","details":[{details}]}}}}"#
    );
    BackendError::new(code, gemini::error::decode(code, body.as_bytes())).meaning
}

fn aws(status: u16, name: &str, message: &str) -> Meaning {
    let body = format!(r#"{{"message":"{message}"}}"#);
    BackendError::new(status, bedrock::error::decode(status, Some(name), body.as_bytes())).meaning
}

#[test]
fn errors_of_openai_and_of_those_that_speak_like_it_are_understood() {
    let error = |message: &str, kind: &str, code: &str| {
        format!(r#"{{"error":{{"message":"{message}","type":"{kind}","param":null,"code":{code}}}}}"#)
    };
    let quota = "You exceeded your current quota, please check your plan and billing details.";
    let country = "Country, region, or territory not supported";
    for (status, body, meaning) in [
        (401, error("Incorrect API key provided", "invalid_request_error", r#""invalid_api_key""#), KeyRefused),
        (429, error(quota, "insufficient_quota", r#""insufficient_quota""#), NoMoney),
        (429, error("Rate limit reached for gpt-5", "requests", r#""rate_limit_exceeded""#), RateLimited),
        (503, error("busy", "service_unavailable_error", r#""server_is_overloaded""#), Overloaded),
        (503, error("slow", "server_error", r#""slow_down""#), Overloaded),
        (429, error("Resource unavailable", "x", r#""resource_unavailable""#), Overloaded),
        (500, error("The server had an error", "server_error", "null"), Failed),
        (400, error("Your request was rejected", "x", r#""content_policy_violation""#), Filtered),
        (400, error("The response was filtered", "x", r#""content_filter""#), Filtered),
        (404, error("The model does not exist", "x", r#""model_not_found""#), ModelUnknown),
        (403, error("Project does not have access to model x", "x", r#""model_not_found""#), ModelUnknown),
        (403, error(country, "request_forbidden", r#""unsupported_country_region_territory""#), ModelUnknown),
        (403, error("Your API key may not be used here", "x", "null"), KeyRefused),
        (400, error("m", "invalid_request_error", r#""context_length_exceeded""#), TooLong),
        (400, error("no such field", "invalid_request_error", "null"), Request),
        (409, error("conflict", "x", "null"), Request),
        (413, error("too large", "x", "null"), Request),
        (501, error("not implemented", "x", "null"), Request),
        // xAI, DeepSeek, Kimi, GLM, Mistral, DashScope, Groq, vLLM, OpenRouter, Ollama.
        (400, r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***"}"#.into(), KeyRefused),
        (402, error("Insufficient Balance", "unknown_error", r#""invalid_request_error""#), NoMoney),
        (400, error("Content Exists Risk", "invalid_request_error", r#""invalid_request_error""#), Filtered),
        (429, error("Your account is suspended", "exceeded_current_quota_error", "null"), NoMoney),
        (429, error("Insufficient balance or no resource package", "", r#""1113""#), NoMoney),
        (400, error("sensitive content", "", r#""1301""#), Filtered),
        (400, error("Prompt exceeds max length", "", r#""1261""#), TooLong),
        (429, r#"{"object":"error","message":"Service tier capacity exceeded for this model.","type":"x","code":"3505"}"#.into(), Overloaded),
        (400, error("Input data may contain inappropriate content.", "x", r#""data_inspection_failed""#), Filtered),
        (400, error("Access denied, please make sure your account is in good standing.", "x", r#""Arrearage""#), NoMoney),
        (413, error("Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9000", "tokens", r#""rate_limit_exceeded""#), RateLimited),
        (404, r#"{"object":"error","message":"The model `m` does not exist.","type":"NotFoundError","code":404}"#.into(), ModelUnknown),
        (404, r#"{"error":"model 'm' not found, try pulling it first"}"#.into(), ModelUnknown),
        (408, error("timed out", "x", "408"), Failed),
        (502, "<html>bad gateway</html>".into(), Failed),
        (403, "<html>forbidden</html>".into(), KeyRefused),
        (403, String::new(), KeyRefused),
        // Inside a success.
        (200, error("Rate limit exceeded", "", "429"), RateLimited),
        (200, error("Provider returned error", "", "502"), Failed),
        (200, error("Insufficient credits", "", "402"), NoMoney),
    ] {
        assert_eq!(openai(status, &body), meaning, "{status} {body}");
    }
}

#[test]
fn errors_of_anthropic_are_understood() {
    let credit = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing";
    let limits = "You have reached your specified API usage limits. You will regain access on 2026-12-01";
    for (status, kind, message, meaning) in [
        (401, "authentication_error", "invalid x-api-key", KeyRefused),
        (400, "invalid_request_error", credit, NoMoney),
        (400, "invalid_request_error", limits, NoMoney),
        (402, "billing_error", "There is an issue with your billing", NoMoney),
        (403, "permission_error", "Your API key does not have permission to use the resource", KeyRefused),
        (403, "permission_error", "Model claude-x is not offered to this organization", ModelUnknown),
        (404, "not_found_error", "model: claude-x", ModelUnknown),
        (409, "conflict_error", "conflict", Request),
        (413, "request_too_large", "Request exceeds the maximum size", TooLong),
        (429, "rate_limit_error", "This request would exceed your rate limit", RateLimited),
        (500, "api_error", "Internal server error", Failed),
        (504, "timeout_error", "timed out", Failed),
        (529, "overloaded_error", "Overloaded", Overloaded),
        (200, "overloaded_error", "Overloaded", Overloaded),
        (400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum", TooLong),
        (400, "invalid_request_error", "Output blocked by content filtering policy", Filtered),
        (400, "invalid_request_error", "max_tokens: must be positive", Request),
    ] {
        assert_eq!(claude(status, kind, message), meaning, "{status} {message}");
    }
}

#[test]
fn errors_of_google_are_understood() {
    let invalid_key = r#"{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}"#;
    let wait = r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34s"}"#;
    let quota = "You exceeded your current quota, please check your plan and billing details.";
    let billing = "Gemini API free tier is not available here. Please enable billing on your project";
    let length = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
    for (code, status, message, details, meaning) in [
        (400, "INVALID_ARGUMENT", "API key not valid.", invalid_key, KeyRefused),
        (403, "PERMISSION_DENIED", "Permission 'aiplatform.endpoints.predict' denied", "", KeyRefused),
        (400, "FAILED_PRECONDITION", billing, "", NoMoney),
        (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", "", ModelUnknown),
        // The free tier says the same of its speed, but knows how long to wait.
        (429, "RESOURCE_EXHAUSTED", quota, wait, RateLimited),
        (429, "RESOURCE_EXHAUSTED", "Resource has been exhausted", "", RateLimited),
        (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", "", Overloaded),
        (504, "DEADLINE_EXCEEDED", "late", "", Failed),
        (500, "INTERNAL", "internal", "", Failed),
        (404, "NOT_FOUND", "models/gemini-x is not found", "", ModelUnknown),
        (400, "INVALID_ARGUMENT", length, "", TooLong),
        (400, "INVALID_ARGUMENT", "Invalid value at contents", "", Request),
    ] {
        assert_eq!(google(code, status, message, details), meaning, "{code} {message}");
    }
}

#[test]
fn errors_of_bedrock_are_understood() {
    let token = "The security token included in the request is invalid.";
    let on_demand = "Invocation of model ID x with on-demand throughput isn't supported.";
    let role = "User: arn:aws:iam::1:role/gw is not authorized to perform: bedrock:InvokeModel";
    for (status, name, message, meaning) in [
        (403, "UnrecognizedClientException", token, KeyRefused),
        (403, "AccessDeniedException", role, KeyRefused),
        (
            403,
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
            ModelUnknown,
        ),
        (429, "ThrottlingException", "Too many tokens, please wait before trying again.", RateLimited),
        (400, "ServiceQuotaExceededException", "quota", RateLimited),
        (429, "ModelNotReadyException", "not ready", Overloaded),
        (503, "ServiceUnavailableException", "Bedrock is unable to process your request.", Overloaded),
        (400, "ValidationException", "The provided model identifier is invalid.", ModelUnknown),
        (400, "ValidationException", on_demand, ModelUnknown),
        (404, "ResourceNotFoundException", "no model", ModelUnknown),
        (400, "ValidationException", "Input is too long for requested model.", TooLong),
        (400, "ValidationException", "messages.1: expected user", Request),
        (408, "ModelTimeoutException", "timed out", Failed),
        (424, "ModelErrorException", "the model failed", Failed),
        (500, "InternalServerException", "sorry", Failed),
    ] {
        assert_eq!(aws(status, name, message), meaning, "{status} {message}");
    }
}

#[test]
fn what_a_request_says_decides_nothing_about_the_account() {
    for message in [
        "Invalid value: 'your credit balance is too low'. Supported values are auto and none.",
        "Unknown tool \\\"api key not valid\\\"",
        "extra field {insufficient balance}",
    ] {
        assert_eq!(claude(400, "invalid_request_error", message), Request, "{message}");
    }
}

#[test]
fn only_the_request_itself_is_not_tried_elsewhere() {
    for meaning in [RateLimited, NoMoney, KeyRefused, Overloaded, ModelUnknown, Failed] {
        assert!(meaning.fails_over(), "{meaning:?}");
    }
    assert!(![Request, TooLong, Filtered].into_iter().any(Meaning::fails_over));
}
