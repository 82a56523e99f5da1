//! What one request reserves: something under every limit that applies to it, or nothing at all.
//!
//! Counting is lazy. Far from a limit the cheap upper bound of a prompt decides exactly as its count would; only
//! when the bound does not fit, or would take more than half of the limit with it, the prompt is counted.

use smallvec::SmallVec;

use super::counter::Hold;
use super::limit::Limit;
use super::meter::{Consumed, Meter};
use super::registry::Limiters;
use super::{Ask, Balance, LimitExceeded};

/// A request's input as limits see it. Each method is called at most once for a reservation, and none when no
/// limit counts input.
pub trait Input {
    /// Tokens that it can be at most, for next to nothing.
    fn at_most(&self) -> u64;

    /// Its tokens.
    fn count(&self) -> impl Future<Output = u64>;
}

/// Known beforehand.
impl Input for u64 {
    fn at_most(&self) -> u64 {
        *self
    }

    async fn count(&self) -> u64 {
        *self
    }
}

/// What one request has taken under each of its limits. Dropped without being settled, it gives all of it back.
#[derive(Debug, Default)]
#[must_use = "a reservation that is dropped is released"]
pub struct Reservation {
    holds: SmallVec<[Hold; 2]>,
}

impl Reservation {
    /// Charges what was really consumed, which may be more than was reserved. What is not charged comes back.
    pub fn settle(self, consumed: &Consumed) {
        for hold in self.holds {
            hold.settle(consumed);
        }
    }

    /// Whether nothing is reserved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// The limit on tokens with the least left, for the client's headers.
    #[must_use]
    pub fn tightest(&self) -> Option<Balance> {
        let balances = self.holds.iter().map(Hold::balance);
        balances.filter(|balance| balance.meter.counts_tokens()).min_by_key(|balance| balance.remaining)
    }
}

/// An input and what is known of it.
struct Sizing<'a, I> {
    input: &'a I,
    at_most: Option<u64>,
    exact: Option<u64>,
}

impl<I: Input> Sizing<'_, I> {
    fn at_most(&mut self) -> u64 {
        *self.at_most.get_or_insert_with(|| self.input.at_most())
    }

    async fn count(&mut self) -> u64 {
        match self.exact {
            Some(exact) => exact,
            None => *self.exact.insert(self.input.count().await),
        }
    }
}

impl Limiters {
    /// Reserves a request's input and up to `max_output` tokens of output under all of `limits`.
    ///
    /// # Errors
    /// The first limit that it does not fit; what the others had reserved is given back.
    pub async fn reserve<I: Input>(
        &self,
        limits: &[Limit],
        input: &I,
        max_output: u64,
    ) -> Result<Reservation, LimitExceeded> {
        let mut input = Sizing { input, at_most: None, exact: None };
        let mut reservation = Reservation::default();
        for limit in limits {
            let output = share(max_output, limit.rule.amount);
            reservation.holds.push(self.reserve_one(limit, &mut input, output).await?);
        }
        Ok(reservation)
    }

    /// Reserves an estimate for a request whose input cannot be counted before it is sent: never more than a quarter
    /// of a limit, and something even where nothing is known, so that a used-up limit refuses it.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub async fn reserve_estimate(
        &self,
        limits: &[Limit],
        tokens: u64,
    ) -> Result<Reservation, LimitExceeded> {
        let mut reservation = Reservation::default();
        for limit in limits {
            let amount = match limit.rule.meter {
                Meter::Requests => 1,
                _ => share(tokens, limit.rule.amount).max(1),
            };
            reservation.holds.push(self.hold(limit, Ask { amount, keep_free: 0 }).await?);
        }
        Ok(reservation)
    }

    async fn reserve_one<I: Input>(
        &self,
        limit: &Limit,
        input: &mut Sizing<'_, I>,
        output: u64,
    ) -> Result<Hold, LimitExceeded> {
        let rule = &limit.rule;
        let amount = |input| rule.meter.reading(&Consumed { input, output });
        if !rule.meter.counts_input() {
            return self.hold(limit, Ask { amount: amount(0), keep_free: 0 }).await;
        }
        if input.exact.is_none() {
            let ask = Ask { amount: amount(input.at_most()), keep_free: rule.amount / 2 };
            if let Ok(hold) = self.hold(limit, ask).await {
                return Ok(hold);
            }
        }
        let exact = Box::pin(input.count()).await;
        self.hold(limit, Ask { amount: amount(exact), keep_free: 0 }).await
    }
}

/// Tokens set aside for the completion: what the request allows, but never more than a quarter of the limit, so that
/// a large allowance that is seldom used does not shut everybody out. What is used beyond that becomes debt when it
/// is settled.
fn share(tokens: u64, limit: u64) -> u64 {
    tokens.min(limit / 4)
}

#[cfg(test)]
#[path = "reservation_tests.rs"]
mod tests;
