//! What is asked of a model.

use serde_json::value::RawValue;

use tollgate_families::{Effort, Thinks, Traits, Vendor};

use super::Text;
use super::content::{CacheMark, Part, Turn, TurnRole};
use super::tool_names::ToolNames;

/// A request for a model's answer. The model's name is not part of it: the alias decides that.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// Instructions of the developer (`system`, `developer`) that stand before the first turn, in order.
    pub system: Vec<SystemText<'a>>,
    /// The conversation. Later instructions are turns of it, in their place.
    pub turns: Vec<Turn<'a>>,
    /// Tools the model may ask for.
    pub tools: Vec<Tool<'a>>,
    /// Whether it may, must or must not ask for one.
    pub tool_choice: Option<ToolChoice<'a>>,
    /// Whether it may ask for several at a time.
    pub parallel_tool_calls: Option<bool>,
    /// How tokens are chosen.
    pub sampling: Sampling<'a>,
    /// Form of the answer.
    pub output: OutputForm<'a>,
    /// How much the model may think first.
    pub reasoning: Option<Reasoning>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the client asked for usage at the end of its stream (formats that always send it say true).
    pub include_usage: bool,
    /// The caller's own name for its user.
    pub end_user: Option<Text<'a>>,
    /// Service tier asked for, in the words of the client's format.
    pub service_tier: Option<Text<'a>>,
    /// Labels of the caller, a JSON object of texts.
    pub metadata: Option<&'a RawValue>,
    /// Betas of Anthropic's API that the client asked for by a header. A format that has another place for them puts those
    /// there that it knows; the rest is left out and named.
    pub betas: Vec<Text<'a>>,
    /// Whether tools were given as OpenAI's old `functions`: the client reads calls only as `function_call`.
    pub legacy_functions: bool,
    /// What the client calls its tools where `tools` has another name for them.
    pub tool_names: ToolNames,
    /// Parameters of the client's format that have no place above, by name. A format that knows one may take
    /// it over; for every other format it is unmappable.
    pub extras: Vec<Extra<'a>>,
    /// What no other format has and the answer does not depend on, by name: left out and named.
    pub hints: Vec<Text<'a>>,
    /// Whether the prompt is marked for the provider's cache where the client set no mark at all.
    pub marks_prompt: bool,
}

impl<'a> Request<'a> {
    /// Tells no tools but those that may be asked for, for a format that tells the one by the other.
    pub fn offer_allowed_tools(&mut self) {
        let Some(ToolChoice::Allowed { required, names }) = &mut self.tool_choice else { return };
        let (required, names) = (*required, std::mem::take(names));
        self.tools.retain(|tool| names.contains(&tool.name));
        self.tool_choice = Some(match required {
            _ if self.tools.is_empty() => ToolChoice::None,
            true => ToolChoice::Required,
            false => ToolChoice::Auto,
        });
    }

    /// Adds instructions of the developer where the conversation has come to: what is first said makes up the
    /// system prompt, and everything later stays in its place, so that a prompt begins as it did a turn ago.
    pub fn instruct(&mut self, parts: impl IntoIterator<Item = Part<'a>>) {
        if self.turns.is_empty() {
            self.system.extend(parts.into_iter().filter_map(SystemText::of));
            return;
        }
        let parts: Vec<Part<'a>> = parts.into_iter().collect();
        if !parts.is_empty() {
            self.turns.push(Turn { role: TurnRole::System, name: None, parts });
        }
    }
}

impl Request<'_> {
    /// Names what no other format has and the answer does not depend on, each name once.
    pub fn hint(&mut self, name: &'static str) {
        if !self.hints.iter().any(|known| known == name) {
            self.hints.push(name.into());
        }
    }
}

/// A parameter that only some formats know.
#[derive(Debug, Clone)]
pub struct Extra<'a> {
    /// Its name or path in the client's format: `store`, `messages[3].audio`.
    pub name: Text<'a>,
    /// Its value.
    pub value: &'a RawValue,
}

/// One piece of the developer's instructions.
#[derive(Debug, Clone)]
pub struct SystemText<'a> {
    /// The instruction.
    pub text: Text<'a>,
    /// Where the provider's prompt cache may end a prefix.
    pub cache: Option<CacheMark>,
}

impl<'a> SystemText<'a> {
    fn of(part: Part<'a>) -> Option<Self> {
        match part {
            Part::Text { text, cache } => Some(Self { text, cache }),
            _ => None,
        }
    }
}

/// A tool the model may ask for.
#[derive(Debug, Clone, Default)]
pub struct Tool<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// What it does.
    pub description: Option<Text<'a>>,
    /// JSON Schema of its arguments; `None` if it takes no arguments.
    pub parameters: Option<&'a RawValue>,
    /// Whether arguments must match the schema exactly.
    pub strict: Option<bool>,
    /// Set for a tool that takes free text (OpenAI's `custom`): what its definition says of the text's grammar
    /// (`format`). Its `parameters` describe an object with the text as `input`, for formats without such tools.
    pub custom: Option<CustomTool<'a>>,
    /// Where the provider's prompt cache may end a prefix.
    pub cache: Option<CacheMark>,
}

/// What a tool that takes free text says beyond its name.
#[derive(Debug, Clone, Copy, Default)]
pub struct CustomTool<'a> {
    /// OpenAI's `format` of the text; `None` if any text will do.
    pub format: Option<&'a RawValue>,
}

/// JSON Schema of the arguments of a custom tool where it is told as a function: its text is [`CUSTOM_INPUT`].
pub const CUSTOM_PARAMETERS: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;
/// The argument that holds the text of a custom tool's call.
pub const CUSTOM_INPUT: &str = "input";

/// Whether the model may ask for tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice<'a> {
    /// As it likes.
    Auto,
    /// It must not.
    None,
    /// It must, for any.
    Required,
    /// It must, for this one.
    Named(Text<'a>),
    /// For these alone, of all that are told: so that the tools of a conversation, with which its prompt begins,
    /// stay the same.
    Allowed {
        /// Whether it must ask for one of them.
        required: bool,
        /// Their names.
        names: Vec<Text<'a>>,
    },
}

/// How tokens are chosen.
#[derive(Debug, Clone, Default)]
pub struct Sampling<'a> {
    /// Most tokens of the answer, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Temperature on the client's scale (OpenAI 0-2, Anthropic 0-1).
    pub temperature: Option<f64>,
    /// Nucleus.
    pub top_p: Option<f64>,
    /// Most likely tokens considered.
    pub top_k: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<Text<'a>>,
    /// For answers that can be repeated.
    pub seed: Option<i64>,
    /// Penalty on frequent tokens.
    pub frequency_penalty: Option<f64>,
    /// Penalty on tokens that appeared.
    pub presence_penalty: Option<f64>,
    /// Number of answers; only one can be translated.
    pub choices: Option<u64>,
    /// Most likely alternatives to report for each token; `Some(0)` asks for the chosen token's alone.
    pub top_logprobs: Option<u8>,
    /// Bias by token id of the client's tokenizer.
    pub logit_bias: Option<&'a RawValue>,
}

/// Form of the answer.
#[derive(Debug, Clone, Default)]
pub enum OutputForm<'a> {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON that matches a schema.
    JsonSchema {
        /// Name of the form.
        name: Text<'a>,
        /// What it is for.
        description: Option<Text<'a>>,
        /// The JSON Schema.
        schema: &'a RawValue,
        /// Whether the match must be exact.
        strict: Option<bool>,
    },
}

impl OutputForm<'_> {
    /// Whether any JSON object will do.
    #[must_use]
    pub const fn is_any_json(&self) -> bool {
        matches!(self, Self::JsonObject)
    }
}

/// How much a model may think first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// In words.
    pub effort: Option<Effort>,
    /// In tokens.
    pub budget_tokens: Option<u64>,
    /// Whether it is to think, as much as it finds right; a word or a number beside it counts more.
    pub adapts: bool,
    /// Whether thoughts or their summary are wanted in the answer.
    pub show: Option<bool>,
    /// Name of the client's parameter that says so; `None` if it follows from another one.
    pub show_param: Option<&'static str>,
}

impl Reasoning {
    /// The effort that a model is told, by its word or for a number of tokens. One that decides by itself is told
    /// nothing, unless it would not think then.
    #[must_use]
    pub fn wanted(self, traits: &Traits) -> Option<Effort> {
        let has_words = traits.vendor != Vendor::Unknown;
        let is_told = self.adapts && has_words && traits.reasoning.default == Thinks::Off;
        self.effort
            .or_else(|| self.budget_tokens.map(Effort::from_budget))
            .or_else(|| is_told.then_some(Effort::Medium))
    }

    /// Whether the number of tokens is up to the model.
    #[must_use]
    pub fn is_up_to_model(self) -> bool {
        self.adapts && self.effort.is_none() && self.budget_tokens.is_none()
    }

    /// What is said here and missed, by name, where the model `thinks` or not and the answer `shows` thoughts or not.
    pub fn missed(self, thinks: bool, shows: bool) -> impl Iterator<Item = &'static str> {
        let effort = (self.is_up_to_model() && !thinks).then_some("reasoning_effort");
        let show = self.show_param.filter(|_| self.show.is_some_and(|show| show != shows));
        effort.into_iter().chain(show)
    }
}
