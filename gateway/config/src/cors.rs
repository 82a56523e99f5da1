//! Which pages of other origins may call the model API from a browser.

use serde::{Deserialize, Serialize};
use tollgate_settings::Mistakes;
use tollgate_settings::units::Time;

use super::seconds;

/// Which pages of other origins may call the model API from a browser (CORS). A page needs a gateway key like any other
/// caller; keys in pages are for internal tools whose users may know them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CorsConfig {
    /// Origins like `https://tools.example.com`, or `*` for all. When empty, no page may call.
    pub origins: Vec<String>,
    /// How long a browser may keep what it was told about what it may ask.
    pub max_age: Time,
}

impl Default for CorsConfig {
    fn default() -> Self {
        Self { origins: Vec::new(), max_age: seconds(600) }
    }
}

impl CorsConfig {
    /// Whether pages of this origin may call.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(origin))
    }
}

/// Checks the origins.
pub(super) fn check(cors: &CorsConfig, mistakes: &mut Mistakes) {
    for (index, origin) in cors.origins.iter().enumerate().filter(|(_, origin)| *origin != "*") {
        let parsed = origin.parse::<http::Uri>().ok();
        let is_origin = parsed.is_some_and(|uri| {
            uri.scheme().is_some() && uri.host().is_some() && uri.path() == "/" && uri.query().is_none()
        });
        if !is_origin || origin.ends_with('/') {
            mistakes.add(
                format!("cors.origins[{index}]"),
                format!("`{origin}` is not an origin like https://tools.example.com, without a path"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str]) -> CorsConfig {
        CorsConfig {
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            ..CorsConfig::default()
        }
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let some = cors(&["https://tools.example.com", "http://localhost:5173"]);
        assert!(some.allows("https://tools.example.com") && some.allows("http://localhost:5173"));
        for other in ["http://tools.example.com", "https://tools.example.com.evil.org", "null", ""] {
            assert!(!some.allows(other), "{other}");
        }
        assert!(!cors(&[]).allows("https://tools.example.com") && cors(&["*"]).allows("https://any"));
    }

    #[test]
    fn what_is_no_origin_is_a_mistake() {
        let found = |origins: &[&str]| {
            let mut mistakes = Mistakes::default();
            check(&cors(origins), &mut mistakes);
            mistakes.0.len()
        };
        assert_eq!(found(&["*", "https://a.example", "http://localhost:3000"]), 0);
        assert_eq!(found(&["a.example", "https://a.example/", "https://a.example/path", "nonsense "]), 4);
    }
}
