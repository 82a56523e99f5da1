//! What leaves no trace in a body and is not named, and why nothing is lost by that.

/// One thing that clients can say.
#[derive(Debug)]
pub(crate) struct Silent {
    /// The title of the client's format.
    pub(crate) client: &'static str,
    /// Names of probes.
    pub(crate) things: &'static [&'static str],
    /// Titles of backends.
    pub(crate) backends: &'static [&'static str],
    pub(crate) why: &'static str,
}

impl Silent {
    pub(crate) fn is_of(&self, client: &str, thing: &str, backend: &str) -> bool {
        self.client == client && self.things.contains(&thing) && self.backends.contains(&backend)
    }
}

const CHAT: &str = "OpenAI Chat Completions";
const RESPONSES: &str = "OpenAI Responses";
const MESSAGES: &str = "Anthropic Messages";
const GEMINI: &str = "Gemini generateContent";
const COMPLETIONS: &str = "OpenAI Completions";

const TO_CHAT: &str = "OpenAI Chat";
const TO_RESPONSES: &str = "OpenAI Responses";
const TO_ANTHROPIC: &str = "Anthropic";
const TO_BEDROCK: &str = "Bedrock";
const TO_GEMINI: &str = "Gemini";

const ADDRESS: &str = "The address of the call says whether the answer is streamed.";
const USAGE: &str = "Every stream is asked for its usage, and the client gets it where it asked for it; nothing else of it has an effect on another provider's stream.";
const CACHES: &str = "The provider caches by itself and has no marks.";
const FOREIGN: &str = "No provider can read thoughts of another one.";
const UNREAD: &str = "The model takes no thoughts back.";
const STRICT: &str = "The provider always holds the answer to the schema.";
const NO_THOUGHTS: &str = "The model does not think anyway.";
const SHOWN: &str = "Thoughts are shown anyway.";
const UNSHOWN: &str = "Thoughts are not shown anyway.";

/// Everything that the tables show as `–`.
pub(crate) const SILENT: &[Silent] = &[
    Silent { client: CHAT, things: &["`stream`"], backends: &[TO_BEDROCK, TO_GEMINI], why: ADDRESS },
    Silent {
        client: CHAT,
        things: &["`stream_options`"],
        backends: &[TO_RESPONSES, TO_ANTHROPIC, TO_BEDROCK, TO_GEMINI],
        why: USAGE,
    },
    Silent {
        client: CHAT,
        things: &["`response_format`: `strict`"],
        backends: &[TO_ANTHROPIC, TO_BEDROCK, TO_GEMINI],
        why: STRICT,
    },
    Silent { client: COMPLETIONS, things: &["`stream`"], backends: &[TO_BEDROCK, TO_GEMINI], why: ADDRESS },
    Silent {
        client: COMPLETIONS,
        things: &["`stream_options`"],
        backends: &[TO_CHAT, TO_RESPONSES, TO_ANTHROPIC, TO_BEDROCK, TO_GEMINI],
        why: USAGE,
    },
    Silent { client: CHAT, things: &["`cache_control`"], backends: &[TO_RESPONSES, TO_GEMINI], why: CACHES },
    Silent {
        client: CHAT,
        things: &["thoughts: `reasoning_content`", "thoughts with another model's proof: `thinking_blocks`"],
        backends: &[TO_RESPONSES, TO_ANTHROPIC, TO_BEDROCK, TO_GEMINI],
        why: FOREIGN,
    },
    Silent { client: RESPONSES, things: &["`stream`"], backends: &[TO_BEDROCK, TO_GEMINI], why: ADDRESS },
    Silent {
        client: RESPONSES,
        things: &["`stream_options`"],
        backends: &[TO_CHAT, TO_ANTHROPIC, TO_BEDROCK, TO_GEMINI],
        why: USAGE,
    },
    Silent {
        client: RESPONSES,
        things: &["`reasoning.effort` `none`"],
        backends: &[TO_CHAT],
        why: NO_THOUGHTS,
    },
    Silent {
        client: RESPONSES,
        things: &["`reasoning.summary` of a model that thinks"],
        backends: &[TO_ANTHROPIC, TO_BEDROCK],
        why: SHOWN,
    },
    Silent {
        client: RESPONSES,
        things: &["`user` beside `safety_identifier`"],
        backends: &[TO_BEDROCK, TO_GEMINI],
        why: "Both name the caller's user, and are left out and named as one.",
    },
    Silent {
        client: RESPONSES,
        things: &["`text.format`: `strict`"],
        backends: &[TO_ANTHROPIC, TO_BEDROCK, TO_GEMINI],
        why: STRICT,
    },
    Silent {
        client: RESPONSES,
        things: &["`tools`: `defer_loading`"],
        backends: &[TO_CHAT, TO_ANTHROPIC, TO_BEDROCK, TO_GEMINI],
        why: "A tool that is put off is offered at once.",
    },
    Silent {
        client: RESPONSES,
        things: &["`include`: thoughts"],
        backends: &[TO_CHAT, TO_ANTHROPIC, TO_BEDROCK, TO_GEMINI],
        why: "Answers bring the proofs of thoughts anyway.",
    },
    Silent {
        client: RESPONSES,
        things: &["thoughts with another model's proof"],
        backends: &[TO_CHAT, TO_ANTHROPIC, TO_BEDROCK, TO_GEMINI],
        why: FOREIGN,
    },
    Silent {
        client: RESPONSES,
        things: &["thoughts with the model's own proof"],
        backends: &[TO_CHAT],
        why: UNREAD,
    },
    Silent { client: MESSAGES, things: &["`stream`"], backends: &[TO_BEDROCK, TO_GEMINI], why: ADDRESS },
    Silent { client: MESSAGES, things: &["`thinking` `disabled`"], backends: &[TO_CHAT], why: NO_THOUGHTS },
    Silent {
        client: MESSAGES,
        things: &["`thinking.display` `summarized`"],
        backends: &[TO_BEDROCK],
        why: SHOWN,
    },
    Silent {
        client: MESSAGES,
        things: &["`thinking.display` `omitted`"],
        backends: &[TO_CHAT],
        why: UNSHOWN,
    },
    Silent {
        client: MESSAGES,
        things: &["`tools`: `cache_control`", "`cache_control` of `system`", "`cache_control` of a block"],
        backends: &[TO_CHAT, TO_RESPONSES, TO_GEMINI],
        why: CACHES,
    },
    Silent {
        client: MESSAGES,
        things: &["thoughts with another model's proof", "`redacted_thinking` of another model"],
        backends: &[TO_CHAT, TO_RESPONSES, TO_BEDROCK, TO_GEMINI],
        why: FOREIGN,
    },
    Silent {
        client: MESSAGES,
        things: &["thoughts with the model's own proof"],
        backends: &[TO_CHAT],
        why: UNREAD,
    },
    Silent {
        client: GEMINI,
        things: &["`thinkingConfig.thinkingBudget` 0"],
        backends: &[TO_CHAT],
        why: NO_THOUGHTS,
    },
    Silent {
        client: GEMINI,
        things: &["`thinkingConfig.includeThoughts`"],
        backends: &[TO_ANTHROPIC, TO_BEDROCK],
        why: SHOWN,
    },
    Silent {
        client: GEMINI,
        things: &["thoughts", "thoughts with another model's proof"],
        backends: &[TO_CHAT, TO_RESPONSES, TO_ANTHROPIC, TO_BEDROCK],
        why: FOREIGN,
    },
];

/// What of [`SILENT`] a client's tables do not show as `–`: the page would give a reason for nothing.
pub(crate) fn unused(seen: &[(&'static str, &'static str, &'static str)]) -> Vec<String> {
    let mut unused = Vec::new();
    for entry in SILENT {
        for thing in entry.things {
            for backend in entry.backends {
                if !seen.contains(&(entry.client, *thing, *backend)) {
                    unused.push(format!(
                        "{}: {thing} to {backend} has a reason to be silent, and is not",
                        entry.client
                    ));
                }
            }
        }
    }
    unused
}
