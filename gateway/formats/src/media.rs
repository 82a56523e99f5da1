//! Where the bytes of media are, and of which type they are, for formats that want both said.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::exchange::{Media, Part, Source};

/// What stands for a medium that was left out where nothing else of a message is left: without a message the
/// conversation would be another one. `None` if none of these parts is a medium.
pub(crate) fn left_out<'p>(parts: impl IntoIterator<Item = &'p Part<'p>>) -> Option<&'static str> {
    parts.into_iter().find_map(|part| match part {
        Part::Image(_) => Some("[image left out]"),
        Part::Audio(_) => Some("[audio left out]"),
        Part::Document { .. } => Some("[file left out]"),
        _ => None,
    })
}

/// What stands for a part of a kind that only the client's format knows, where it was alone in its message.
pub(crate) const PART_LEFT_OUT: &str = "[part left out]";

/// Where a backend finds the bytes of a medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location<'r> {
    /// In the request, in base64; the MIME type as the address says it, or empty.
    Inline { media_type: &'r str, data: &'r str },
    /// At an address.
    Address(&'r str),
    /// In the provider's file store.
    File(&'r str),
}

/// Where the bytes are; `data:` addresses carry them.
pub(crate) fn locate<'r>(source: &'r Source<'_>) -> Location<'r> {
    match source {
        Source::Base64(data) => Location::Inline { media_type: "", data },
        Source::File(id) => Location::File(id),
        Source::Url(url) => match data_url(url) {
            Some((media_type, data)) => Location::Inline { media_type, data },
            None => Location::Address(url),
        },
    }
}

/// MIME type and base64 text of a `data:` address (RFC 2397); `None` if it is another address.
fn data_url(url: &str) -> Option<(&str, &str)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    let head = head.strip_suffix(";base64")?;
    Some((head.split_once(';').map_or(head, |(media_type, _)| media_type), data))
}

/// The MIME type, without its parameters. What the first bytes show counts more than what is said of pictures and
/// PDF: providers look at the bytes and refuse a picture of another type than they were told. Else it is as said,
/// else as the address says.
pub(crate) fn media_type<'r>(said: &'r str, in_address: &'r str, data: &str) -> Option<&'r str> {
    let said = [said, in_address].into_iter().map(plain).find(|kind| !kind.is_empty());
    let shown = sniffed(data);
    match said {
        None => shown,
        Some(kind) if may_be_mistaken(kind) => shown.filter(|_| is_certain(data)).or(Some(kind)),
        kind => kind,
    }
}

/// A MIME type without its parameters, in the usual word.
fn plain(kind: &str) -> &str {
    match kind.split(';').next().unwrap_or(kind).trim_ascii() {
        "image/jpg" => "image/jpeg",
        plain => plain,
    }
}

/// Whether the bytes may say better: sounds share the first bytes of WebP.
fn may_be_mistaken(kind: &str) -> bool {
    kind.starts_with("image/") || matches!(kind, "application/pdf" | "application/octet-stream")
}

/// Whether the first bytes stand for one type alone; those of WebP do with the four that follow its length.
fn is_certain(data: &str) -> bool {
    !data.starts_with("UklGR") || data.get(12..16) == Some("RUJQ")
}

/// The text of a document whose bytes are here and are text, with its name before it; `None` for every other kind.
pub(crate) fn document_text(media: &Media<'_>, name: Option<&str>) -> Option<String> {
    const LIKE_TEXT: [&str; 5] =
        ["application/json", "application/xml", "application/yaml", "application/x-yaml", "application/toml"];
    let Location::Inline { media_type, data } = locate(&media.source) else { return None };
    let said = if media.media_type.is_empty() { media_type } else { &media.media_type };
    let kind = said.split(';').next().unwrap_or_default().trim();
    let is_text = kind.starts_with("text/") || LIKE_TEXT.contains(&kind);
    let bytes = is_text.then(|| BASE64_STANDARD.decode(data).ok()).flatten()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(match name {
        Some(name) => format!("{name}:\n\n{text}"),
        None => text,
    })
}

/// By the magic bytes, seen through base64.
fn sniffed(data: &str) -> Option<&'static str> {
    const MAGIC: [(&str, &str); 5] = [
        ("iVBORw0KGgo", "image/png"),
        ("/9j/", "image/jpeg"),
        ("R0lGOD", "image/gif"),
        ("UklGR", "image/webp"),
        ("JVBERi0", "application/pdf"),
    ];
    MAGIC.iter().find(|(magic, _)| data.starts_with(magic)).map(|(_, kind)| *kind)
}

/// The MIME type that the ending of an address stands for.
pub(crate) fn by_ending(address: &str) -> Option<&'static str> {
    let path = address.split(['?', '#']).next()?;
    let ending = path.rsplit('/').next()?.rsplit_once('.')?.1;
    const KNOWN: [(&str, &str); 6] = [
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
        ("pdf", "application/pdf"),
    ];
    KNOWN.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known)).map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_addresses_carry_their_bytes() {
        let at = |url: &str| {
            let source = Source::Url(url.to_owned().into());
            format!("{:?}", locate(&source))
        };
        assert_eq!(at("data:image/png;base64,AA=="), r#"Inline { media_type: "image/png", data: "AA==" }"#);
        assert_eq!(at("data:image/png;x=y;base64,AA"), r#"Inline { media_type: "image/png", data: "AA" }"#);
        assert_eq!(at("data:text/plain,hi"), r#"Address("data:text/plain,hi")"#);
        assert_eq!(at("https://x/y.png"), r#"Address("https://x/y.png")"#);
    }

    #[test]
    fn the_text_of_a_document_is_told_with_its_name() {
        let text = |kind: &'static str, data: &'static str, name| {
            let source = Source::Base64(data.into());
            document_text(&Media { media_type: kind.into(), source, cache: None }, name)
        };
        assert_eq!(text("text/csv", "YSxi", Some("a.csv")).unwrap(), "a.csv:\n\na,b");
        assert_eq!(text("text/plain; charset=utf-8", "aGk=", None).unwrap(), "hi");
        assert_eq!(text("application/pdf", "JVBERi0=", None), None);
        assert_eq!(text("text/plain", "/w==", None), None, "no UTF-8");
    }

    #[test]
    fn the_first_bytes_of_pictures_count_more_than_what_is_said() {
        assert_eq!(media_type("image/jpg", "image/png", ""), Some("image/jpeg"));
        assert_eq!(media_type("image/png", "", "/9j/4AAQ"), Some("image/jpeg"));
        assert_eq!(media_type("", "image/png", "/9j/"), Some("image/jpeg"));
        assert_eq!(media_type("image/png", "", "UklGRgAAAABXRUJQVlA4"), Some("image/webp"));
        assert_eq!(media_type("image/png", "", "AAAA"), Some("image/png"));
        assert_eq!(media_type("audio/wav", "", "UklGRgAAAABXQVZF"), Some("audio/wav"));
        assert_eq!(media_type("text/plain; charset=utf-8", "", "JVBERi0"), Some("text/plain"));
        assert_eq!(media_type("", "", "/9j/4AAQ"), Some("image/jpeg"));
        assert_eq!(media_type("", "", "UklGRh"), Some("image/webp"));
        assert_eq!(media_type("", "", "AAAA"), None);
    }
}
