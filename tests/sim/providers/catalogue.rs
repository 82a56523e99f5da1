//! Models of the providers, under the names that they have there.

use std::time::Duration;

use super::refuse::Dialect;
use crate::sim::models::Model;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Answers conversations.
    Chat,
    /// The same, and thinks first; refuses some parameters for that.
    Thinker,
    /// Continues a text.
    Completion,
    /// Makes embeddings of so many numbers.
    Embedding,
}

/// A model on offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) model: Model,
    pub(super) dialect: Dialect,
    pub(super) kind: Kind,
}

const fn offer(name: &'static str, dialect: Dialect, kind: Kind) -> Offer {
    let embeds = matches!(kind, Kind::Embedding);
    let model = Model { name, embeds, think: Duration::ZERO, chunk_delay: Duration::ZERO, sentences: (2, 4) };
    Offer { model, dialect, kind }
}

impl Offer {
    /// Whether it is no model of chats: OpenAI serves it in Responses alone.
    pub(super) fn is_of_responses_alone(&self) -> bool {
        self.model.name.contains("codex")
    }

    /// Whether chats with functions are refused unless it is told not to think.
    pub(super) fn thinks_with_tools_in_responses_alone(&self) -> bool {
        self.model.name.starts_with("gpt-5.6")
    }
}

/// Every model.
static OFFERS: [Offer; 14] = [
    offer("gpt-4.1-mini", Dialect::OpenAi, Kind::Chat),
    offer("gpt-5-mini", Dialect::OpenAi, Kind::Thinker),
    offer("gpt-5.6-sol", Dialect::OpenAi, Kind::Thinker),
    offer("gpt-5.3-codex", Dialect::OpenAi, Kind::Thinker),
    offer("gpt-3.5-turbo-instruct", Dialect::OpenAi, Kind::Completion),
    offer("text-embedding-3-small", Dialect::OpenAi, Kind::Embedding),
    offer("claude-sonnet-4-5", Dialect::Anthropic, Kind::Thinker),
    offer("anthropic.claude-sonnet-4-5-20250929-v1:0", Dialect::Bedrock, Kind::Thinker),
    offer("amazon.nova-pro-v1:0", Dialect::Bedrock, Kind::Chat),
    offer("amazon.titan-embed-text-v2:0", Dialect::Bedrock, Kind::Embedding),
    offer("cohere.embed-multilingual-v3", Dialect::Bedrock, Kind::Embedding),
    offer("gemini-2.5-flash", Dialect::Gemini, Kind::Thinker),
    offer("gemini-2.5-flash-lite", Dialect::Gemini, Kind::Chat),
    offer("gemini-embedding-001", Dialect::Gemini, Kind::Embedding),
];

/// The model of that name; what follows it after a colon is the caller's own business.
pub(super) fn find(name: &str) -> Option<&'static Offer> {
    let fits = |offer: &&Offer| {
        name.strip_prefix(offer.model.name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    OFFERS.iter().find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_an_end_of_their_own() {
        let name = |asked| find(asked).map(|offer| offer.model.name);
        assert_eq!(name("amazon.nova-pro-v1:0:busy"), Some("amazon.nova-pro-v1:0"));
        assert_eq!(name("gemini-2.5-flash-lite"), Some("gemini-2.5-flash-lite"));
        assert_eq!(name("gpt-4.1-minimal"), None);
    }
}
