//! Places in a request, as errors and parameters without a place in the common view name them.

use std::fmt;

use serde_json::value::RawValue;

use crate::error::FormatError;
use crate::exchange::{Extra, Text};

/// Where a block stands; its path is written only when it is needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    message: usize,
    /// The block of the message.
    block: Option<usize>,
    /// The block of a tool's result.
    inner: Option<usize>,
}

impl Place {
    pub(super) const fn message(message: usize) -> Self {
        Self { message, block: None, inner: None }
    }

    pub(super) const fn at(self, index: usize) -> Self {
        match self.block {
            None => Self { block: Some(index), ..self },
            Some(_) => Self { inner: Some(index), ..self },
        }
    }

    pub(super) const fn is_inner(self) -> bool {
        self.inner.is_some()
    }

    pub(super) fn field(self, name: &str) -> String {
        format!("{self}.{name}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "messages[{}]", self.message)?;
        for index in [self.block, self.inner].into_iter().flatten() {
            write!(f, ".content[{index}]")?;
        }
        Ok(())
    }
}

pub(super) fn extra<'a>(name: impl Into<Text<'a>>, value: &'a RawValue) -> Extra<'a> {
    Extra { name: name.into(), value }
}

pub(super) fn missing(path: String) -> FormatError {
    FormatError::Invalid { message: format!("`{path}` is missing"), param: Some(path.into()) }
}
