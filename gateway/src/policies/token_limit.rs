//! Limits on use: reserved before a backend is called, settled with what was really used.

use bytes::Bytes;
use tollgate_crossing::{ClientFormat, prompt};
use tollgate_identity::Caller;
use tollgate_limits::{Input, Limiters, Reservation};

use crate::error::GatewayError;

/// Reserves the request's prompt and completion under every limit of its caller.
///
/// # Errors
/// The first limit that it does not fit; what the others had reserved is given back.
pub async fn reserve(
    limiters: &Limiters,
    caller: &Caller,
    prompt: PromptSize<'_>,
    max_output_tokens: u64,
) -> Result<Reservation, GatewayError> {
    Ok(limiters.reserve(&caller.limits, &prompt, max_output_tokens).await?)
}

/// Reserves an estimate for a request whose prompt cannot be counted before it is sent.
///
/// # Errors
/// As [`reserve`].
pub async fn reserve_estimate(
    limiters: &Limiters,
    caller: &Caller,
    tokens: u64,
) -> Result<Reservation, GatewayError> {
    Ok(limiters.reserve_estimate(&caller.limits, tokens).await?)
}

/// The size of a prompt as the tokenizer of a model sees it. Nothing is scanned until a limit asks for it.
pub struct PromptSize<'a> {
    client: ClientFormat,
    model: &'a str,
    body: &'a Bytes,
}

impl<'a> PromptSize<'a> {
    /// Of a request as `model` would read it.
    #[must_use]
    pub const fn new(client: ClientFormat, model: &'a str, body: &'a Bytes) -> Self {
        Self { client, model, body }
    }
}

impl Input for PromptSize<'_> {
    fn at_most(&self) -> u64 {
        prompt::upper_bound(self.model, self.body)
    }

    async fn count(&self) -> u64 {
        prompt::count_anywhere(self.client, self.model, self.body).await.tokens
    }
}
