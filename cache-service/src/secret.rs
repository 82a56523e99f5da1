//! Secrets by reference: `${secret:env:NAME}` and `${secret:file:/path}` inside a text.
//!
//! The configuration holds references; they are resolved when the service starts. Neither a secret nor a
//! text without a reference (which is itself a secret) is ever printed.

use std::fmt;

use secrecy::SecretString;
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
    /// The file cannot be read, is empty or too large.
    #[error("secret file {path} cannot be used: {reason}")]
    UnusableFile {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The reference is not of a known form.
    #[error("a secret reference is malformed; use ${{secret:env:NAME}} or ${{secret:file:/path}}")]
    Malformed,
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
            let (reference, tail) = after.split_once('}').ok_or(SecretError::Malformed)?;
            resolved.push_str(before);
            resolved.push_str(&fetch(reference)?);
            rest = tail;
        }
        resolved.push_str(rest);
        Ok(SecretString::from(resolved))
    }
}

impl From<&str> for SecretTemplate {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for SecretTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.contains("${secret:") { &self.0 } else { "***" })
    }
}

fn fetch(reference: &str) -> Result<String, SecretError> {
    match reference.split_once(':') {
        Some(("env", name)) => match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(value),
            _ => Err(SecretError::MissingVariable(name.to_owned())),
        },
        Some(("file", path)) => {
            read_file(path).map_err(|reason| SecretError::UnusableFile { path: path.to_owned(), reason })
        }
        _ => Err(SecretError::Malformed),
    }
}

fn read_file(path: &str) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_SECRET_BYTES {
        return Err(format!("it is larger than {MAX_SECRET_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_file_reference_is_replaced_without_its_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3cret\n").unwrap();
        let template = SecretTemplate(format!("Bearer ${{secret:file:{}}}", file.path().display()));
        assert_eq!(template.resolve().unwrap().expose_secret(), "Bearer s3cret");
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = SecretTemplate::from("${secret:env:TOLLGATE_NO_SUCH_VARIABLE}").resolve();
        assert_eq!(
            missing.unwrap_err(),
            SecretError::MissingVariable("TOLLGATE_NO_SUCH_VARIABLE".to_owned())
        );
        let missing = SecretTemplate::from("${secret:file:/no/such/file}").resolve();
        assert!(matches!(missing, Err(SecretError::UnusableFile { path, .. }) if path == "/no/such/file"));
    }

    #[test]
    fn malformed_references_are_refused_without_printing_the_text() {
        for text in ["${secret:env}", "${secret:vault:x}", "Bearer abc ${secret:env:X"] {
            let error = SecretTemplate::from(text).resolve().unwrap_err();
            assert_eq!(error, SecretError::Malformed, "{text}");
            assert!(!error.to_string().contains("abc"));
        }
    }

    #[test]
    fn a_secret_in_the_clear_does_not_print() {
        assert_eq!(format!("{:?}", SecretTemplate::from("Bearer s3cret")), "***");
    }
}
