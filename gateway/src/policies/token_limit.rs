//! Tokens per minute: reserved before a backend is called, settled with what was really used.
//!
//! Counting is lazy. Far from the limit the cheap upper bound of a prompt decides exactly as its count
//! would; only when the bound does not fit, or would take more than half of the limit's capacity with it,
//! the prompt is counted.

use bytes::Bytes;
use smallvec::SmallVec;
use tollgate_crossing::{ClientFormat, prompt};
use tollgate_identity::{Caller, CallerLimit};
use tollgate_limits::{Ask, Balance, LimitExceeded, Limiters, Reservation};

use crate::error::GatewayError;

/// Reservations of one request, one for each limit. Dropped without being settled, all is given back.
#[derive(Debug, Default)]
pub struct Reserved(SmallVec<[Reservation; 2]>);

impl Reserved {
    /// Charges what was really used.
    pub fn settle(self, tokens: u64) {
        for reservation in self.0 {
            reservation.settle(tokens);
        }
    }

    /// Whether nothing is reserved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The limit with the least left, for the client's headers.
    #[must_use]
    pub fn tightest(&self) -> Option<Balance> {
        self.0.iter().map(Reservation::balance).min_by_key(|balance| balance.remaining)
    }
}

/// Reserves the request's tokens under every limit of its caller.
///
/// # Errors
/// The first limit that it does not fit; what the others had reserved is given back.
pub async fn reserve(
    limiters: &Limiters,
    caller: &Caller,
    mut prompt: PromptSize<'_>,
    max_output_tokens: u64,
) -> Result<Reserved, GatewayError> {
    let mut reserved = Reserved::default();
    for limit in &caller.limits {
        let completion = completion_share(max_output_tokens, limit.rule.tokens_per_minute);
        reserved.0.push(reserve_one(limiters, limit, &mut prompt, completion).await?);
    }
    Ok(reserved)
}

/// Reserves an estimate for a request whose prompt cannot be counted before it is sent: never more than a quarter
/// of a limit, and something even where nothing is known, so that a used-up limit refuses it.
///
/// # Errors
/// As [`reserve`].
pub async fn reserve_estimate(
    limiters: &Limiters,
    caller: &Caller,
    tokens: u64,
) -> Result<Reserved, GatewayError> {
    let mut reserved = Reserved::default();
    for limit in &caller.limits {
        let tokens = completion_share(tokens, limit.rule.tokens_per_minute).max(1);
        let ask = Ask { tokens, keep_free: 0 };
        let reservation = limiters.reserve(&limit.key, limit.rule, ask).await;
        reserved.0.push(reservation.map_err(|refusal| refused(limit, tokens, &refusal))?);
    }
    Ok(reserved)
}

async fn reserve_one(
    limiters: &Limiters,
    limit: &CallerLimit,
    prompt: &mut PromptSize<'_>,
    completion: u64,
) -> Result<Reservation, GatewayError> {
    if prompt.exact.is_none() {
        let ask = Ask { tokens: prompt.bound + completion, keep_free: limit.rule.tokens_per_minute / 2 };
        if let Ok(reservation) = limiters.reserve(&limit.key, limit.rule, ask).await {
            return Ok(reservation);
        }
    }
    let tokens = Box::pin(prompt.count()).await + completion;
    let ask = Ask { tokens, keep_free: 0 };
    limiters.reserve(&limit.key, limit.rule, ask).await.map_err(|refusal| refused(limit, tokens, &refusal))
}

fn refused(limit: &CallerLimit, tokens: u64, refusal: &LimitExceeded) -> GatewayError {
    let scope = limit.scope.as_str();
    if refusal.too_large {
        return GatewayError::LargerThanLimit { scope, limit: refusal.limit, tokens };
    }
    GatewayError::TokenLimit {
        scope,
        limit: refusal.limit,
        remaining: refusal.remaining,
        retry_after: refusal.retry_after,
    }
}

/// Tokens set aside for the completion: what the request allows, else the default; never more than a
/// quarter of the limit, so that a large allowance that is seldom used does not shut everybody out. What
/// is used beyond that becomes debt when it is settled.
fn completion_share(max_output_tokens: u64, limit: u64) -> u64 {
    max_output_tokens.min(limit / 4)
}

/// A prompt's size: bounded at once, counted when it matters, at most once.
pub struct PromptSize<'a> {
    client: ClientFormat,
    model: &'a str,
    body: &'a Bytes,
    bound: u64,
    exact: Option<u64>,
}

impl<'a> PromptSize<'a> {
    /// Of a request as `model` would read it.
    #[must_use]
    pub fn new(client: ClientFormat, model: &'a str, body: &'a Bytes) -> Self {
        Self { client, model, body, bound: prompt::upper_bound(model, body), exact: None }
    }

    async fn count(&mut self) -> u64 {
        if let Some(exact) = self.exact {
            return exact;
        }
        let exact = prompt::count_anywhere(self.client, self.model, self.body).await.tokens;
        self.exact = Some(exact);
        exact
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_completion_share_follows_the_request_but_never_fills_the_limit() {
        assert_eq!(completion_share(1_000, 100_000), 1_000);
        assert_eq!(completion_share(1_000_000, 4_000), 1_000);
    }
}
