//! Secrets by reference: `${secret:env:NAME}` and `${secret:file:/path}` inside a text.
//!
//! The configuration holds references only. They are resolved once when it is loaded; the result is a
//! [`SecretString`], which prints as `***` and is wiped when dropped.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Largest secret file, bytes.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// A text that may hold secret references.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretTemplate(String);

/// Why a secret could not be resolved. Never holds the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set or empty.
    #[error("environment variable {0} is not set; set it or change the reference")]
    MissingVariable(String),
    /// The file cannot be read.
    #[error("secret file {path} cannot be read: {reason}")]
    UnreadableFile {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The reference is not of a known form.
    #[error("`{0}` is not a secret reference; use ${{secret:env:NAME}} or ${{secret:file:/path}}")]
    Malformed(String),
}

impl SecretTemplate {
    /// The text with every reference replaced by its secret.
    ///
    /// # Errors
    /// When a reference is malformed or its secret is missing.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        let mut rest = self.0.as_str();
        let mut resolved = String::new();
        while let Some((before, after)) = rest.split_once("${secret:") {
            resolved.push_str(before);
            let (reference, tail) =
                after.split_once('}').ok_or_else(|| SecretError::Malformed(format!("${{secret:{after}")))?;
            resolved.push_str(fetch(reference)?.expose_secret());
            rest = tail;
        }
        resolved.push_str(rest);
        Ok(SecretString::from(resolved))
    }

    /// Whether the text holds a reference; a credential without one is written in the clear.
    #[must_use]
    pub fn has_reference(&self) -> bool {
        self.0.contains("${secret:")
    }
}

impl fmt::Debug for SecretTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A template without a reference is itself the secret.
        f.write_str(if self.has_reference() { &self.0 } else { "***" })
    }
}

impl From<&str> for SecretTemplate {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

fn fetch(reference: &str) -> Result<SecretString, SecretError> {
    match reference.split_once(':') {
        Some(("env", name)) => match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(SecretString::from(value)),
            _ => Err(SecretError::MissingVariable(name.to_owned())),
        },
        Some(("file", path)) => read_file(path),
        _ => Err(SecretError::Malformed(format!("${{secret:{reference}}}"))),
    }
}

fn read_file(path: &str) -> Result<SecretString, SecretError> {
    let unreadable = |reason: String| SecretError::UnreadableFile { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_SECRET_BYTES {
        return Err(unreadable(format!("it is larger than {MAX_SECRET_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(unreadable("it is empty".to_owned()));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reference_is_replaced_without_its_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let template = SecretTemplate(format!("Bearer ${{secret:file:{}}}", file.path().display()));
        assert_eq!(template.resolve().unwrap().expose_secret(), "Bearer s3cret");
    }

    #[test]
    fn a_missing_variable_is_named() {
        let template = SecretTemplate::from("${secret:env:TOLLGATE_NO_SUCH_VARIABLE}");
        assert_eq!(
            template.resolve().unwrap_err(),
            SecretError::MissingVariable("TOLLGATE_NO_SUCH_VARIABLE".to_owned())
        );
    }

    #[test]
    fn malformed_references_are_refused() {
        for text in ["${secret:env}", "${secret:vault:x}", "Bearer ${secret:env:X"] {
            assert!(matches!(SecretTemplate::from(text).resolve(), Err(SecretError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn a_secret_in_the_clear_does_not_print() {
        assert_eq!(format!("{:?}", SecretTemplate::from("Bearer s3cret")), "***");
    }
}
