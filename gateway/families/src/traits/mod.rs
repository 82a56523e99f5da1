//! What a family of models takes, in small groups.

mod content;
mod conversation;
mod mistakes;
mod parameters;
mod reasoning;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use content::{
    Cache, CacheMarks, CacheOverrides, Media, MediaOverrides, Structured, StructuredOverrides,
};
pub use conversation::{
    Choice, IdForm, Messages, MessagesOverrides, NameField, NameForm, Prefill, SchemaDialect,
    SchemaDialectOverrides, SystemNote, Tools, ToolsOverrides,
};
pub use parameters::{
    Fate, Output, OutputOverrides, OutputWord, Sampling, SamplingOverrides, SeedWord, Taken,
};
pub use reasoning::{
    Binding, Budget, Forced, Off, Reasoning, ReasoningOverrides, Returned, Shown, Style, Thinks, Thoughts,
    ThoughtsOverrides, When,
};

use crate::effort::Effort;
use crate::group::words;

words! {
    /// Whose models a family belongs to, for rules that an API format must know by name.
    Vendor {
        /// Not known, or without rules of its own.
        Unknown,
        /// OpenAI's models behind its API.
        #[serde(rename = "openai")]
        OpenAi,
        /// OpenAI's open models, on any server.
        GptOss,
        /// Anthropic's Claude.
        Claude,
        /// Google's Gemini.
        Gemini,
        /// Google's open models.
        Gemma,
        /// DeepSeek.
        #[serde(rename = "deepseek")]
        DeepSeek,
        /// Moonshot's Kimi.
        Kimi,
        /// Alibaba's Qwen.
        Qwen,
        /// Z.ai's GLM.
        Glm,
        /// MiniMax.
        #[serde(rename = "minimax")]
        MiniMax,
        /// Mistral.
        Mistral,
        /// xAI's Grok.
        Grok,
        /// Amazon Nova, first generation.
        Nova,
        /// Amazon Nova 2.
        Nova2,
        /// Amazon Titan.
        Titan,
        /// Meta's Llama.
        Llama,
        /// Cohere's Command.
        Command,
        /// AI21's Jamba.
        Jamba,
        /// NVIDIA's Nemotron.
        Nemotron,
        /// Writer's Palmyra.
        Palmyra,
    }
}

words! {
    /// The OpenAI-compatible operation that serves a model.
    Api {
        /// Chat completions and Responses alike.
        Any,
        /// Chat completions alone.
        Chat,
        /// Responses alone; chat completions answer 400 or 404.
        Responses,
    }
}

/// What a model takes. Plain data: resolved once per target, then shared.
#[derive(Debug, Clone, PartialEq)]
pub struct Traits {
    /// Name of the family in the data files or the configuration; `unknown` for a model that none knows.
    pub family: Arc<str>,
    /// Whose models it belongs to.
    pub vendor: Vendor,
    /// Which operation serves it where the format is OpenAI's.
    pub api: Api,
    /// Names of betas that are known where it is served, `*` for any ending; `None` if all pass.
    pub betas: Option<Vec<String>>,
    /// How long an answer may be.
    pub output: Output,
    /// Parameters of sampling.
    pub sampling: Sampling,
    /// How it is told to think.
    pub reasoning: Reasoning,
    /// Thoughts of earlier turns.
    pub thoughts: Thoughts,
    /// Turns of the conversation.
    pub messages: Messages,
    /// Tools.
    pub tools: Tools,
    /// Schemas of tools and answers.
    pub schema: SchemaDialect,
    /// Images, documents, sound.
    pub media: Media,
    /// Answers of a given form.
    pub structured: Structured,
    /// Marks of the prompt cache.
    pub cache: Cache,
}

/// Traits that replace those of the family; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TraitsOverrides {
    /// Whose models it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<Vendor>,
    /// Which operation serves it where the format is OpenAI's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
    /// Names of betas that are known where it is served, `*` for any ending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub betas: Option<Vec<String>>,
    /// How long an answer may be.
    pub output: OutputOverrides,
    /// Parameters of sampling.
    pub sampling: SamplingOverrides,
    /// How it is told to think.
    pub reasoning: ReasoningOverrides,
    /// Thoughts of earlier turns.
    pub thoughts: ThoughtsOverrides,
    /// Turns of the conversation.
    pub messages: MessagesOverrides,
    /// Tools.
    pub tools: ToolsOverrides,
    /// Schemas of tools and answers.
    pub schema: SchemaDialectOverrides,
    /// Images, documents, sound.
    pub media: MediaOverrides,
    /// Answers of a given form.
    pub structured: StructuredOverrides,
    /// Marks of the prompt cache.
    pub cache: CacheOverrides,
}

impl Default for Traits {
    /// Those of a model that nobody knows: whatever an OpenAI-compatible server may take is sent.
    fn default() -> Self {
        Self {
            family: "unknown".into(),
            vendor: Vendor::Unknown,
            api: Api::Any,
            betas: None,
            output: Output::default(),
            sampling: Sampling::default(),
            reasoning: Reasoning::default(),
            thoughts: Thoughts::default(),
            messages: Messages::default(),
            tools: Tools::default(),
            schema: SchemaDialect::default(),
            media: Media::default(),
            structured: Structured::default(),
            cache: Cache::default(),
        }
    }
}

impl TraitsOverrides {
    /// Replaces what these name.
    pub(crate) fn put(&self, into: &mut Traits) {
        if let Some(vendor) = self.vendor {
            into.vendor = vendor;
        }
        if let Some(api) = self.api {
            into.api = api;
        }
        if let Some(betas) = &self.betas {
            into.betas = Some(betas.clone());
        }
        self.output.put(&mut into.output);
        self.sampling.put(&mut into.sampling);
        self.reasoning.put(&mut into.reasoning);
        self.thoughts.put(&mut into.thoughts);
        self.messages.put(&mut into.messages);
        self.tools.put(&mut into.tools);
        self.schema.put(&mut into.schema);
        self.media.put(&mut into.media);
        self.structured.put(&mut into.structured);
        self.cache.put(&mut into.cache);
    }
}

impl Traits {
    /// Whether the model thinks when it is told this effort; `None` for a request that says nothing.
    #[must_use]
    pub fn thinks(&self, effort: Option<Effort>) -> bool {
        self.reasoning.thinks(effort)
    }

    /// Whether tools with this effort must go to Responses: chat completions refuse them, thinking.
    #[must_use]
    pub fn tools_need_responses(&self, effort: Option<Effort>) -> bool {
        self.api == Api::Responses || (self.reasoning.chat_tools_without_effort && self.thinks(effort))
    }

    /// Whether a beta may be sent.
    #[must_use]
    pub fn knows_beta(&self, beta: &str) -> bool {
        let known = |name: &String| match name.strip_suffix('*') {
            Some(start) => beta.starts_with(start),
            None => name == beta,
        };
        self.betas.as_ref().is_none_or(|betas| betas.iter().any(known))
    }
}
