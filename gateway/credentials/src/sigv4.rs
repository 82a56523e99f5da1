//! AWS Signature Version 4: canonical request, string to sign, signing key, signature. Pure.
//!
//! After "Create a signed AWS API request" of AWS's documentation. The canonical path encodes the path *as
//! sent* once more, as every service but S3 wants it: a model id with `:` that travels as `%3A` is signed
//! as `%253A`, one that travels as `:` is signed as `%3A`.

use std::borrow::Cow;

use http::header::{CONTENT_TYPE, HOST};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::{digest, hmac};

/// Everything but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same in a path.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The moment of a signature: `20150830T123600Z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment(String);

impl Moment {
    /// The moment that is `seconds` after 1970 began; `None` beyond the year 9999.
    pub(crate) fn at(seconds: u64) -> Option<Self> {
        let time = jiff::Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
        Some(Self(time.strftime("%Y%m%dT%H%M%SZ").to_string()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn date(&self) -> &str {
        self.0.split('T').next().unwrap_or_default()
    }
}

/// Where and when a signature is good: `20150830/us-east-1/iam/aws4_request`.
pub(crate) fn scope(date: &str, region: &str, service: &str) -> String {
    format!("{date}/{region}/{service}/aws4_request")
}

/// The key that signs everything of one day, region and service.
pub(crate) fn signing_key(secret: &str, date: &str, region: &str, service: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, derived(secret, date, region, service).as_ref())
}

fn derived(secret: &str, date: &str, region: &str, service: &str) -> hmac::Tag {
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let daily = sign(format!("AWS4{secret}").as_bytes(), date);
    let regional = sign(daily.as_ref(), region);
    sign(sign(regional.as_ref(), service).as_ref(), "aws4_request")
}

/// A request in its canonical form, hashed, and the names of the headers in it.
pub(crate) struct Canonical {
    /// `content-type;host;x-amz-date`.
    pub(crate) signed_headers: String,
    /// SHA-256 of the canonical request, hexadecimal.
    pub(crate) hash: String,
}

/// The canonical form of a request. Its host and `x-amz-*` headers must be set.
pub(crate) fn canonical(head: &Parts, body: &[u8]) -> Canonical {
    let text = canonical_text(head, body);
    Canonical { signed_headers: text.signed_headers, hash: sha256_hex(text.request.as_bytes()) }
}

struct CanonicalText {
    signed_headers: String,
    request: String,
}

fn canonical_text(head: &Parts, body: &[u8]) -> CanonicalText {
    let mut names: Vec<&str> =
        head.headers.keys().map(http::HeaderName::as_str).filter(|name| is_signed(name)).collect();
    names.sort_unstable();
    let mut headers = String::new();
    for name in &names {
        headers.push_str(name);
        headers.push(':');
        for (index, value) in head.headers.get_all(*name).iter().enumerate() {
            if index > 0 {
                headers.push(',');
            }
            push_trimmed(&mut headers, &String::from_utf8_lossy(value.as_bytes()));
        }
        headers.push('\n');
    }
    let signed_headers = names.join(";");
    let request = format!(
        "{}\n{}\n{}\n{headers}\n{signed_headers}\n{}",
        head.method,
        canonical_path(head.uri.path()),
        canonical_query(head.uri.query().unwrap_or_default()),
        sha256_hex(body),
    );
    CanonicalText { signed_headers, request }
}

/// Headers that the signature covers: those that AWS demands. Others may be changed on the way.
fn is_signed(name: &str) -> bool {
    name == HOST.as_str() || name == CONTENT_TYPE.as_str() || name.starts_with("x-amz-")
}

/// Without spaces around, and with single ones within.
fn push_trimmed(text: &mut String, value: &str) {
    for (index, word) in value.split_ascii_whitespace().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
}

fn canonical_path(path: &str) -> String {
    utf8_percent_encode(&normalized(path), RESERVED_IN_PATH).to_string()
}

/// Without empty and dot segments (RFC 3986 §6.2.2.3).
fn normalized(path: &str) -> Cow<'_, str> {
    if !path.is_empty() && !path.contains("//") && !path.contains("/.") {
        return Cow::Borrowed(path);
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut normal = format!("/{}", segments.join("/"));
    if normal.len() > 1 && (path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..")) {
        normal.push('/');
    }
    Cow::Owned(normal)
}

fn canonical_query(query: &str) -> String {
    let encode = |text: &str| {
        let decoded: Vec<u8> = percent_decode_str(text).collect();
        percent_encoding::percent_encode(&decoded, RESERVED).to_string()
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The signature, hexadecimal.
pub(crate) fn signature(key: &hmac::Key, moment: &Moment, scope: &str, canonical: &Canonical) -> String {
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", moment.as_str(), canonical.hash);
    hex::encode(hmac::sign(key, text.as_bytes()))
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
