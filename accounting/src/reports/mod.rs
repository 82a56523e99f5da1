//! What finance reads: sums over the events, and the events behind a sum.
//!
//! Invariants: reports read the events with `FINAL`, so each counts once in its newest version; amounts are
//! exact and are rounded (half to even) only where they are shown; nothing that a caller wrote becomes SQL,
//! because dimensions are a closed set and times are numbers.

pub mod chargeback;
pub mod dimension;
pub mod drill_down;
pub mod period;
pub mod render;

pub use chargeback::{Chargeback, ChargebackRow};
pub use dimension::Dimension;
pub use period::Period;
pub use render::Format;

/// Why a report cannot be made as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// A dimension that does not exist.
    #[error("there is no dimension `{name}`; {hint}")]
    Dimension {
        /// The name as given, at most 64 characters.
        name: String,
        /// The nearest one, or all of them.
        hint: String,
    },
    /// A dimension given twice.
    #[error("the dimension `{0}` is given twice")]
    Twice(&'static str),
    /// A month or time that cannot be read, or a period that ends before it begins.
    #[error("{0}")]
    Period(String),
    /// A format that does not exist.
    #[error("there is no format `{0}`; use table, csv or json")]
    Format(String),
}
