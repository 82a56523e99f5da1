//! APIs of backends that are passed through as they are.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tollgate_settings::Mistakes;

use super::Config;
use super::validate::refer;

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
}

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
    let plain = |segment: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
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
    fn every_mistake_of_an_api_has_its_place() {
        let text = "backends: { aws: { format: bedrock, url: 'http://h' } }\n\
                    apis: { one: { path: /x, backend: awz }, two: { path: /x, backend: aws } }\n\
                    products: { p: { models: [], apis: [three] } }\n";
        let config: Config = parse_yaml("t.yaml".as_ref(), text).unwrap();
        let found: Vec<_> = validate(&config)
            .unwrap_err()
            .0
            .into_iter()
            .map(|m| format!("{}: {}", m.path, m.message))
            .collect();
        assert_eq!(found.len(), 3, "{found:#?}");
        assert_eq!(found[0], "apis.one.backend: there is no backend `awz`; did you mean `aws`?");
        assert_eq!(found[1], "apis.two.path: is the same path as apis.one.path");
        assert!(found[2].starts_with("products.p.apis[0]: there is no API `three`"));
    }
}
