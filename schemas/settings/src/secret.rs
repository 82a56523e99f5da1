//! Secrets by reference: `${secret:env:NAME}` and `${secret:file:/path}` inside a text.
//!
//! The configuration holds references only: [`crate::plain_secrets`] finds what is not. They are resolved once, when
//! the service starts; the result is a [`SecretString`], which does not print and is wiped when dropped. Text around
//! references is never printed either: it may be a secret written in the clear.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, Serializer};

/// Largest secret file, bytes.
const MAX_SECRET_BYTES: u64 = 64 << 10;

/// How every reference begins.
const OPENING: &str = "${secret:";

/// A text that may hold secret references. Its form is checked when it is read, its secrets are looked for
/// by [`SecretTemplate::resolve`].
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "String"))]
#[serde(try_from = "String")]
pub struct SecretTemplate(Vec<Part>);

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
    File(String),
}

/// Why a secret cannot be resolved. Never holds the secret.
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
    /// A reference is not of a known form. Its text is not repeated: it may be a secret.
    #[error("a secret reference is malformed; use ${{secret:env:NAME}} or ${{secret:file:/path}}")]
    Malformed,
}

impl SecretTemplate {
    /// The text with every reference replaced by its secret.
    ///
    /// # Errors
    /// When a secret is missing.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        let pieces = self.0.iter().map(Part::resolve).collect::<Result<Vec<_>, _>>()?;
        // Allocated once: a text that grows leaves behind copies that are not wiped.
        let length = pieces.iter().map(|piece| piece.expose_secret().len()).sum();
        let mut text = String::with_capacity(length);
        for piece in &pieces {
            text.push_str(piece.expose_secret());
        }
        Ok(SecretString::from(text))
    }

    /// Whether the text holds a reference; a credential without one is written in the clear.
    pub(crate) fn has_reference(&self) -> bool {
        self.0.iter().any(|part| !matches!(part, Part::Text(_)))
    }

    /// Whether the text is one reference and nothing else.
    #[must_use]
    pub fn is_reference(&self) -> bool {
        matches!(self.0.as_slice(), [Part::Variable(_) | Part::File(_)])
    }
}

impl Part {
    fn reference(text: &str) -> Result<Self, SecretError> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Variable(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            _ => Err(SecretError::Malformed),
        }
    }

    fn resolve(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Text(text) => Ok(SecretString::from(text.as_str())),
            Self::Variable(name) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => Ok(SecretString::from(value)),
                _ => Err(SecretError::MissingVariable(name.clone())),
            },
            Self::File(path) => {
                read_file(path).map_err(|reason| SecretError::UnusableFile { path: path.clone(), reason })
            }
        }
    }

    /// As it stands in the file.
    fn source(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Variable(name) => Cow::Owned(format!("{OPENING}env:{name}}}")),
            Self::File(path) => Cow::Owned(format!("{OPENING}file:{path}}}")),
        }
    }
}

impl FromStr for SecretTemplate {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPENING) {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let (reference, tail) = after.split_once('}').ok_or(SecretError::Malformed)?;
            parts.push(Part::reference(reference)?);
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }
}

impl TryFrom<String> for SecretTemplate {
    type Error = SecretError;

    fn try_from(text: String) -> Result<Self, SecretError> {
        text.parse()
    }
}

/// Names under which a template is serialized. They are in no output; [`crate::plain_secrets`] looks at them.
pub(crate) const PLAIN: &str = "plain secret";
const REFERENCE: &str = "secret reference";

/// The text as it stands in the file.
impl Serialize for SecretTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text: String = self.0.iter().map(Part::source).collect();
        serializer.serialize_newtype_struct(if self.has_reference() { REFERENCE } else { PLAIN }, &text)
    }
}

/// Serializes a template that need not be a secret, like the name of a key, so that [`crate::plain_secrets`] lets plain
/// text pass there: for `#[serde(serialize_with = "…")]`.
///
/// # Errors
/// Those of the serializer.
pub fn not_a_secret<S: Serializer>(
    template: &Option<SecretTemplate>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = template.as_ref().map(|template| template.0.iter().map(Part::source).collect::<String>());
    text.serialize(serializer)
}

impl fmt::Debug for SecretTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(_) => f.write_str("***"),
            reference => f.write_str(&reference.source()),
        })
    }
}

fn read_file(path: &str) -> Result<SecretString, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > MAX_SECRET_BYTES {
        return Err(format!("it is larger than {MAX_SECRET_BYTES} bytes"));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| error.to_string())?);
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(SecretString::from(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> SecretTemplate {
        text.parse().unwrap()
    }

    #[test]
    fn a_file_reference_is_replaced_without_its_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "s3 cret\r\n").unwrap();
        let path = file.path().display();
        let template = template(&format!("Bearer ${{secret:file:{path}}}!${{secret:file:{path}}}"));
        assert_eq!(template.resolve().unwrap().expose_secret(), "Bearer s3 cret!s3 cret");
    }

    #[test]
    fn a_text_without_references_is_itself() {
        assert_eq!(template("all").resolve().unwrap().expose_secret(), "all");
        assert_eq!(template("").resolve().unwrap().expose_secret(), "");
        assert!(!template("$secret {x}").has_reference());
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = template("${secret:env:TOLLGATE_NO_SUCH_VARIABLE}").resolve();
        assert_eq!(
            missing.unwrap_err(),
            SecretError::MissingVariable("TOLLGATE_NO_SUCH_VARIABLE".to_owned())
        );
        let missing = template("${secret:file:/no/such/file}").resolve();
        assert!(matches!(missing, Err(SecretError::UnusableFile { path, .. }) if path == "/no/such/file"));
    }

    #[test]
    fn an_empty_secret_file_is_no_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\n").unwrap();
        let error = template(&format!("${{secret:file:{}}}", file.path().display())).resolve().unwrap_err();
        assert!(error.to_string().ends_with("it is empty"), "{error}");
    }

    #[test]
    fn malformed_references_are_refused_without_repeating_the_text() {
        for text in
            ["${secret:env}", "${secret:env:}", "${secret:vault:x}", "Bearer abc ${secret:env:X", "${secret:"]
        {
            let error = text.parse::<SecretTemplate>().unwrap_err();
            assert_eq!(error, SecretError::Malformed, "{text}");
            assert!(!error.to_string().contains("abc"));
        }
    }

    #[test]
    fn references_print_and_the_text_around_them_does_not() {
        assert_eq!(format!("{:?}", template("Bearer s3cret")), "***");
        assert_eq!(format!("{:?}", template("Bearer ${secret:env:KEY}")), "***${secret:env:KEY}");
    }

    #[test]
    fn a_credential_of_references_alone_is_told_from_one_in_the_clear() {
        assert!(template("${secret:env:PASSWORD}").is_reference());
        assert!(template("Bearer ${secret:env:KEY}").has_reference());
        for text in ["hunter2", "", "Bearer ${secret:env:KEY}", "${secret:env:A}${secret:env:B}"] {
            assert!(!template(text).is_reference(), "{text}");
        }
    }

    #[test]
    fn a_template_is_written_as_it_was_read() {
        for text in ["", "plain", "a ${secret:env:B} c ${secret:file:/d} e"] {
            let value = serde_json::to_value(template(text)).unwrap();
            assert_eq!(value, text);
            assert_eq!(serde_json::from_value::<SecretTemplate>(value).unwrap(), template(text));
        }
    }
}
