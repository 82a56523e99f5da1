//! Finds the session of a request, so that it can be kept on one target.
//!
//! The session's name is hashed and forgotten; where it is kept is decided by [`super::rendezvous`]. A request
//! without a session, or one whose session cannot be read, is routed like any other.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use tollgate_base::headers::{Headers, text};
use tollgate_config::AffinityConfig;
use tollgate_expressions::json_pointer::{NotAPointer, Pointer};
use tollgate_expressions::{Expression, ExpressionError, RequestFacts};

use super::rendezvous::stable_hash;

/// Longest name of a session that is looked at, bytes.
const MAX_NAME_BYTES: usize = 1 << 10;

/// Where an alias finds the sessions of its requests.
#[derive(Debug)]
pub enum Affinity {
    /// In a cookie; a client without one gets one.
    Cookie {
        /// Its name.
        name: Box<str>,
        /// How long a client keeps it; `None` for a session cookie.
        max_age: Option<Duration>,
    },
    /// In a header.
    Header(HeaderName),
    /// In a text or number of the JSON body.
    Body(Pointer),
    /// In the value of an expression.
    Expression(Expression),
}

/// Why an affinity cannot be made from its configuration.
#[derive(Debug, thiserror::Error)]
pub enum AffinityError {
    /// No place is named, or several are.
    #[error("needs exactly one of `cookie`, `header`, `body` and `expression`")]
    NotOne,
    /// The header name is invalid.
    #[error("header: {0}")]
    Header(String),
    /// The JSON pointer into the body is invalid.
    #[error("body: {0}")]
    Body(#[from] NotAPointer),
    /// The expression cannot be compiled.
    #[error("expression: {0}")]
    Expression(#[from] ExpressionError),
}

impl AffinityError {
    /// The field at fault, below `affinity`, and what is wrong with it. `None` if the settings are not of the right
    /// shape, which is found when the configuration is checked.
    #[must_use]
    pub fn place(&self) -> Option<(&'static str, String)> {
        match self {
            Self::NotOne | Self::Header(_) => None,
            Self::Body(source) => Some(("body", source.to_string())),
            Self::Expression(source) => Some(("expression", source.to_string())),
        }
    }
}

/// The session of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Hash of its name.
    pub hash: u64,
    /// The cookie that the client gets with the answer.
    pub set_cookie: Option<HeaderValue>,
}

impl Affinity {
    /// Resolves the configured place.
    ///
    /// # Errors
    /// See [`AffinityError`].
    pub fn resolve(config: &AffinityConfig) -> Result<Self, AffinityError> {
        let max_age = config.ttl.map(|ttl| ttl.0);
        match (&config.cookie, &config.header, &config.body, &config.expression) {
            (Some(name), None, None, None) => Ok(Self::Cookie { name: (&**name).into(), max_age }),
            (None, Some(name), None, None) => name
                .to_ascii_lowercase()
                .parse()
                .map(Self::Header)
                .map_err(|_| AffinityError::Header(format!("`{name}` is not a header name"))),
            (None, None, Some(pointer), None) => Ok(Self::Body(pointer.parse()?)),
            (None, None, None, Some(source)) => Ok(Self::Expression(Expression::compile(source)?)),
            _ => Err(AffinityError::NotOne),
        }
    }

    /// The session that a request belongs to, if any.
    ///
    /// # Errors
    /// When the expression has no value for this request.
    pub fn session(&self, request: &RequestFacts<'_>) -> Result<Option<Session>, ExpressionError> {
        Ok(match self {
            Self::Cookie { name, max_age } => match cookie(request.headers, name) {
                Some(value) => named(value.as_bytes()),
                None => Some(new_session(name, *max_age, rand::random())),
            },
            Self::Header(name) => request.headers.first(name.as_str()).and_then(named),
            Self::Body(pointer) => pointer.text_in(request.body).and_then(|text| named(text.as_bytes())),
            Self::Expression(expression) => named(expression.text(request)?.as_bytes()),
        })
    }
}

fn named(name: &[u8]) -> Option<Session> {
    let usable = !name.is_empty() && name.len() <= MAX_NAME_BYTES;
    usable.then(|| Session { hash: stable_hash(name), set_cookie: None })
}

/// A session for a client that has none. Its name is random: it says nothing about backends.
fn new_session(cookie: &str, max_age: Option<Duration>, random: u128) -> Session {
    let name = format!("{random:032x}");
    let mut text = format!("{cookie}={name}; Path=/; HttpOnly; SameSite=Lax");
    if let Some(max_age) = max_age {
        text.push_str(&format!("; Max-Age={}", max_age.as_secs()));
    }
    Session { hash: stable_hash(name.as_bytes()), set_cookie: HeaderValue::from_str(&text).ok() }
}

/// The value of a cookie (RFC 6265 §5.4), the first of that name.
fn cookie<'a>(headers: &'a dyn Headers, name: &str) -> Option<&'a str> {
    headers
        .all("cookie")
        .into_iter()
        .filter_map(text)
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value.trim_matches('"')))
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn session(affinity: &Affinity, header: (&'static str, &'static str), body: &str) -> Option<Session> {
        let mut headers = HeaderMap::new();
        headers.append(HeaderName::from_static(header.0), HeaderValue::from_static(header.1));
        let request = RequestFacts {
            headers: &headers,
            path: "/",
            body: body.as_bytes(),
            subscription: "s",
            tenant: "t",
            team: "",
        };
        affinity.session(&request).unwrap()
    }

    fn by_cookie(max_age: Option<Duration>) -> Affinity {
        Affinity::Cookie { name: "tollgate".into(), max_age }
    }

    #[test]
    fn a_client_without_a_cookie_gets_one_that_leads_to_the_same_session() {
        let given = session(&by_cookie(Some(Duration::from_secs(3_600))), ("x-other", "1"), "").unwrap();
        let text = given.set_cookie.unwrap().to_str().unwrap().to_owned();
        assert!(text.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"), "{text}");
        let pair = text.split_once(';').unwrap().0.to_owned();
        let returned = format!("theme=dark; {pair}; x=1").leak();
        let again = session(&by_cookie(None), ("cookie", returned), "").unwrap();
        assert_eq!(again, Session { hash: given.hash, set_cookie: None });
    }

    #[test]
    fn two_clients_without_a_cookie_are_two_sessions() {
        let new = || session(&by_cookie(None), ("x-other", "1"), "").unwrap().hash;
        assert_ne!(new(), new());
    }

    #[test]
    fn header_and_body_and_expression_find_the_same_session() {
        let header = Affinity::Header(HeaderName::from_static("x-session"));
        let body = Affinity::Body("/metadata/session".parse().unwrap());
        let expression = Affinity::Expression(Expression::compile("request.body.metadata.session").unwrap());
        let json = r#"{"metadata":{"session":"abc"}}"#;
        let found = [&header, &body, &expression].map(|way| session(way, ("x-session", "abc"), json));
        assert!(found[0].is_some() && found.iter().all(|session| session == &found[0]), "{found:?}");
    }

    #[test]
    fn a_request_without_a_session_is_routed_like_any_other() {
        let header = Affinity::Header(HeaderName::from_static("x-session"));
        assert_eq!(session(&header, ("x-other", "1"), "{}"), None);
        assert_eq!(session(&Affinity::Body("/user".parse().unwrap()), ("x-other", "1"), "{}"), None);
    }
}
