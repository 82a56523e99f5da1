//! Whether settings mean the same as before: the same text, the same secrets, the same files.

use std::path::Path;

use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::secret::SecretTemplate;

/// Largest file that is read for a fingerprint, bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// A hash of settings, of the secrets that they refer to and of files that belong to them. Two that are equal mean
/// the same; a secret that was changed behind its reference makes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of these settings and files. `None` if a secret or file cannot be read: such settings are like no others.
    #[must_use]
    pub fn of(settings: &impl Serialize, files: &[&Path]) -> Option<Self> {
        let mut hash = Sha256::new();
        add(&mut hash, &serde_json::to_value(settings).ok()?)?;
        for path in files {
            if std::fs::metadata(path).ok()?.len() > MAX_FILE_BYTES {
                return None;
            }
            add_bytes(&mut hash, b'f', &std::fs::read(path).ok()?);
        }
        Some(Self(hash.finalize().into()))
    }
}

/// Every part with its kind and length before it, so that no two values look alike.
fn add(hash: &mut Sha256, value: &Value) -> Option<()> {
    match value {
        Value::String(text) => {
            add_bytes(hash, b's', text.as_bytes());
            // Any other text is itself.
            if let Ok(template) = text.parse::<SecretTemplate>()
                && template.has_reference()
            {
                add_bytes(hash, b'r', template.resolve().ok()?.expose_secret().as_bytes());
            }
        }
        Value::Array(items) => {
            add_bytes(hash, b'a', &items.len().to_be_bytes());
            items.iter().try_for_each(|item| add(hash, item))?;
        }
        Value::Object(fields) => {
            add_bytes(hash, b'o', &fields.len().to_be_bytes());
            for (name, field) in fields {
                add_bytes(hash, b'k', name.as_bytes());
                add(hash, field)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            add_bytes(hash, b'v', value.to_string().as_bytes())
        }
    }
    Some(())
}

fn add_bytes(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update(bytes.len().to_be_bytes());
    hash.update(bytes);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_that_was_changed_behind_its_reference_makes_another_fingerprint() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = json!({ "key": format!("${{secret:file:{}}}", file.path().display()) });
        let written = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            Fingerprint::of(&settings, &[]).unwrap()
        };
        let first = written("one");
        assert_ne!(first, written("two"));
        assert_eq!(first, written("one"));
    }

    #[test]
    fn the_content_of_a_file_counts_and_what_cannot_be_read_is_like_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let written = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            Fingerprint::of(&json!({}), &[file.path()]).unwrap()
        };
        assert_ne!(written("one"), written("two"));
        assert_eq!(Fingerprint::of(&json!({}), &["/no/such/file".as_ref()]), None);
        assert_eq!(Fingerprint::of(&json!("${secret:file:/no/such/file}"), &[]), None);
    }

    #[test]
    fn no_two_values_look_alike() {
        let values =
            [json!(["ab", "c"]), json!(["a", "bc"]), json!({ "ab": "c" }), json!("1"), json!(1), json!([])];
        let all: std::collections::HashSet<_> =
            values.iter().map(|value| Fingerprint::of(value, &[]).unwrap()).collect();
        assert_eq!(all.len(), values.len());
    }
}
