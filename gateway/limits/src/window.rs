//! Over which time a limit counts, and the pure state machine of each kind of window.

use std::time::Duration;

use super::bucket::{self, Bucket};

/// Over which time a limit counts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Window {
    /// A bucket that is refilled without a pause and holds one span's amount.
    Sliding(Span),
}

/// The span of a sliding window.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Span {
    /// 1 s.
    Second,
    /// 60 s.
    Minute,
    /// 3,600 s.
    Hour,
}

impl Window {
    /// Its name in configuration, counter keys and sentences.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sliding(Span::Second) => "second",
            Self::Sliding(Span::Minute) => "minute",
            Self::Sliding(Span::Hour) => "hour",
        }
    }

    /// Time until a counter that holds `free` has all of `amount` again.
    pub(super) fn time_to_fill(self, free: i64, amount: u64) -> Duration {
        match self {
            Self::Sliding(span) => bucket::time_to_fill(span.ms(), free, amount),
        }
    }
}

impl Span {
    const fn ms(self) -> i64 {
        match self {
            Self::Second => 1_000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
        }
    }
}

/// What the owner of a counter knows of it besides the level that requests see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowState {
    Bucket(Bucket),
}

impl WindowState {
    /// Of a counter that nothing was taken from.
    pub(super) fn full(window: Window, amount: u64, now_ms: u64) -> Self {
        match window {
            Window::Sliding(span) => Self::Bucket(Bucket::full(span.ms(), amount, now_ms)),
        }
    }

    /// What the time since the last call adds to the level.
    pub(super) fn refill(&mut self, now_ms: u64, given_back: u64) -> u64 {
        match self {
            Self::Bucket(bucket) => bucket.refill(now_ms, given_back),
        }
    }

    /// Takes over the level that requests see.
    pub(super) fn adopt(&mut self, free: i64) {
        match self {
            Self::Bucket(bucket) => bucket.adopt(free),
        }
    }

    /// The lowest level that is kept: debt beyond it is forgiven.
    pub(super) fn lowest(&self) -> i64 {
        match self {
            Self::Bucket(bucket) => bucket.lowest(),
        }
    }

    /// Forgives the debt beyond [`Self::lowest`].
    pub(super) fn forgive(&mut self) {
        match self {
            Self::Bucket(bucket) => bucket.forgive(),
        }
    }

    /// Changes the amount and keeps what was consumed; answers how far the level moved.
    pub(super) fn set_amount(&mut self, amount: u64) -> i64 {
        match self {
            Self::Bucket(bucket) => bucket.set_amount(amount),
        }
    }

    /// Time until the level is `units` if nothing is taken.
    pub(super) fn time_until(&self, units: u64) -> Duration {
        match self {
            Self::Bucket(bucket) => bucket.time_until(units),
        }
    }

    /// Time until nothing is missing if nothing is taken.
    pub(super) fn time_until_full(&self) -> Duration {
        match self {
            Self::Bucket(bucket) => bucket.time_until_full(),
        }
    }
}
