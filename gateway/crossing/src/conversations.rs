//! Which of OpenAI's two APIs a conversation goes to: chat completions or Responses. Not every model takes every request
//! in both.

use tollgate_config::{BackendConfig, ConversationApi, TargetConfig};
use tollgate_families::{Api, Traits};
use tollgate_formats::view::View;

use super::client::ClientFormat;

/// What the configuration says of a target, before its model does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conversations {
    /// The API that they all go to.
    api: Option<ConversationApi>,
    /// Whether there are Responses at all.
    serves_responses: bool,
}

impl Conversations {
    /// Of a target at this backend.
    #[must_use]
    pub fn of(backend: &BackendConfig, target: &TargetConfig) -> Self {
        Self { api: target.api.or(backend.api), serves_responses: backend.serves_responses() }
    }

    /// Whether a request that `client` speaks goes to Responses, for a model with these traits.
    pub(crate) fn by_responses(self, client: ClientFormat, view: &View<'_>, traits: &Traits) -> bool {
        match (self.api, traits.api) {
            (Some(api), _) => api == ConversationApi::Responses,
            (None, _) if !self.serves_responses => false,
            (None, Api::Chat) => false,
            (None, Api::Responses) => true,
            (None, Api::Any) => {
                let needed = view.tools && traits.tools_need_responses(view.effort);
                client == ClientFormat::Responses || needed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_families::{ApiFormat, Effort, Families, Lookup};

    use super::*;

    fn by_responses(said: Conversations, client: ClientFormat, view: &View<'_>, model: &str) -> bool {
        let traits = Families::built_in().resolve(&Lookup::new(model, ApiFormat::OpenAi));
        said.by_responses(client, view, &traits)
    }

    const CHAT: ClientFormat = ClientFormat::Chat;

    fn open() -> Conversations {
        Conversations { api: None, serves_responses: true }
    }

    #[test]
    fn tools_of_a_model_that_thinks_go_to_responses() {
        let view = |tools, effort| View { tools, effort, ..View::default() };
        for (model, tools, effort, expected) in [
            ("gpt-5.6-sol", true, None, true),
            ("gpt-5.6-sol", true, Some(Effort::None), false),
            ("gpt-5.6-sol", false, Some(Effort::High), false),
            ("gpt-5.4", true, None, false),
            ("gpt-5.4", true, Some(Effort::Low), true),
            ("gpt-4.1", true, None, false),
            ("gpt-5.3-codex", false, None, true),
            ("gpt-5-pro", false, None, true),
        ] {
            for client in [CHAT, ClientFormat::Messages] {
                assert_eq!(
                    by_responses(open(), client, &view(tools, effort), model),
                    expected,
                    "{model} {effort:?}"
                );
            }
        }
    }

    #[test]
    fn the_configuration_decides_before_the_model_does() {
        let view = View { tools: true, ..View::default() };
        let said = |api, serves_responses| Conversations { api, serves_responses };
        let chat = said(Some(ConversationApi::Chat), true);
        assert!(!by_responses(chat, ClientFormat::Responses, &view, "gpt-5.6-sol"));
        let responses = said(Some(ConversationApi::Responses), true);
        assert!(by_responses(responses, CHAT, &View::default(), "gpt-4.1"));
        assert!(!by_responses(said(None, false), CHAT, &view, "gpt-5.6-sol"));
        assert!(by_responses(open(), ClientFormat::Responses, &View::default(), "gpt-4.1"));
    }
}
