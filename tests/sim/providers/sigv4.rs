//! Whether a request is signed as AWS wants it (Signature Version 4, for every service but S3).

use std::fmt::Write as _;

use http::request::Parts;
use sha2::{Digest as _, Sha256};

/// The access key id that signatures must be of; the secret is the backend's key.
pub const ACCESS_KEY_ID: &str = "AKIDSIMULATED";

/// Whether the signature is that of [`ACCESS_KEY_ID`] with this secret.
pub(super) fn fits(head: &Parts, body: &[u8], secret: &str) -> bool {
    verdict(head, body, secret).unwrap_or(false)
}

fn verdict(head: &Parts, body: &[u8], secret: &str) -> Option<bool> {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = text("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let field = |name: &str| {
        authorization.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let (credential, names, signature) = (field("Credential")?, field("SignedHeaders")?, field("Signature")?);
    let scope = credential.strip_prefix(ACCESS_KEY_ID)?.strip_prefix('/')?;
    let date = text("x-amz-date")?;
    let mut scope_parts = scope.split('/');
    let (day, region, service) = (scope_parts.next()?, scope_parts.next()?, scope_parts.next()?);
    if !date.starts_with(day) || !names.split(';').any(|name| name == "host") {
        return Some(false);
    }
    let mut canonical = format!("{}\n{}\n", head.method, encoded_path(head.uri.path()));
    let mut query: Vec<&str> = head.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let _ = writeln!(canonical, "{}", query.join("&"));
    for name in names.split(';') {
        let _ = writeln!(canonical, "{name}:{}", text(name)?.trim());
    }
    let _ = write!(canonical, "\n{names}\n{}", hex::encode(Sha256::digest(body)));
    let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{secret}").into_bytes(), |key, part| hmac(&key, part.as_bytes()));
    Some(hex::encode(hmac(&key, to_sign.as_bytes())) == signature)
}

/// The path with every segment escaped once more.
fn encoded_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 64];
    let hashed = Sha256::digest(key);
    let key = if key.len() > block.len() { hashed.as_slice() } else { key };
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    outer.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(hmac(b"Jefe", b"what do ya want for nothing?")), expected);
    }

    #[test]
    fn unsigned_requests_do_not_fit() {
        let (head, ()) = http::Request::get("/model/m/converse").body(()).unwrap().into_parts();
        assert!(!fits(&head, b"{}", "secret"));
    }
}
