//! Which of OpenAI's two APIs a conversation goes to: chat completions or Responses. Not every model takes every request
//! in both.

use tollgate_config::{BackendConfig, ConversationApi, TargetConfig};
use tollgate_families::{Api, Traits};
use tollgate_formats::view::View;

use super::client::ClientFormat;
use super::wire::Wire;

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

    /// The API of a request that `client` speaks, to a model with these traits.
    pub(crate) fn wire(self, client: ClientFormat, view: &View<'_>, traits: &Traits) -> Wire {
        match (self.api, traits.api) {
            (Some(ConversationApi::Chat), _) => return Wire::Chat,
            (Some(ConversationApi::Responses), _) => return Wire::Responses,
            (None, _) if !self.serves_responses => return Wire::Chat,
            (None, Api::Chat) => return Wire::Chat,
            (None, Api::Responses) => return Wire::Responses,
            (None, Api::Any) => {}
        }
        let needed = view.tools && traits.tools_need_responses(view.effort);
        match client == ClientFormat::Responses || needed {
            true => Wire::Responses,
            false => Wire::Chat,
        }
    }
}

#[cfg(test)]
mod tests {
    use tollgate_families::{ApiFormat, Effort, Families, Lookup};

    use super::*;

    fn wire(said: Conversations, client: ClientFormat, view: &View<'_>, model: &str) -> Wire {
        let traits = Families::built_in().resolve(&Lookup::new(model, ApiFormat::OpenAi));
        said.wire(client, view, &traits)
    }

    const CHAT: ClientFormat = ClientFormat::Chat;

    fn open() -> Conversations {
        Conversations { api: None, serves_responses: true }
    }

    #[test]
    fn tools_of_a_model_that_thinks_go_to_responses() {
        let view = |tools, effort| View { tools, effort, ..View::default() };
        for (model, tools, effort, expected) in [
            ("gpt-5.6-sol", true, None, Wire::Responses),
            ("gpt-5.6-sol", true, Some(Effort::None), Wire::Chat),
            ("gpt-5.6-sol", false, Some(Effort::High), Wire::Chat),
            ("gpt-5.4", true, None, Wire::Chat),
            ("gpt-5.4", true, Some(Effort::Low), Wire::Responses),
            ("gpt-4.1", true, None, Wire::Chat),
            ("gpt-5.3-codex", false, None, Wire::Responses),
            ("gpt-5-pro", false, None, Wire::Responses),
        ] {
            for client in [CHAT, ClientFormat::Messages] {
                assert_eq!(wire(open(), client, &view(tools, effort), model), expected, "{model} {effort:?}");
            }
        }
    }

    #[test]
    fn the_configuration_decides_before_the_model_does() {
        let view = View { tools: true, ..View::default() };
        let said = |api, serves_responses| Conversations { api, serves_responses };
        let chat = said(Some(ConversationApi::Chat), true);
        assert_eq!(wire(chat, ClientFormat::Responses, &view, "gpt-5.6-sol"), Wire::Chat);
        let responses = said(Some(ConversationApi::Responses), true);
        assert_eq!(wire(responses, CHAT, &View::default(), "gpt-4.1"), Wire::Responses);
        assert_eq!(wire(said(None, false), CHAT, &view, "gpt-5.6-sol"), Wire::Chat);
        assert_eq!(wire(open(), ClientFormat::Responses, &View::default(), "gpt-4.1"), Wire::Responses);
    }
}
