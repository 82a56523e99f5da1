//! Where a call goes that passes through, and what is known of it: the path is brought into one spelling before
//! anybody reads it, so that what is metered is what the backend serves.

use http::{Method, Uri};
use tollgate_crossing::known::Known;
use tollgate_crossing::path::{self, PathFault};
use tollgate_formats::BackendFormat;

/// Where a call goes.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) uri: Uri,
    /// How what it uses is read, where that is known.
    pub(super) known: Option<Known>,
}

/// The address of a call: what follows the API's own path, after the backend's base. `None` if nothing may be called
/// there.
///
/// # Errors
/// When servers would read the path in different ways.
pub(super) fn address(
    format: BackendFormat,
    base: &str,
    allow: &[String],
    method: &Method,
    rest: &str,
    query: Option<&str>,
) -> Result<Option<Address>, PathFault> {
    let mut rest = path::canonical(rest)?;
    if !allow.is_empty() && !path::is_allowed(allow.iter().map(String::as_str), &rest) {
        return Ok(None);
    }
    let Some(plain) = joined(base, &rest, query) else { return Ok(None) };
    let known = Known::of(format, method, plain.path());
    if known.is_none() || !rest.ends_with('/') {
        return Ok(Some(Address { uri: plain, known }));
    }
    rest.truncate(rest.trim_end_matches('/').len());
    Ok(joined(base, &rest, query).map(|uri| Address { uri, known }))
}

fn joined(base: &str, rest: &str, query: Option<&str>) -> Option<Uri> {
    match query {
        Some(query) => format!("{base}{rest}?{query}"),
        None => format!("{base}{rest}"),
    }
    .parse()
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rest: &str, query: Option<&str>, allow: &[&str]) -> Result<Option<(String, bool)>, PathFault> {
        let allow: Vec<_> = allow.iter().map(|path| (*path).to_owned()).collect();
        let found = address(BackendFormat::OpenAi, "http://h/base", &allow, &Method::POST, rest, query)?;
        Ok(found.map(|address| (address.uri.to_string(), address.known.is_some())))
    }

    #[test]
    fn rest_and_query_follow_the_base() {
        for (rest, query, expected) in [
            ("/model/a%3a0/invoke", None, "http://h/base/model/a%3A0/invoke"),
            ("", None, "http://h/base"),
            ("/", Some(""), "http://h/base/?"),
            ("/a/b/", Some("x=1&x=%20&y"), "http://h/base/a/b/?x=1&x=%20&y"),
            ("/a%2Fb", Some("u=http://x/../y"), "http://h/base/a%2Fb?u=http://x/../y"),
        ] {
            assert_eq!(found(rest, query, &[]), Ok(Some((expected.to_owned(), false))));
        }
        let alone = address(BackendFormat::OpenAi, "http://h", &[], &Method::GET, "", Some("a=1"));
        assert_eq!(alone.unwrap().unwrap().uri, "http://h/?a=1");
    }

    #[test]
    fn a_call_is_known_and_sent_alike_however_its_path_is_spelled() {
        for rest in
            ["/chat/completions", "/chat/%63ompletions", "/chat/completions/", "/%63hat/complet%69ons"]
        {
            let expected = ("http://h/base/chat/completions".to_owned(), true);
            assert_eq!(found(rest, None, &[]), Ok(Some(expected)), "{rest}");
        }
        assert_eq!(found("/chat//completions", None, &[]), Err(PathFault::Empty));
        assert_eq!(found("/chat/completions;x", None, &[]), Err(PathFault::Parameters));
        assert_eq!(found("/a%2F..%2Fb", None, &[]), Err(PathFault::Dots));
    }

    #[test]
    fn an_api_that_lists_its_paths_has_no_others() {
        let allow = ["/files/*", "/embeddings"];
        assert_eq!(
            found("/files/f_1", None, &allow),
            Ok(Some(("http://h/base/files/f_1".to_owned(), false)))
        );
        assert_eq!(
            found("/embeddings/", None, &allow),
            Ok(Some(("http://h/base/embeddings".to_owned(), true)))
        );
        for other in ["/files", "/chat/completions", "/files%2Ff_1", ""] {
            assert_eq!(found(other, None, &allow), Ok(None), "{other}");
        }
    }
}
