//! Reads the file and says precisely what is wrong with it: file, line, column, and what was meant.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::validate::Mistakes;

/// Largest configuration file, bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The text is not YAML of the expected form.
    #[error("{}:{line}:{column}: {message}{}", path.display(), suggestion.as_ref().map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1; 0 where unknown.
        line: u64,
        /// Column, from 1; 0 where unknown.
        column: u64,
        /// What is wrong.
        message: String,
        /// What was probably meant.
        suggestion: Option<String>,
    },
    /// The parts do not fit together.
    #[error("{}: {mistakes}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong, with its place in the file.
        mistakes: Mistakes,
    },
}

/// Reads a YAML file into `T`.
///
/// # Errors
/// When it cannot be read or does not fit; unknown fields are answered with the nearest known one.
pub fn read_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(unreadable(format!("the file is larger than {MAX_FILE_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    parse_yaml(path, &text)
}

/// Reads YAML text that came from `path`.
///
/// # Errors
/// As [`read_yaml`].
pub fn parse_yaml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error| malformed(path, &error))
}

/// What is wrong with YAML text that came from `path`, with its place and what was probably meant.
#[must_use]
pub fn malformed(path: &Path, error: &serde_saphyr::Error) -> ConfigError {
    let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
    let message = first_line(&error.without_snippet().to_string());
    let suggestion = suggest(&message);
    ConfigError::Malformed { path: path.to_owned(), line, column, message, suggestion }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    // The place is printed in front, once.
    line.split(" at line ").next().unwrap_or(line).trim().to_owned()
}

/// From "unknown field `x`, expected one of a, b" the known name nearest to `x`.
fn suggest(message: &str) -> Option<String> {
    let (unknown, expected) = message.split_once("expected")?;
    let wrong = unknown.split('`').nth(1)?;
    let known = expected.trim_start().trim_start_matches("one of ");
    nearest(wrong, known.split(", ").map(|name| name.trim_matches(['`', ' ']))).map(str::to_owned)
}

/// The candidate most like `wrong`, when one is alike at all.
#[must_use]
pub fn nearest<'a>(wrong: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn error(text: &str) -> String {
        parse_yaml::<Config>(Path::new("gateway.yaml"), text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_field_is_answered_with_its_line_and_the_nearest_name() {
        let message = error("listen: 127.0.0.1:8080\nbackend:\n  a: {}\n");
        assert!(message.starts_with("gateway.yaml:2:"), "{message}");
        assert!(message.contains("did you mean `backends`?"), "{message}");
    }

    #[test]
    fn a_quantity_without_its_unit_is_explained() {
        let message = error("server:\n  drain: 30\n");
        assert!(message.starts_with("gateway.yaml:2:"), "{message}");
        assert!(message.contains("time with its unit"), "{message}");
    }

    #[test]
    fn an_empty_mapping_is_a_complete_configuration() {
        parse_yaml::<Config>(Path::new("gateway.yaml"), "{}").unwrap();
    }
}
