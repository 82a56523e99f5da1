//! Families of models that Bedrock serves, as far as Converse leaves parameters to them.
//!
//! The family shows in the id (`us.anthropic.claude-…`, the ARN of a foundation model or inference profile).
//! ARNs of provisioned, imported and application inference profiles do not name their model: they take what
//! Converse itself knows and nothing more.

/// Families with parameters of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Anthropic's: thinking, `top_k`, no parallel calls, the stop text in the answer.
    Claude,
    /// Amazon Nova 2: `reasoningConfig`, `topK`.
    Nova2,
    /// Amazon Nova: `topK`.
    Nova,
    /// OpenAI's open models: `reasoning_effort`.
    GptOss,
    /// Cohere's Command: `k`.
    Command,
    /// Without parameters beyond Converse, or unknown.
    Other,
}

impl Family {
    /// By the model's id.
    pub(super) fn of_model(model: &str) -> Self {
        const KNOWN: [(&str, Family); 5] = [
            ("anthropic.claude", Family::Claude),
            ("amazon.nova-2", Family::Nova2),
            ("amazon.nova", Family::Nova),
            ("openai.gpt-oss", Family::GptOss),
            ("cohere.command", Family::Command),
        ];
        KNOWN.iter().find(|(part, _)| model.contains(part)).map_or(Self::Other, |(_, family)| *family)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_shows_in_ids_of_every_kind() {
        for (model, family) in [
            ("anthropic.claude-3-5-sonnet-20240620-v1:0", Family::Claude),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-sonnet-4-6", Family::Claude),
            ("us.amazon.nova-pro-v1:0", Family::Nova),
            ("us.amazon.nova-2-lite-v1:0", Family::Nova2),
            ("openai.gpt-oss-120b-1:0", Family::GptOss),
            ("cohere.command-r-plus-v1:0", Family::Command),
            ("meta.llama3-70b-instruct-v1:0", Family::Other),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc123", Family::Other),
        ] {
            assert_eq!(Family::of_model(model), family, "{model}");
        }
    }
}
