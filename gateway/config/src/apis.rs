//! APIs of backends that are passed through as they are.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_settings::Mistakes;

use super::Config;
use super::refer::refer;

/// An API of a backend below a path of the gateway: any verb, any path below it, any query, bytes as they are.
///
/// Where the backend's format and the path are known, usage is read along; other requests are counted with their
/// bytes. Request bodies are streamed and so not bounded in size, unless the backend's credentials sign them
/// (`aws_sigv4`): those are bounded by `server.max_body`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ApiConfig {
    /// Where the gateway serves it, like `/bedrock`. The model API's own paths come first, then the longest path
    /// that fits.
    pub path: String,
    /// Name of the backend. What follows the path is appended to the backend's `url`.
    pub backend: Arc<str>,
    /// What may be called of it, as paths below the gateway's: `/v1/files`, or `/v1/files/*` for all below; anything
    /// else does not exist then. Empty: everything. What is not known to use tokens is metered by requests and bytes
    /// alone, so list the paths of a backend that you do not trust to have no others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

/// Paths that one API may list.
const MAX_ALLOWED: usize = 1_000;

/// What is wrong with the APIs.
pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for (name, api) in &config.apis {
        let path = format!("apis.{name}.path");
        if !is_prefix(&api.path) {
            mistakes
                .add(path, "must start with `/`, not end with it, and have plain segments, like /bedrock");
        } else if let Some(other) = owners.insert(&api.path, name) {
            mistakes.add(path, format!("is the same path as apis.{other}.path"));
        }
        if api.allow.len() > MAX_ALLOWED {
            mistakes.add(format!("apis.{name}.allow"), format!("has more than {MAX_ALLOWED} paths"));
        }
        for (index, allowed) in api.allow.iter().enumerate().filter(|(_, allowed)| !is_allowed_path(allowed))
        {
            mistakes.add(
                format!("apis.{name}.allow[{index}]"),
                format!("`{allowed}` must be a path like /v1/files, or one that ends with /* for all below"),
            );
        }
        refer(mistakes, format!("apis.{name}.backend"), "backend", &api.backend, config.backends.keys());
    }
    for (name, product) in &config.products {
        for (index, api) in product.apis.iter().enumerate() {
            refer(mistakes, format!("products.{name}.apis[{index}]"), "API", api, config.apis.keys());
        }
    }
}

/// Whether requests can be found by it as it stands: unreserved characters only (RFC 3986 §2.3), no empty and no
/// dot segments.
fn is_prefix(path: &str) -> bool {
    is_path_of(path, b"-._~")
}

/// Whether it is a path, or all paths below one, in the spelling that paths are compared in.
fn is_allowed_path(path: &str) -> bool {
    let above = path.strip_suffix("/*").unwrap_or(path);
    (above.is_empty() && path == "/*") || is_path_of(above, b"-._~:@!$&'()+,=")
}

/// Whether its segments are neither empty nor dots, and made of letters, digits and these.
fn is_path_of(path: &str, others: &[u8]) -> bool {
    let plain = |segment: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
        !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(allowed)
    };
    path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain))
}

#[cfg(test)]
mod tests {
    use tollgate_settings::load::parse_yaml;

    use super::super::validate::validate;
    use super::*;

    #[test]
    fn paths_have_plain_segments() {
        for good in ["/bedrock", "/a/b-c_d.e~f/v1"] {
            assert!(is_prefix(good), "{good}");
        }
        for bad in
            ["", "/", "bedrock", "/a/", "//a", "/a//b", "/a/../b", "/.", "/a?b", "/a%2f", "/{x}", "/a b"]
        {
            assert!(!is_prefix(bad), "{bad}");
        }
    }

    #[test]
    fn allowed_paths_are_paths_or_all_below_one() {
        for good in ["/v1/files", "/v1/files/*", "/*", "/v1beta/models/g:countTokens"] {
            assert!(is_allowed_path(good), "{good}");
        }
        for bad in ["", "/", "v1", "/v1/", "/v1/*/x", "/v*", "*", "/a%2Fb", "/a/../b", "/a?b", "/a//*"] {
            assert!(!is_allowed_path(bad), "{bad}");
        }
    }

    #[test]
    fn every_mistake_of_an_api_has_its_place() {
        let text = "backends: { aws: { format: bedrock, url: 'http://h' } }\n\
                    apis: { one: { path: /x, backend: awz }, two: { path: /x, backend: aws, allow: [/ok, no] } }\n\
                    products: { p: { models: [], apis: [three] } }\n";
        let config: Config = parse_yaml("t.yaml".as_ref(), text).unwrap();
        let found: Vec<_> = validate(&config)
            .unwrap_err()
            .0
            .into_iter()
            .map(|m| format!("{}: {}", m.path, m.message))
            .collect();
        assert_eq!(found.len(), 4, "{found:#?}");
        assert_eq!(found[0], "apis.one.backend: there is no backend `awz`; did you mean `aws`?");
        assert_eq!(found[1], "apis.two.path: is the same path as apis.one.path");
        assert!(found[2].starts_with("apis.two.allow[1]: `no` must be a path"));
        assert!(found[3].starts_with("products.p.apis[0]: there is no API `three`"));
    }
}
