//! Tokens per minute: reserved before a backend is called, settled with what was really used.
//!
//! Counting is lazy. Far from the limit the cheap upper bound of a prompt decides exactly as its count
//! would; only when the bound does not fit, or would take more than half of the limit's capacity with it,
//! the prompt is counted.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::access::{Caller, CallerLimit};
use crate::error::GatewayError;
use crate::formats::openai::request::ChatRequest;
use crate::limits::{Ask, Balance, LimitExceeded, Limiters, Reservation};
use crate::tokens;

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
    model: &str,
    request: &ChatRequest<'_>,
    default_completion: u64,
) -> Result<Reserved, GatewayError> {
    let mut reserved = Reserved::default();
    let mut prompt = PromptSize::new(model, request);
    for limit in &caller.limits {
        let completion = completion_share(request, default_completion, limit.rule.tokens_per_minute);
        reserved.0.push(reserve_one(limiters, limit, &mut prompt, completion).await?);
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
    let tokens = prompt.count().await + completion;
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
fn completion_share(request: &ChatRequest<'_>, default_completion: u64, limit: u64) -> u64 {
    request.max_completion().unwrap_or(default_completion).min(limit / 4)
}

/// A prompt's size: bounded at once, counted when it matters, at most once.
struct PromptSize<'a> {
    model: &'a str,
    request: &'a ChatRequest<'a>,
    bound: u64,
    exact: Option<u64>,
}

impl<'a> PromptSize<'a> {
    fn new(model: &'a str, request: &'a ChatRequest<'a>) -> Self {
        let bound = request.messages.map_or(0, |raw| tokens::upper_bound(model, raw.get().as_bytes(), None));
        Self { model, request, bound, exact: None }
    }

    async fn count(&mut self) -> u64 {
        if let Some(exact) = self.exact {
            return exact;
        }
        let counted = match self.request.messages {
            Some(raw) => {
                let messages = Bytes::copy_from_slice(raw.get().as_bytes());
                let work = tokens::Work::Chat { messages, tools: None };
                tokens::Counter::shared().count(self.model, work).await.tokens
            }
            None => 0,
        };
        *self.exact.insert(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(body: &str, default: u64, limit: u64) -> u64 {
        completion_share(&ChatRequest::parse(body.as_bytes()).unwrap(), default, limit)
    }

    #[test]
    fn the_completion_share_follows_the_request_but_never_fills_the_limit() {
        assert_eq!(share(r#"{"messages":[]}"#, 1_000, 100_000), 1_000);
        assert_eq!(share(r#"{"messages":[],"max_tokens":50,"n":2}"#, 1_000, 100_000), 100);
        assert_eq!(share(r#"{"messages":[],"max_completion_tokens":1000000}"#, 1_000, 4_000), 1_000);
    }
}
