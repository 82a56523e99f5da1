//! Secrets by reference: `${secret:env:NAME}` and `${secret:file:/path}`.
//!
//! Invariant: configuration holds the reference, which may be printed; the secret itself exists only
//! between [`resolve`] and the connection that it opens.

use std::path::PathBuf;

use serde::Deserialize;

/// A reference to a secret; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SecretRef(Source);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Env(String),
    File(PathBuf),
}

/// Why a secret is not available.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Not a reference. The text is not repeated: it may be a secret written by mistake.
    #[error("a secret is given as ${{secret:env:NAME}} or ${{secret:file:/path}}, never as text")]
    NotAReference,
    /// The environment variable is not set.
    #[error("the environment variable {0} is not set")]
    Env(String),
    /// The file cannot be read.
    #[error("the secret file {} cannot be read: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
}

impl TryFrom<String> for SecretRef {
    type Error = SecretError;

    fn try_from(text: String) -> Result<Self, SecretError> {
        let inner = text.strip_prefix("${secret:").and_then(|rest| rest.strip_suffix('}'));
        match inner.and_then(|inner| inner.split_once(':')) {
            Some(("env", name)) if !name.is_empty() => Ok(Self(Source::Env(name.to_owned()))),
            Some(("file", path)) if !path.is_empty() => Ok(Self(Source::File(path.into()))),
            _ => Err(SecretError::NotAReference),
        }
    }
}

impl SecretRef {
    /// The secret; a file's trailing line end is not part of it.
    ///
    /// # Errors
    /// When the variable is not set or the file cannot be read.
    pub fn resolve(&self) -> Result<String, SecretError> {
        match &self.0 {
            Source::Env(name) => std::env::var(name).map_err(|_| SecretError::Env(name.clone())),
            Source::File(path) => match std::fs::read_to_string(path) {
                Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
                Err(error) => Err(SecretError::File { path: path.clone(), error }),
            },
        }
    }
}

/// A setting that may be a reference (as in Kafka's properties) or plain text.
///
/// # Errors
/// When it is a reference that cannot be resolved.
pub fn resolve(text: &str) -> Result<String, SecretError> {
    if text.starts_with("${secret:") {
        SecretRef::try_from(text.to_owned())?.resolve()
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_reference_gives_the_files_text_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "pass word\n").unwrap();
        assert_eq!(resolve(&format!("${{secret:file:{}}}", path.display())).unwrap(), "pass word");
        assert_eq!(resolve("plain").unwrap(), "plain");
    }

    #[test]
    fn a_plain_text_is_refused_without_repeating_it() {
        let error = SecretRef::try_from("hunter2".to_owned()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
        assert!(SecretRef::try_from("${secret:vault:x}".to_owned()).is_err());
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = resolve("${secret:env:TOLLGATE_TEST_NOT_SET}").unwrap_err();
        assert_eq!(error.to_string(), "the environment variable TOLLGATE_TEST_NOT_SET is not set");
    }
}
