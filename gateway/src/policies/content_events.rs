//! Prompts and completions on their own topics, for tenants that opted in. Nothing else in the gateway
//! lets content out.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_base::time::now_ms;
use tollgate_config::ContentConfig;
use tollgate_ledger::ContentMessage;
use tollgate_schemas::content::{COMPLETION_TYPE, CompletionEvent, PROMPT_TYPE, PromptEvent};
use tollgate_schemas::ids::{EventId, RequestId};
use tollgate_schemas::topics::Topic;
use tollgate_schemas::usage::{Payer, UsageEvent};

use crate::books::event::EventContext;
use crate::gateway::Gateway;

/// Publishes a request's body when prompts are published.
pub fn record_prompt(gateway: &Gateway, config: &ContentConfig, context: EventContext<'_>, body: &Bytes) {
    if !config.prompts {
        return;
    }
    let text = String::from_utf8_lossy(body);
    let (body, truncated) = cut(&text, config.max_size.as_usize());
    let payer = context.payer;
    let event = PromptEvent {
        request_id: context.request_id,
        tenant: Arc::clone(&payer.tenant),
        subscription: Arc::clone(&payer.subscription),
        model_requested: context.model_requested.into(),
        api_format: context.api_format.into(),
        body: body.to_owned(),
        truncated,
    };
    publish(gateway, Topic::Prompt, PROMPT_TYPE, context.request_id, payer, &event);
}

/// Publishes one answer when it is complete.
pub struct CompletionRecorder {
    gateway: Arc<Gateway>,
    max_bytes: usize,
}

impl CompletionRecorder {
    /// A recorder when completions are published.
    #[must_use]
    pub fn new(gateway: &Arc<Gateway>, config: &ContentConfig) -> Option<Self> {
        config
            .completions
            .then(|| Self { gateway: Arc::clone(gateway), max_bytes: config.max_size.as_usize() })
    }

    /// Publishes the answer of an attempt.
    pub fn record(self, usage: &UsageEvent, text: &str, beyond: bool, finish_reason: Option<Arc<str>>) {
        let (text, cut_here) = cut(text, self.max_bytes);
        let event = CompletionEvent {
            request_id: usage.request_id,
            event_id: usage.event_id,
            tenant: Arc::clone(&usage.payer.tenant),
            subscription: Arc::clone(&usage.payer.subscription),
            model: Arc::clone(&usage.call.model),
            text: text.to_owned(),
            truncated: beyond || cut_here,
            finish_reason,
        };
        publish(&self.gateway, Topic::Completion, COMPLETION_TYPE, usage.request_id, &usage.payer, &event);
    }
}

fn publish<T: serde::Serialize>(
    gateway: &Gateway,
    topic: Topic,
    kind: &'static str,
    request_id: RequestId,
    payer: &Payer,
    event: &T,
) {
    let Ok(payload) = serde_json::to_vec(event) else { return };
    let message = ContentMessage {
        topic,
        key: request_id.to_string().into(),
        id: EventId::now().0,
        kind,
        time_ms: now_ms(),
        subject: Some(Arc::clone(&payer.subscription)),
        payload: payload.into(),
    };
    if let Err(error) = gateway.ledger.content(message) {
        // Content is shed before usage when the spool runs short; the ledger counts it.
        tracing::debug!(error = %error, topic = topic.name(), "content event shed");
    }
}

/// At most `max` bytes of the text, cut at a character, and whether that cut anything.
fn cut(text: &str, max: usize) -> (&str, bool) {
    if text.len() <= max {
        return (text, false);
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!(cut("aé", 2), ("a", true));
        assert_eq!(cut("aé", 3), ("aé", false));
    }
}
