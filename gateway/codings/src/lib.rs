//! Content codings of HTTP (RFC 9110 §8.4): which ones a message names, its body decoded and encoded piece by piece.
//! Pure: bytes in, bytes out.

use tollgate_base::headers::{Headers, text};

mod decode;
mod encode;

pub use decode::{DecodeError, Decoding, PIECE_BYTES};
pub use encode::Encoding;

/// The codings that are understood, as `Accept-Encoding` names them.
pub const ACCEPTED: &str = "gzip, deflate, br, zstd";
/// Most codings of one message: nobody compresses twice but by mistake, and each one costs memory.
const MOST_CODINGS: usize = 2;
/// Most of a coding's name that is repeated in an error, characters.
const MAX_NAME_CHARS: usize = 64;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 1950; the bare data of RFC 1951 is read too, which some clients send.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

/// A message is in a coding that is not understood, or in too many.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the content coding `{coding}` is not supported; send the body in one of {ACCEPTED}, or as it is")]
pub struct UnsupportedCoding {
    /// What the message names, bounded.
    pub coding: String,
}

impl Coding {
    /// Its registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        let known = [
            ("gzip", Self::Gzip),
            // RFC 9110 §8.4.1.3 asks for this one.
            ("x-gzip", Self::Gzip),
            ("deflate", Self::Deflate),
            ("br", Self::Brotli),
            ("zstd", Self::Zstd),
        ];
        known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, coding)| coding)
    }

    /// Which of `offered` the sender of these headers likes best; the first one among equals, and `None` if it wants the
    /// content as it is.
    #[must_use]
    pub fn preferred(headers: &dyn Headers, offered: &[Self]) -> Option<Self> {
        let mut best: Option<(f32, Self)> = None;
        let values = headers.all("accept-encoding");
        let elements: Vec<(&str, f32)> =
            values.into_iter().filter_map(text).flat_map(|value| value.split(',')).map(weighted).collect();
        for coding in offered {
            let of_it = |element: &&(&str, f32)| Self::of_name(element.0) == Some(*coding);
            let Some((_, weight)) = elements.iter().find(of_it) else { continue };
            if *weight > best.map_or(0.0, |(best, _)| best) {
                best = Some((*weight, *coding));
            }
        }
        best.map(|(_, coding)| coding)
    }
}

/// An element of `Accept-Encoding` and its weight (RFC 9110 §12.4.2).
fn weighted(element: &str) -> (&str, f32) {
    let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
    let weight = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.trim().parse().ok());
    (name.trim(), weight.unwrap_or(0.0))
}

/// The codings of a message in the order in which they were applied; none for a body that is as it is.
///
/// # Errors
/// When one of them is not understood, or there are more than two.
pub fn named(headers: &dyn Headers) -> Result<Vec<Coding>, UnsupportedCoding> {
    let mut codings = Vec::new();
    for value in headers.all("content-encoding") {
        let names = text(value).ok_or_else(|| unsupported(&String::from_utf8_lossy(value)))?;
        for name in names.split(',').map(str::trim) {
            if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                continue;
            }
            codings.push(Coding::of_name(name).ok_or_else(|| unsupported(name))?);
            if codings.len() > MOST_CODINGS {
                return Err(unsupported(names));
            }
        }
    }
    Ok(codings)
}

fn unsupported(name: &str) -> UnsupportedCoding {
    UnsupportedCoding { coding: name.chars().take(MAX_NAME_CHARS).collect() }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        let name = HeaderName::from_static(name);
        values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn codings_are_read_in_the_order_in_which_they_were_applied() {
        let read = |values: &[&'static str]| named(&headers("content-encoding", values));
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&["identity"]), Ok(vec![]));
        assert_eq!(read(&["X-GZIP"]), Ok(vec![Coding::Gzip]));
        assert_eq!(read(&["deflate, br"]), Ok(vec![Coding::Deflate, Coding::Brotli]));
        assert_eq!(read(&["zstd", "identity, gzip"]), Ok(vec![Coding::Zstd, Coding::Gzip]));
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let refused =
            |values: &[&'static str]| named(&headers("content-encoding", values)).unwrap_err().coding;
        assert_eq!(refused(&["gzip, compress"]), "compress");
        assert_eq!(refused(&["gzip, gzip, gzip"]), "gzip, gzip, gzip");
        let error = named(&headers("content-encoding", &["lzma"])).unwrap_err().to_string();
        assert!(error.contains("`lzma`") && error.contains(ACCEPTED), "{error}");
    }

    #[test]
    fn the_coding_that_a_client_likes_best_is_chosen() {
        let offered = [Coding::Zstd, Coding::Brotli, Coding::Gzip];
        let chosen = |value: &'static str| Coding::preferred(&headers("accept-encoding", &[value]), &offered);
        assert_eq!(chosen("gzip, deflate, br, zstd"), Some(Coding::Zstd));
        assert_eq!(chosen("gzip, deflate"), Some(Coding::Gzip));
        assert_eq!(chosen("zstd;q=0, br; q=0.5, gzip;q=0.8"), Some(Coding::Gzip));
        assert_eq!(chosen("identity"), None);
        assert_eq!(chosen("gzip;q=0"), None);
        assert_eq!(chosen("gzip;q=nonsense"), None);
        assert_eq!(Coding::preferred(&HeaderMap::new(), &offered), None);
    }
}
