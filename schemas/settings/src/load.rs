//! Reads the file and says precisely what is wrong with it: file, line, column, and what was meant.

use std::path::{Path, PathBuf};
use tollgate_base::names::nearest;

use serde::de::DeserializeOwned;

use crate::mistakes::Mistakes;

/// Exit code of every program for a configuration or command line that cannot be used.
pub const EXIT_CONFIG: u8 = 2;

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
    #[error("{}:{line}:{column}: {message}{}", path.display(), did_you_mean(suggestion.as_deref()))]
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
    #[error("{}:\n  {mistakes}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong, with its place in the file.
        mistakes: Mistakes,
    },
}

/// Reads a YAML file into `T` and checks the whole.
///
/// # Errors
/// When it cannot be read, does not fit (unknown fields are answered with the nearest known one), or has
/// mistakes.
pub fn read_checked<T: DeserializeOwned>(
    path: &Path,
    check: impl FnOnce(&T) -> Result<(), Mistakes>,
) -> Result<T, ConfigError> {
    parse_checked(path, &read_text(path)?, check)
}

/// Reads YAML text that came from `path` and checks the whole.
///
/// # Errors
/// As [`read_checked`].
pub fn parse_checked<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    check: impl FnOnce(&T) -> Result<(), Mistakes>,
) -> Result<T, ConfigError> {
    let config = parse_yaml(path, text)?;
    match check(&config) {
        Ok(()) => Ok(config),
        Err(mistakes) => Err(ConfigError::Invalid { path: path.to_owned(), mistakes }),
    }
}

/// Reads a YAML file into `T`.
///
/// # Errors
/// When it cannot be read or does not fit; unknown fields are answered with the nearest known one.
pub fn read_yaml<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    parse_yaml(path, &read_text(path)?)
}

/// Reads YAML text that came from `path`.
///
/// # Errors
/// As [`read_yaml`].
pub fn parse_yaml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error| malformed(path, &error))
}

/// The text of a configuration file of at most 16 MiB.
///
/// # Errors
/// When it cannot be read or is larger.
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable { path: path.to_owned(), reason };
    let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if length > MAX_FILE_BYTES {
        return Err(unreadable(format!("the file is larger than {MAX_FILE_BYTES} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
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

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// From "unknown field `x`, expected one of a, b" the known name nearest to `x`.
fn suggest(message: &str) -> Option<String> {
    let (unknown, expected) = message.split_once("expected")?;
    let wrong = unknown.split('`').nth(1)?;
    let known = expected.trim_start().trim_start_matches("one of ");
    nearest(wrong, known.split(", ").map(|name| name.trim_matches(['`', ' ']))).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::secret::SecretTemplate;
    use crate::units::Time;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Service {
        listen: String,
        backends: Vec<String>,
        drain: Option<Time>,
        password: Option<SecretTemplate>,
    }

    fn error(text: &str) -> String {
        parse_yaml::<Service>(Path::new("service.yaml"), text).unwrap_err().to_string()
    }

    #[test]
    fn an_unknown_field_is_answered_with_its_place_and_the_nearest_name() {
        let message = error("listen: 127.0.0.1:8080\nbackend: [a]\n");
        assert!(message.starts_with("service.yaml:2:1: "), "{message}");
        assert!(message.ends_with("did you mean `backends`?"), "{message}");
    }

    #[test]
    fn a_name_that_is_like_no_other_has_no_suggestion() {
        let message = error("zzz: 1\n");
        assert!(message.contains("`zzz`") && !message.contains("did you mean"), "{message}");
    }

    #[test]
    fn a_quantity_without_its_unit_is_explained_in_its_place() {
        let message = error("listen: x\ndrain: 30\n");
        assert!(message.starts_with("service.yaml:2:"), "{message}");
        assert!(message.contains("time with its unit"), "{message}");
    }

    #[test]
    fn a_malformed_reference_is_found_in_its_place_and_not_repeated() {
        let message = error("listen: x\npassword: 'hunter2${secret:vault:x}'\n");
        assert!(message.starts_with("service.yaml:2:"), "{message}");
        assert!(message.contains("${secret:env:NAME}") && !message.contains("hunter2"), "{message}");
    }

    #[test]
    fn an_empty_mapping_takes_all_defaults() {
        let service: Service = parse_yaml(Path::new("service.yaml"), "{}").unwrap();
        assert!(service.listen.is_empty() && service.backends.is_empty());
        assert!(service.drain.is_none() && service.password.is_none());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read_yaml::<Service>(Path::new("/nowhere/service.yaml")).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/service.yaml: "), "{error}");
    }

    #[test]
    fn mistakes_come_with_the_file_that_has_them() {
        let check = |_: &Service| {
            let mut mistakes = Mistakes::default();
            mistakes.add("listen", "is empty");
            mistakes.into_result()
        };
        let error = parse_checked(Path::new("service.yaml"), "{}", check).unwrap_err();
        assert_eq!(error.to_string(), "service.yaml:\n  listen: is empty");
    }
}
