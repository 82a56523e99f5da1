//! Fields without a place in the common view, by their paths: those that change an answer, and hints.

use super::body::Others;
use crate::exchange::{Extra, Text};

/// Takes over fields that have no place, by their paths below `place`.
pub(super) fn extend<'a>(extras: &mut Vec<Extra<'a>>, others: Others<'a>, place: impl Fn() -> String) {
    extras.extend(
        others
            .into_iter()
            .map(|Extra { name, value }| Extra { name: format!("{}.{name}", place()).into(), value }),
    );
}

/// Takes the fields out of `others` that are hints, by their paths below `place`.
pub(super) fn take_hints<'a>(
    request_hints: &mut Vec<Text<'a>>,
    others: Others<'a>,
    known: &[&str],
    place: impl Fn() -> String,
) -> Others<'a> {
    let (hints, others): (Others<'a>, Others<'a>) =
        others.into_iter().partition(|extra| known.contains(&&*extra.name));
    if !hints.is_empty() {
        note_hints(request_hints, hints, Some(&place()));
    }
    others
}

pub(super) fn note_hints<'a>(noted: &mut Vec<Text<'a>>, hints: Others<'a>, place: Option<&str>) {
    noted.extend(hints.into_iter().map(|Extra { name, .. }| match place {
        Some(place) => format!("{place}.{name}").into(),
        None => name,
    }));
}
