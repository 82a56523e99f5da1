//! What a model's name says about how its provider counts: encoding, overhead of messages and tools, images.
//!
//! Names come with all sorts of ornament: a vendor before a slash (`openai/gpt-4o`), a region and vendor before
//! dots (`us.anthropic.claude-…`), a date behind, `ft:` before and an organisation behind, an `@version`.

use std::borrow::Cow;

use tiktoken_rs::tokenizer::{Tokenizer as Reference, get_tokenizer};

use crate::encoding::Encoding;
use crate::estimate::Ratio;
use crate::image::ImageRule;

/// How the providers of a family of models count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Text.
    pub(crate) tokenizer: Tokenizer,
    /// Messages.
    pub(crate) chat: ChatRule,
    /// Tools.
    pub(crate) tools: ToolRule,
    /// Images.
    pub(crate) images: ImageRule,
}

/// How text becomes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tokenizer {
    /// By a public encoding.
    Public(Encoding),
    /// By one that is not here, so from what `o200k_base` makes of the same text. See `estimate.rs` for how far
    /// off that is.
    Estimated(Ratio),
}

/// Tokens around messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChatRule {
    /// Around each message, besides its role and content.
    pub(crate) per_message: u64,
    /// For a `name`, besides its text. -1 with one old model, whose name stands in for the role.
    pub(crate) per_name: i64,
    /// Around the conversation: what begins it, and what begins the reply.
    pub(crate) per_conversation: u64,
    /// The provider has published it, or enough for everybody to see it.
    pub(crate) published: bool,
}

/// Tokens of tool definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToolRule {
    /// Functions are written out in a form of their own; OpenAI's cookbook has numbers that come close to it.
    Cookbook {
        /// For each function.
        per_function: u64,
    },
    /// The JSON text, and an instruction of so many tokens before the first.
    Json {
        /// Once for a request with tools.
        once: u64,
    },
}

/// OpenAI cookbook, "How to count tokens with tiktoken".
const OPENAI_CHAT: ChatRule = ChatRule { per_message: 3, per_name: 1, per_conversation: 3, published: true };
const GUESSED_CHAT: ChatRule =
    ChatRule { per_message: 4, per_name: 1, per_conversation: 4, published: false };

impl Family {
    /// The family of a model, by any name that it goes by. Unknown names count as the newest public encoding
    /// does, but never as exact.
    #[must_use]
    pub fn of(model: &str) -> Self {
        let name = plain_name(model);
        match get_tokenizer(&name).or_else(|| ornamented(&name)) {
            Some(reference) => Self::openai(&name, reference),
            None => Self::estimated(&name),
        }
    }

    /// Whether texts of this family can be counted exactly.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(self.tokenizer, Tokenizer::Public(_))
    }

    /// The encoding that counts, exactly or as the base of an estimate.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        match self.tokenizer {
            Tokenizer::Public(encoding) => encoding,
            Tokenizer::Estimated(_) => Encoding::O200k,
        }
    }

    fn openai(name: &str, reference: Reference) -> Self {
        let encoding = match reference {
            Reference::O200kBase | Reference::O200kHarmony => Encoding::O200k,
            Reference::Cl100kBase => Encoding::Cl100k,
            Reference::P50kBase | Reference::P50kEdit => Encoding::P50k,
            Reference::R50kBase | Reference::Gpt2 => Encoding::R50k,
        };
        let oldest = name == "gpt-3.5-turbo-0301" || name == "gpt-35-turbo-0301";
        let chat =
            if oldest { ChatRule { per_message: 4, per_name: -1, ..OPENAI_CHAT } } else { OPENAI_CHAT };
        let per_function = if encoding == Encoding::O200k { 7 } else { 10 };
        Self {
            tokenizer: Tokenizer::Public(encoding),
            chat,
            tools: ToolRule::Cookbook { per_function },
            images: openai_images(name),
        }
    }

    fn estimated(name: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let (ratio, chat, once, images) = if has(&["claude"]) {
            // Anthropic: "Tool use with Claude", tokens of the system prompt for tools, the largest of them.
            (Ratio::CLAUDE, GUESSED_CHAT, 346, ImageRule::Area)
        } else if has(&["gemini", "gemma"]) {
            let chat = ChatRule { per_message: 0, per_conversation: 1, ..GUESSED_CHAT };
            (Ratio::GEMMA, chat, 0, ImageRule::Crops)
        } else if has(&["llama"]) {
            // The published template: header, role, header's end, two line ends; the message's end.
            let chat = ChatRule { per_message: 4, per_name: 1, per_conversation: 5, published: true };
            (Ratio::LLAMA, chat, 0, ImageRule::Squares)
        } else if has(&["mistral", "mixtral", "ministral", "codestral", "pixtral", "magistral"]) {
            (Ratio::MISTRAL, GUESSED_CHAT, 0, ImageRule::Pixtral)
        } else if name.starts_with("gpt-") || name.starts_with("chatgpt-") {
            // Newer than the reference's list: most probably the encoding of the ones before.
            return Self {
                tokenizer: Tokenizer::Estimated(Ratio::SAME),
                chat: OPENAI_CHAT,
                tools: ToolRule::Cookbook { per_function: 7 },
                images: openai_images(name),
            };
        } else {
            (Ratio::UNKNOWN, GUESSED_CHAT, 0, ImageRule::Tiles { base: 85, tile: 170 })
        };
        Self { tokenizer: Tokenizer::Estimated(ratio), chat, tools: ToolRule::Json { once }, images }
    }
}

/// OpenAI, "Images and vision": which models count tiles, which count patches, and their numbers.
fn openai_images(name: &str) -> ImageRule {
    let name = name.strip_prefix("ft:").unwrap_or(name);
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let newer_small = |size: &str| starts(&["gpt-4.1", "gpt-5"]) && name.contains(size);
    if newer_small("-mini") {
        ImageRule::Patches { permille: 1_620 }
    } else if newer_small("-nano") {
        ImageRule::Patches { permille: 2_460 }
    } else if starts(&["o4-mini"]) {
        ImageRule::Patches { permille: 1_720 }
    } else if starts(&["gpt-4o-mini"]) {
        ImageRule::Tiles { base: 2_833, tile: 5_667 }
    } else if starts(&["gpt-5"]) {
        ImageRule::Tiles { base: 70, tile: 140 }
    } else if starts(&["o1", "o3"]) {
        ImageRule::Tiles { base: 75, tile: 150 }
    } else if starts(&["computer-use"]) {
        ImageRule::Tiles { base: 65, tile: 129 }
    } else {
        ImageRule::Tiles { base: 85, tile: 170 }
    }
}

/// The name without what stands around it, in lower case.
fn plain_name(model: &str) -> Cow<'_, str> {
    let last = model.rsplit('/').next().unwrap_or(model);
    let name = last.split('@').next().unwrap_or(last);
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// Names that the reference's list leaves out: `openai.gpt-oss-120b-1:0`, `o4-…`, `computer-use-preview`.
fn ornamented(name: &str) -> Option<Reference> {
    if let Some((vendor, rest)) = name.split_once('.')
        && vendor == "openai"
    {
        return get_tokenizer(rest);
    }
    let o200k = ["gpt-4.5", "gpt-4o", "gpt-4.1", "computer-use", "o1", "o3", "o4"];
    let cl100k = ["gpt-4-", "gpt-35-", "gpt-3.5-", "text-embedding-3"];
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    if starts(&o200k) {
        Some(Reference::O200kBase)
    } else if starts(&cl100k) {
        Some(Reference::Cl100kBase)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(model: &str, encoding: Encoding) {
        assert_eq!(Family::of(model).tokenizer, Tokenizer::Public(encoding), "{model}");
    }

    #[test]
    fn every_public_family_has_its_encoding() {
        for model in
            ["gpt-4o", "gpt-4o-mini-2024-07-18", "chatgpt-4o-latest", "gpt-4.1-nano", "gpt-4.5-preview"]
        {
            check(model, Encoding::O200k);
        }
        for model in
            ["gpt-5", "gpt-5-mini-2025-08-07", "gpt-5.1-codex", "o1", "o3-mini", "o4-mini", "gpt-oss-120b"]
        {
            check(model, Encoding::O200k);
        }
        for model in ["gpt-4", "gpt-4-0613", "gpt-4-turbo-2024-04-09", "gpt-4-32k", "gpt-3.5-turbo-0125"] {
            check(model, Encoding::Cl100k);
        }
        for model in
            ["text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large", "davinci-002"]
        {
            check(model, Encoding::Cl100k);
        }
        check("text-davinci-003", Encoding::P50k);
        check("text-davinci-edit-001", Encoding::P50k);
        check("davinci", Encoding::R50k);
        check("gpt2", Encoding::R50k);
    }

    #[test]
    fn a_name_is_known_with_all_its_ornament() {
        check("openai/gpt-4o", Encoding::O200k);
        check("azure/openai/GPT-4o-2024-08-06", Encoding::O200k);
        check("openai.gpt-oss-20b-1:0", Encoding::O200k);
        check("ft:gpt-4o-mini-2024-07-18:acme::abc", Encoding::O200k);
        check("gpt-35-turbo", Encoding::Cl100k);
        check("gpt-35-turbo-16k", Encoding::Cl100k);
        assert_eq!(
            Family::of("us.anthropic.claude-sonnet-4-20250514-v1:0"),
            Family::of("claude-3-5-haiku@20241022")
        );
        assert_eq!(Family::of("models/gemini-2.5-pro").images, ImageRule::Crops);
    }

    #[test]
    fn what_is_not_public_is_never_taken_for_public() {
        for model in
            ["claude-sonnet-4", "gemini-2.5-flash", "amazon.titan-text-express-v1", "llama-3.3-70b", "m", ""]
        {
            assert!(!Family::of(model).is_public(), "{model}");
        }
        assert!(!Family::of("gpt-9").is_public(), "a newer model may have a newer encoding");
    }

    #[test]
    fn images_follow_the_family() {
        assert_eq!(Family::of("gpt-4o-mini").images, ImageRule::Tiles { base: 2_833, tile: 5_667 });
        assert_eq!(
            Family::of("ft:gpt-4o-mini-2024-07-18:a").images,
            ImageRule::Tiles { base: 2_833, tile: 5_667 }
        );
        assert_eq!(Family::of("gpt-4.1").images, ImageRule::Tiles { base: 85, tile: 170 });
        assert_eq!(Family::of("gpt-4.1-mini").images, ImageRule::Patches { permille: 1_620 });
        assert_eq!(Family::of("openai/gpt-5").images, ImageRule::Tiles { base: 70, tile: 140 });
        assert_eq!(Family::of("o3").images, ImageRule::Tiles { base: 75, tile: 150 });
    }
}
