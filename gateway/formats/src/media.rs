//! Where the bytes of media are, and of which type they are, for formats that want both said.

use crate::exchange::Source;

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

/// The MIME type: as said, else as the address says, else as the first bytes show.
pub(crate) fn media_type<'r>(said: &'r str, in_address: &'r str, data: &str) -> Option<&'r str> {
    [said, in_address]
        .into_iter()
        .find(|kind| !kind.is_empty())
        .map(|kind| if kind == "image/jpg" { "image/jpeg" } else { kind })
        .or_else(|| sniffed(data))
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
    fn types_come_from_what_is_said_before_what_is_seen() {
        assert_eq!(media_type("image/jpg", "image/png", ""), Some("image/jpeg"));
        assert_eq!(media_type("", "image/png", "/9j/"), Some("image/png"));
        assert_eq!(media_type("", "", "/9j/4AAQ"), Some("image/jpeg"));
        assert_eq!(media_type("", "", "UklGRh"), Some("image/webp"));
        assert_eq!(media_type("", "", "AAAA"), None);
    }
}
