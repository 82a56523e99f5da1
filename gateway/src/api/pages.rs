//! Pages of Anthropic's list of models (API reference, "List Models").

use actix_web::web::Query;
use serde::Deserialize;

use crate::error::GatewayError;

/// Most models on a page, and how many there are unless the client says: most clients never ask for a second page.
const MOST_ON_PAGE: usize = 1_000;

#[derive(Deserialize)]
struct Asked {
    limit: Option<usize>,
    after_id: Option<String>,
    before_id: Option<String>,
}

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<'a> {
    pub(super) names: &'a [&'a str],
    /// Whether there are more in the direction that was asked for.
    pub(super) has_more: bool,
}

/// The page of `names` that a query asks for. They are in their order; a name that is not among them has its place
/// there all the same, so that a client can go on after an alias has gone.
///
/// # Errors
/// When the query is not what the API takes.
pub(super) fn page<'a>(names: &'a [&'a str], query: &str) -> Result<Page<'a>, GatewayError> {
    let invalid = |message: &str| GatewayError::invalid_body(message, Some("limit"));
    let whole = || invalid("`limit` must be a number from 1 to 1000");
    let Query(Asked { limit, after_id, before_id }) = Query::from_query(query).map_err(|_| whole())?;
    let limit = limit.unwrap_or(MOST_ON_PAGE);
    if !(1..=MOST_ON_PAGE).contains(&limit) {
        return Err(whole());
    }
    let after = after_id.map(|id| names.partition_point(|name| *name <= &*id));
    let before = before_id.map(|id| names.partition_point(|name| *name < &*id));
    match (after, before) {
        (Some(_), Some(_)) => Err(GatewayError::invalid_body(
            "`after_id` and `before_id` do not go together",
            Some("before_id"),
        )),
        (None, Some(end)) => {
            let start = end.saturating_sub(limit);
            Ok(Page { names: &names[start..end], has_more: start > 0 })
        }
        (start, None) => {
            let start = start.unwrap_or(0);
            let end = names.len().min(start + limit);
            Ok(Page { names: &names[start..end], has_more: end < names.len() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "c/d", "e", "f"];

    fn names(query: &str) -> (String, bool) {
        let page = page(&NAMES, query).unwrap();
        (page.names.join(" "), page.has_more)
    }

    #[test]
    fn a_list_is_walked_in_both_directions() {
        assert_eq!(names(""), ("a b c/d e f".to_owned(), false));
        assert_eq!(names("limit=2"), ("a b".to_owned(), true));
        assert_eq!(names("limit=2&after_id=b"), ("c/d e".to_owned(), true));
        assert_eq!(names("limit=2&after_id=c%2Fd"), ("e f".to_owned(), false));
        assert_eq!(names("limit=2&before_id=e"), ("b c/d".to_owned(), true));
        assert_eq!(names("limit=9&before_id=c%2Fd"), ("a b".to_owned(), false));
        assert_eq!(names("after_id=f"), (String::new(), false));
        assert_eq!(names("after_id=bb&limit=1"), ("c/d".to_owned(), true));
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for query in ["limit=0", "limit=1001", "limit=x", "after_id=a&before_id=f"] {
            let error = page(&NAMES, query).unwrap_err();
            assert_eq!(error.class().status, 400, "{query}");
        }
    }
}
