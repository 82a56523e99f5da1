//! What a format cannot carry: refused, or left out and named.

use std::borrow::Cow;

use crate::error::FormatError;

/// What happens to a parameter that the backend's format has no place for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnUnmappable {
    /// The request is refused.
    #[default]
    Reject,
    /// The parameter is left out and named in a header of the answer.
    Drop,
}

/// Collects what was left out of one request.
#[derive(Debug, Default)]
pub struct Unmapped {
    policy: OnUnmappable,
    dropped: Vec<Cow<'static, str>>,
}

/// Parameters of clients' formats that only help a provider along or label a request, whoever has no place for them:
/// no answer is another one without them.
const HINTS: [&str; 12] = [
    "client_metadata",
    "context_management",
    "include",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "stream_options",
    "text.verbosity",
    "user",
    "verbosity",
];

/// Most names that are kept; a request can have any number of unknown fields.
const MOST_NAMES: usize = 32;

impl Unmapped {
    /// With this policy.
    #[must_use]
    pub fn new(policy: OnUnmappable) -> Self {
        Self { policy, dropped: Vec::new() }
    }

    /// `param` of the client's request has no place in the backend's format, and the answer does not depend on it:
    /// it is left out and named, whatever the policy.
    pub fn hint(&mut self, param: impl Into<Cow<'static, str>>) {
        let param = param.into();
        if self.dropped.len() < MOST_NAMES && !self.dropped.contains(&param) {
            self.dropped.push(param);
        }
    }

    /// `param` of the client's request has no place in the backend's format, and the answer would be another one
    /// without it.
    ///
    /// # Errors
    /// [`FormatError::Unsupported`] unless the policy says to leave it out.
    pub fn param(&mut self, param: impl Into<Cow<'static, str>>) -> Result<(), FormatError> {
        let param = param.into();
        if self.policy == OnUnmappable::Reject && !HINTS.contains(&&*param) {
            return Err(FormatError::Unsupported { param });
        }
        self.hint(param);
        Ok(())
    }

    /// As [`Unmapped::param`] for a value that is there.
    ///
    /// # Errors
    /// As [`Unmapped::param`].
    pub fn given<T>(&mut self, param: &'static str, value: Option<&T>) -> Result<(), FormatError> {
        if value.is_some() { self.param(param) } else { Ok(()) }
    }

    /// What was left out, in the order it was met.
    #[must_use]
    pub fn dropped(&self) -> &[Cow<'static, str>] {
        &self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_left_out_and_named_where_a_parameter_is_refused() {
        let mut unmapped = Unmapped::new(OnUnmappable::Reject);
        for hint in HINTS {
            assert!(unmapped.param(hint).is_ok(), "{hint}");
        }
        assert_eq!(unmapped.dropped(), HINTS);
        assert!(unmapped.param("logit_bias").is_err());
        assert!(Unmapped::new(OnUnmappable::Drop).param("logit_bias").is_ok());
    }
}
