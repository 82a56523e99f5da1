//! Expressions over a request, in the Common Expression Language (cel.dev).
//!
//! An expression is compiled once, when the configuration is read, and evaluated per request against these
//! variables:
//!
//! | variable | what |
//! |---|---|
//! | `request.headers` | the client's headers by lower-case name, the first value of each; without gateway keys |
//! | `request.path` | path of the request |
//! | `request.body` | its JSON body; read only for expressions that mention it |
//! | `subscription`, `tenant`, `team` | who calls |
//!
//! Only what an expression mentions is made ready for it. Its source, its result and the body that it may see
//! are bounded. Errors never repeat values: those may be prompts.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::objects::Key;
use cel::{Context, Env, ExecutionError, Program, Value};
use tollgate_base::headers::{Headers, text};

pub mod json_pointer;

/// Headers that may carry a gateway key, in the order in which they are tried. No expression sees them, and none of
/// them is ever forwarded.
pub const KEY_HEADERS: [&str; 5] =
    ["authorization", "api-key", "x-api-key", "x-goog-api-key", "ocp-apim-subscription-key"];

/// Longest source of an expression, bytes.
const MAX_SOURCE_BYTES: usize = 2 << 10;
/// Largest body that an expression may look into, bytes: reading it into values costs many times its size.
const MAX_BODY_BYTES: usize = 256 << 10;
/// Longest text that may be the result, bytes.
const MAX_RESULT_BYTES: usize = 1 << 10;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression.
pub struct Expression {
    program: Program,
    source: Box<str>,
    reads_headers: bool,
    reads_body: bool,
}

/// What an expression may know of a request.
#[derive(Clone, Copy)]
pub struct RequestFacts<'a> {
    /// Headers of the client.
    pub headers: &'a dyn Headers,
    /// Path of the request.
    pub path: &'a str,
    /// Its body.
    pub body: &'a [u8],
    /// Name of the subscription that calls.
    pub subscription: &'a str,
    /// Its tenant.
    pub tenant: &'a str,
    /// Its team.
    pub team: &'a str,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is longer than any expression should be.
    #[error("an expression has at most {MAX_SOURCE_BYTES} bytes")]
    TooLong,
    /// It is not in the language.
    #[error("not an expression: {0}")]
    Syntax(String),
    /// It mentions something that does not exist.
    #[error(
        "there is no `{0}`; there are `request.headers`, `request.path`, `request.body`, `subscription`, `tenant` and `team`"
    )]
    Unknown(String),
    /// It reads the body, which is too large for that or no JSON.
    #[error("the body is no JSON of up to {MAX_BODY_BYTES} bytes")]
    Body,
    /// It has no value for this request.
    #[error("it has no value for this request: {0}")]
    NoValue(&'static str),
    /// Its value is no text, number or truth value, or is too long.
    #[error("its value is not a text of up to {MAX_RESULT_BYTES} bytes, a whole number or a truth value")]
    Kind,
}

impl Expression {
    /// Compiles an expression. It is tried on an empty request, so that a name that does not exist is found
    /// before the first call.
    ///
    /// # Errors
    /// [`ExpressionError::TooLong`], [`ExpressionError::Syntax`] or [`ExpressionError::Unknown`].
    pub fn compile(source: &str) -> Result<Self, ExpressionError> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(ExpressionError::TooLong);
        }
        let program =
            ENVIRONMENT.compile(source).map_err(|error| ExpressionError::Syntax(error.to_string()))?;
        let expression = Self {
            program,
            source: source.into(),
            reads_headers: source.contains("headers"),
            reads_body: source.contains("body"),
        };
        let empty = RequestFacts {
            headers: &http::HeaderMap::new(),
            path: "",
            body: b"{}",
            subscription: "",
            tenant: "",
            team: "",
        };
        match expression.evaluate(&empty) {
            Err(ExecutionError::UndeclaredReference(name)) => {
                Err(ExpressionError::Unknown(name.as_str().to_owned()))
            }
            _ => Ok(expression),
        }
    }

    /// Its value as text.
    ///
    /// # Errors
    /// [`ExpressionError::Body`], [`ExpressionError::NoValue`] or [`ExpressionError::Kind`].
    pub fn text(&self, request: &RequestFacts<'_>) -> Result<String, ExpressionError> {
        if self.reads_body && request.body.len() > MAX_BODY_BYTES {
            return Err(ExpressionError::Body);
        }
        let text = match self.evaluate(request).map_err(|error| explain(&error))? {
            Value::String(text) => Arc::unwrap_or_clone(text),
            Value::Int(number) => number.to_string(),
            Value::UInt(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            _ => return Err(ExpressionError::Kind),
        };
        if text.len() > MAX_RESULT_BYTES { Err(ExpressionError::Kind) } else { Ok(text) }
    }

    fn evaluate(&self, request: &RequestFacts<'_>) -> Result<Value, ExecutionError> {
        let mut fields: HashMap<Key, Value> = HashMap::with_capacity(3);
        fields.insert("path".into(), request.path.into());
        if self.reads_headers {
            fields.insert("headers".into(), headers(request.headers));
        }
        if self.reads_body {
            let body: serde_json::Value = serde_json::from_slice(request.body).map_err(|_| not_json())?;
            fields.insert("body".into(), cel::to_value(body).map_err(|_| not_json())?);
        }
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.add_variable_from_value("request", fields);
        context.add_variable_from_value("subscription", request.subscription);
        context.add_variable_from_value("tenant", request.tenant);
        context.add_variable_from_value("team", request.team);
        self.program.execute(&context)
    }
}

/// The first value of each header that is text.
fn headers(headers: &dyn Headers) -> Value {
    let mut fields: HashMap<Key, Value> = HashMap::new();
    headers.for_each(&mut |name, value| {
        if !KEY_HEADERS.contains(&name)
            && let Some(value) = text(value)
        {
            fields.entry(name.into()).or_insert_with(|| value.into());
        }
    });
    fields.into()
}

const NOT_JSON: &str = "body";

fn not_json() -> ExecutionError {
    ExecutionError::InternalError(NOT_JSON.to_owned())
}

/// An error without the values in it.
fn explain(error: &ExecutionError) -> ExpressionError {
    ExpressionError::NoValue(match error {
        ExecutionError::InternalError(text) if text == NOT_JSON => return ExpressionError::Body,
        ExecutionError::NoSuchKey(_) | ExecutionError::IndexOutOfBounds(_) => "a field is missing",
        ExecutionError::UndeclaredReference(_) => "a name does not exist",
        _ => "its parts do not fit together",
    })
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    const BODY: &[u8] = br#"{"user":"u-7","metadata":{"thread":12},"messages":[{"content":"secret words"}]}"#;

    fn text(source: &str) -> Result<String, ExpressionError> {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-user-id", "u-9"), ("authorization", "Bearer gateway-key")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let (subscription, tenant, team) = ("checkout", "acme", "shop");
        let path = "/llm/v1/chat/completions";
        let request = RequestFacts { headers: &headers, path, body: BODY, subscription, tenant, team };
        Expression::compile(source)?.text(&request)
    }

    #[test]
    fn every_variable_can_be_read() {
        for (source, expected) in [
            ("request.headers['x-user-id']", "u-9"),
            ("request.path", "/llm/v1/chat/completions"),
            ("request.body.user", "u-7"),
            ("request.body.metadata.thread", "12"),
            ("tenant + '/' + team + '/' + subscription", "acme/shop/checkout"),
            ("'x-user-id' in request.headers ? 'known' : 'unknown'", "known"),
            ("has(request.body.session) ? request.body.session : tenant", "acme"),
            ("request.body.messages.exists(m, m.content.startsWith('secret'))", "true"),
        ] {
            assert_eq!(text(source).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn a_gateway_key_cannot_be_read() {
        assert_eq!(
            text("request.headers.authorization"),
            Err(ExpressionError::NoValue("a field is missing"))
        );
    }

    #[test]
    fn a_name_that_does_not_exist_is_found_when_it_is_compiled() {
        assert_eq!(text("requst.path"), Err(ExpressionError::Unknown("requst".to_owned())));
        assert!(matches!(text("request.path +"), Err(ExpressionError::Syntax(_))));
        assert_eq!(text(&"a".repeat(MAX_SOURCE_BYTES + 1)), Err(ExpressionError::TooLong));
    }

    #[test]
    fn an_error_never_repeats_a_value() {
        let error = text("request.body.messages[0].content + 1").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(text("request.body.messages"), Err(ExpressionError::Kind));
        assert_eq!(text("request.body.missing"), Err(ExpressionError::NoValue("a field is missing")));
    }

    #[test]
    fn a_body_is_read_only_where_it_is_mentioned() {
        let (headers, body) = (HeaderMap::new(), vec![b'['; MAX_BODY_BYTES + 1]);
        let request = RequestFacts {
            headers: &headers,
            path: "/p",
            body: &body,
            subscription: "",
            tenant: "t",
            team: "",
        };
        assert_eq!(Expression::compile("tenant").unwrap().text(&request).as_deref(), Ok("t"));
        assert_eq!(
            Expression::compile("request.body.user").unwrap().text(&request),
            Err(ExpressionError::Body)
        );
    }
}
