//! From path and verb to what is asked for.

use http::Method;
use http::request::Parts;

use super::refuse::Dialect;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Completions,
    Embeddings,
    Responses,
    /// A kept response, and what is done with it.
    Kept {
        id: String,
        action: Action,
    },
    Messages,
    CountTokens,
    Converse {
        stream: bool,
    },
    Invoke,
    Generate {
        stream: bool,
    },
    Embed,
    BatchEmbed,
}

/// What is done with a kept response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Get,
    Delete,
    Cancel,
    InputItems,
}

/// An endpoint of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    pub(super) dialect: Dialect,
    /// The model, where the path names it.
    pub(super) model: Option<String>,
    /// Whether it is Azure's.
    pub(super) azure: bool,
}

/// Whose errors are shown below a path.
pub(super) fn dialect(path: &str) -> Dialect {
    if path.starts_with("/v1/messages") {
        Dialect::Anthropic
    } else if path.starts_with("/model/") {
        Dialect::Bedrock
    } else if path.starts_with("/v1beta/models/") {
        Dialect::Gemini
    } else {
        Dialect::OpenAi
    }
}

/// What a request asks for; none when there is nothing at its address.
pub(super) fn find(head: &Parts) -> Option<Target> {
    let path = head.uri.path();
    let dialect = dialect(path);
    let post = head.method == Method::POST;
    let target = |endpoint, model: Option<&str>| Target {
        endpoint,
        dialect,
        model: model.map(decoded),
        azure: path.starts_with("/openai/"),
    };
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    match segments.as_slice() {
        ["v1", "messages"] if post => Some(target(Endpoint::Messages, None)),
        ["v1", "messages", "count_tokens"] if post => Some(target(Endpoint::CountTokens, None)),
        ["model", model, operation] if post => {
            let endpoint = match *operation {
                "converse" => Endpoint::Converse { stream: false },
                "converse-stream" => Endpoint::Converse { stream: true },
                "invoke" => Endpoint::Invoke,
                _ => return None,
            };
            Some(target(endpoint, Some(model)))
        }
        ["v1beta", "models", asked] if post => {
            let (model, operation) = asked.rsplit_once(':')?;
            let endpoint = match operation {
                "generateContent" => Endpoint::Generate { stream: false },
                "streamGenerateContent" if head.uri.query() == Some("alt=sse") => {
                    Endpoint::Generate { stream: true }
                }
                "embedContent" => Endpoint::Embed,
                "batchEmbedContents" => Endpoint::BatchEmbed,
                _ => return None,
            };
            Some(target(endpoint, Some(model)))
        }
        ["openai", "deployments", model, rest @ ..] if post => {
            // Deployments in the path exist in dated versions of the API alone.
            head.uri.query().filter(|query| query.starts_with("api-version=20"))?;
            openai(rest).filter(|endpoint| *endpoint != Endpoint::Responses).map(|it| target(it, Some(model)))
        }
        ["v1", "responses", rest @ ..] | ["openai", "v1", "responses", rest @ ..] if !rest.is_empty() => {
            kept(&head.method, rest).map(|endpoint| target(endpoint, None))
        }
        ["v1", rest @ ..] | ["openai", "v1", rest @ ..] | ["v1beta", "openai", rest @ ..] if post => {
            openai(rest).map(|endpoint| target(endpoint, None))
        }
        _ => None,
    }
}

fn openai(rest: &[&str]) -> Option<Endpoint> {
    Some(match rest {
        ["chat", "completions"] => Endpoint::Chat,
        ["completions"] => Endpoint::Completions,
        ["embeddings"] => Endpoint::Embeddings,
        ["responses"] => Endpoint::Responses,
        _ => return None,
    })
}

fn kept(method: &Method, rest: &[&str]) -> Option<Endpoint> {
    let (id, action) = match (method.as_str(), rest) {
        ("GET", [id]) => (id, Action::Get),
        ("DELETE", [id]) => (id, Action::Delete),
        ("POST", [id, "cancel"]) => (id, Action::Cancel),
        ("GET", [id, "input_items"]) => (id, Action::InputItems),
        _ => return None,
    };
    Some(Endpoint::Kept { id: decoded(id), action })
}

/// A segment of a path without its escapes.
fn decoded(segment: &str) -> String {
    let mut out = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match escaped.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(method: &str, uri: &str) -> Option<Target> {
        let (head, ()) = http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
        find(&head)
    }

    #[test]
    fn models_in_paths_lose_their_escapes() {
        let target = at("POST", "/model/amazon.nova-pro-v1%3A0/converse-stream").unwrap();
        assert_eq!(target.model.as_deref(), Some("amazon.nova-pro-v1:0"));
        assert_eq!(target.endpoint, Endpoint::Converse { stream: true });
        let target = at("POST", "/v1beta/models/gemini-2.5-flash%3Abusy:generateContent").unwrap();
        assert_eq!(target.model.as_deref(), Some("gemini-2.5-flash:busy"));
    }

    #[test]
    fn azure_wants_a_dated_version_for_deployments() {
        assert!(at("POST", "/openai/deployments/a/chat/completions").is_none());
        let dated = at("POST", "/openai/deployments/a/chat/completions?api-version=2024-10-21").unwrap();
        assert_eq!((dated.endpoint, dated.azure), (Endpoint::Chat, true));
        assert_eq!(at("POST", "/openai/v1/responses").unwrap().endpoint, Endpoint::Responses);
    }

    #[test]
    fn kept_responses_have_four_verbs() {
        let action = |method, uri| match at(method, uri).map(|target| target.endpoint) {
            Some(Endpoint::Kept { id, action }) => Some((id, action)),
            _ => None,
        };
        let id = || "resp_1".to_owned();
        assert_eq!(action("GET", "/v1/responses/resp_1"), Some((id(), Action::Get)));
        assert_eq!(action("DELETE", "/openai/v1/responses/resp_1"), Some((id(), Action::Delete)));
        assert_eq!(action("POST", "/v1/responses/resp_1/cancel"), Some((id(), Action::Cancel)));
        assert_eq!(action("GET", "/v1/responses/resp_1/input_items"), Some((id(), Action::InputItems)));
    }
}
