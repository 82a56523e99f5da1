//! Quantities: how many tokens, how surely, and how much work may go into finding out.

/// A number of tokens and whether it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Tokens.
    pub tokens: u64,
    /// All of it was counted with the model's own encoding and by published rules.
    pub exact: bool,
}

impl Count {
    /// Nothing, surely.
    pub const ZERO: Self = Self::exactly(0);

    /// A number that is certain.
    #[must_use]
    pub const fn exactly(tokens: u64) -> Self {
        Self { tokens, exact: true }
    }

    /// A number that is not.
    #[must_use]
    pub const fn about(tokens: u64) -> Self {
        Self { tokens, exact: false }
    }
}

impl std::ops::Add for Count {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { tokens: self.tokens.saturating_add(other.tokens), exact: self.exact && other.exact }
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// How much work a call may do. A unit is a look-up in the tables; 4 to 11 ns were measured per unit, least for
/// repetitive texts, most for texts made to miss the processor's caches.
#[derive(Debug, Clone, Copy)]
pub struct Budget(pub(crate) u64);

impl Budget {
    /// Small enough for a thread that serves connections: about 0.3 ms, or 15 KB of prose.
    #[must_use]
    pub const fn inline() -> Self {
        Self(32_000)
    }

    /// For a thread that does nothing else: below 100 ms even on a busy machine, or 3 MB of prose.
    #[must_use]
    pub const fn worker() -> Self {
        Self(8_000_000)
    }
}
