//! Models and the traits of their families.

use super::*;
use crate::effort::Effort::{self, *};
use crate::lookup::ApiFormat;
use crate::traits::*;

fn at(model: &str, format: ApiFormat) -> Arc<Traits> {
    Families::built_in().resolve(&Lookup::new(model, format))
}

/// In the format of its maker.
fn native(model: &str) -> Arc<Traits> {
    let format = match model {
        _ if model.contains("claude") => ApiFormat::Anthropic,
        _ if model.contains("gemini") => ApiFormat::Gemini,
        _ if model.contains("nova") => ApiFormat::Bedrock,
        _ => ApiFormat::OpenAi,
    };
    at(model, format)
}

#[test]
fn output_bounds_are_those_of_the_model() {
    use OutputWord::{Either, MaxCompletionTokens, MaxTokens};
    for (model, word, required, most) in [
        ("gpt-4o", Either, false, Some(16_384)),
        ("gpt-4.1", Either, false, Some(32_768)),
        ("o4-mini", MaxCompletionTokens, false, Some(100_000)),
        ("gpt-5.4-mini", MaxCompletionTokens, false, Some(128_000)),
        ("claude-3-opus", MaxTokens, true, Some(4_096)),
        ("claude-3-5-sonnet", MaxTokens, true, Some(8_192)),
        ("claude-opus-4-1", MaxTokens, true, Some(32_000)),
        ("claude-sonnet-4-5", MaxTokens, true, Some(64_000)),
        ("claude-opus-5-5", MaxTokens, true, Some(128_000)),
        ("gemini-2.0-flash", MaxTokens, false, Some(8_192)),
        ("gemini-3-flash", MaxTokens, false, Some(65_536)),
        ("deepseek-v4-flash", MaxTokens, false, Some(384_000)),
        ("kimi-k3", Either, false, Option::None),
        ("glm-5.2", MaxTokens, false, Some(131_072)),
        ("mistral-large-4", MaxTokens, false, Option::None),
        ("grok-4.6", Either, false, Option::None),
        ("amazon.nova-pro-v1:0", MaxTokens, false, Some(10_000)),
        ("amazon.nova-2-lite-v1:0", MaxTokens, false, Some(64_000)),
    ] {
        let output = &native(model).output;
        assert_eq!((output.word, output.required, output.most), (word, required, most), "{model}");
    }
}

#[test]
fn efforts_and_defaults_are_those_of_the_model() {
    use Thinks::{Always, Off, On};
    let none: &[Effort] = &[];
    for (model, efforts, default) in [
        ("gpt-4o", none, Off),
        ("o3", &[Low, Medium, High], Always),
        ("gpt-5-nano", &[Minimal, Low, Medium, High], Always),
        ("gpt-5-pro", &[High], Always),
        ("gpt-5.1", &[None, Low, Medium, High], Off),
        ("gpt-5.4", &[None, Low, Medium, High, XHigh], Off),
        ("gpt-5.3-codex", &[None, Low, Medium, High, XHigh], On),
        ("gpt-5.5-pro", &[Medium, High, XHigh], Always),
        ("gpt-5.5", &[None, Low, Medium, High, XHigh], On),
        ("gpt-6-sol", &[None, Low, Medium, High, XHigh, Max], On),
        ("gpt-6.2-terra", &[Low, Medium, High, XHigh, Max], Always),
        ("gpt-5-chat-latest", none, Off),
        ("claude-sonnet-4-5", none, Off),
        ("claude-opus-4-5", &[Low, Medium, High], Off),
        ("claude-sonnet-4-6", &[Low, Medium, High, Max], Off),
        ("claude-opus-4-8", &[Low, Medium, High, XHigh, Max], Off),
        ("claude-sonnet-5", &[Low, Medium, High, XHigh, Max], On),
        ("claude-haiku-5-5", &[Low, Medium, High, XHigh, Max], On),
        ("claude-sonnet-5-5", &[Low, Medium, High, XHigh, Max], Always),
        ("claude-fable-5", &[Low, Medium, High, XHigh, Max], Always),
        ("gemini-2.5-pro", none, Always),
        ("gemini-2.5-flash", none, On),
        ("gemini-2.5-flash-lite", none, Off),
        ("gemini-3-pro", &[Low, High], Always),
        ("gemini-3.6-flash", &[Minimal, Low, Medium, High], Always),
        ("gemini-3.8-flash", &[Low, Medium, High], Always),
        ("gemini-4-neon", &[Low, Medium, High, XHigh], Always),
        ("deepseek-v4-flash", &[Low, High, Max], On),
        ("deepseek-v4-pro", &[High, Max], On),
        ("kimi-k3.1-pro", &[Low, High, Max], Always),
        ("kimi-k2.6", none, On),
        ("qwen4", &[Low, Medium, XHigh], On),
        ("glm-5.2", &[High, Max], On),
        ("glm-5.3", &[Low, High, Max], Always),
        ("mistral-medium-3.5", &[None, High], Off),
        ("mistral-large-4", &[Low, Medium, High], Always),
        ("grok-4.3", &[None, Low, Medium, High], On),
        ("grok-4.7", &[Low, Medium, High], Always),
        ("gpt-oss-120b", &[Low, Medium, High], Always),
        ("amazon.nova-2-lite-v1:0", &[Low, Medium, High], Off),
    ] {
        let reasoning = &native(model).reasoning;
        assert_eq!((&*reasoning.efforts, reasoning.default), (efforts, default), "{model}");
    }
}

#[test]
fn sampling_is_sent_where_the_model_takes_it() {
    for (model, effort, fate) in [
        ("gpt-4o", Option::None, Fate::Send),
        ("gpt-5", Option::None, Fate::Refused),
        ("gpt-5.1", Option::None, Fate::Send),
        ("gpt-5.1", Some(Low), Fate::Refused),
        ("gpt-5.5", Option::None, Fate::Refused),
        ("gpt-5.5", Some(None), Fate::Send),
        ("gpt-6-astra", Some(None), Fate::Refused),
        ("claude-sonnet-4-5", Some(Low), Fate::Refused),
        ("claude-sonnet-4-5", Option::None, Fate::Send),
        ("claude-sonnet-5", Some(None), Fate::Refused),
        ("gemini-3.7-flash", Option::None, Fate::Ignored),
        ("gemini-3-pro", Option::None, Fate::Send),
        ("deepseek-v4-pro", Some(None), Fate::Send),
        ("deepseek-v4-pro", Option::None, Fate::Ignored),
        ("kimi-k3", Option::None, Fate::Refused),
        ("nobody-knows-it", Some(High), Fate::Send),
    ] {
        let traits = native(model);
        assert_eq!(
            traits.sampling.temperature.fate(traits.thinks(effort), false),
            fate,
            "{model} {effort:?}"
        );
    }
    assert!(native("claude-opus-4-1").sampling.temperature_or_top_p);
    assert!(!native("claude-opus-4").sampling.temperature_or_top_p);
    assert_eq!(native("claude-opus-4-8").sampling.temperature.fate(true, true), Fate::Leave);
}

#[test]
fn rules_of_claude_follow_its_version() {
    use Binding::{Model, Prefix};
    use SystemNote::{AfterUser, UserText};
    for (model, off, forced, bound, system, prefill) in [
        ("claude-sonnet-4-5", Off::Disabled, Forced::NotThinking, Model, UserText, Prefill::Continued),
        ("claude-opus-4-6", Off::Disabled, Forced::Taken, Model, UserText, Prefill::Refused),
        ("claude-opus-4-8", Off::Disabled, Forced::Taken, Model, AfterUser, Prefill::Refused),
        ("claude-opus-5", Off::Disabled, Forced::Taken, Model, AfterUser, Prefill::Refused),
        ("claude-fable-5", Off::Cannot, Forced::Taken, Model, AfterUser, Prefill::Refused),
        ("claude-fable-5-1", Off::Cannot, Forced::Refused, Prefix, AfterUser, Prefill::Refused),
        ("claude-sonnet-5-5", Off::BetweenTools, Forced::Refused, Prefix, AfterUser, Prefill::Refused),
        ("claude-unheard-of", Off::Cannot, Forced::Refused, Prefix, AfterUser, Prefill::Refused),
    ] {
        let traits = native(model);
        let found = (
            traits.reasoning.off,
            traits.reasoning.forced_tools,
            traits.thoughts.bound_to,
            traits.messages.system_later,
            traits.messages.prefill,
        );
        assert_eq!(found, (off, forced, bound, system, prefill), "{model}");
    }
    assert_eq!(native("claude-opus-5").reasoning.off_efforts, [Low, Medium, High]);
    assert_eq!(native("claude-opus-4-7").cache.smallest, Some(2_048));
}

#[test]
fn tools_with_thinking_go_to_responses_from_gpt_5_4_on() {
    for (model, effort, needed) in [
        ("gpt-5.2", Some(High), false),
        ("gpt-5.4", Option::None, false),
        ("gpt-5.4", Some(Low), true),
        ("gpt-5.5", Option::None, true),
        ("gpt-5.5", Some(None), false),
        ("gpt-5.3-codex", Some(None), true),
        ("o3-pro", Option::None, true),
        ("gpt-4o", Option::None, false),
    ] {
        assert_eq!(native(model).tools_need_responses(effort), needed, "{model} {effort:?}");
    }
}

#[test]
fn the_same_model_is_asked_in_the_words_of_the_place() {
    let claude = "anthropic/claude-opus-4.8";
    for (format, style, name_most, marks) in [
        (ApiFormat::Anthropic, Style::ClaudeAdaptive, 128, CacheMarks::CacheControl),
        (ApiFormat::Bedrock, Style::ClaudeAdaptive, 64, CacheMarks::CachePoint),
        (ApiFormat::OpenAi, Style::Effort, 64, CacheMarks::None),
    ] {
        let traits = at(claude, format);
        assert_eq!(
            (traits.reasoning.style, traits.tools.name_most, traits.cache.marks),
            (style, name_most, marks),
            "{format:?}"
        );
    }
    let glm = at("glm-5.1", ApiFormat::Anthropic);
    assert_eq!((glm.reasoning.style, glm.reasoning.off), (Style::ClaudeBudget, Off::Disabled));
    let router = Lookup { host: "openrouter.ai", ..Lookup::new(claude, ApiFormat::OpenAi) };
    let router = Families::built_in().resolve(&router);
    assert_eq!(router.thoughts.returned, Returned::ReasoningDetails);
    assert_eq!(router.cache.marks, CacheMarks::CacheControl);
    assert_eq!(router.reasoning.nearest(Max, false).unwrap().effort, Max);
    let ollama = Lookup { host: "gpu:11434", ..Lookup::new("gpt-oss:20b", ApiFormat::OpenAi) };
    assert_eq!(Families::built_in().resolve(&ollama).output.word, OutputWord::MaxTokens);
    let azure = at("our-deployment", ApiFormat::AzureOpenAi);
    assert_eq!((&*azure.family, azure.output.word), ("unknown", OutputWord::MaxCompletionTokens));
}

#[test]
fn converse_takes_of_unnamed_models_what_it_knows_itself() {
    let arn = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc";
    let lookup = Lookup::new(arn, ApiFormat::Bedrock);
    let unnamed = Families::built_in().resolve(&lookup);
    assert_eq!((&*unnamed.family, unnamed.reasoning.style), ("unknown", Style::None));
    assert_eq!(unnamed.sampling.top_k, Taken::Refused);
    let named = Families::built_in().resolve(&Lookup { base_model: Some("claude-opus-5-5"), ..lookup });
    assert_eq!((named.vendor, named.reasoning.style), (Vendor::Claude, Style::ClaudeAdaptive));
    assert!(named.knows_beta("context-1m-2025-08-07") && !named.knows_beta("claude-code-20250219"));
    for (model, choices) in [
        ("us.meta.llama4-scout-17b-instruct-v1:0", &[Choice::Auto][..]),
        ("anthropic.claude-opus-5", &[Choice::Auto, Choice::Required, Choice::Named]),
    ] {
        assert_eq!(at(model, ApiFormat::Bedrock).tools.choices, choices, "{model}");
    }
    for (model, stop) in [
        ("openai.gpt-5.4", Taken::Always),
        ("openai.gpt-6-sol", Taken::Refused),
        ("xai.grok-4.7", Taken::Refused),
    ] {
        assert_eq!(at(model, ApiFormat::Bedrock).sampling.stop, stop, "{model}");
    }
}

fn own(yaml: &str) -> Families {
    Families::new(&serde_saphyr::from_str::<Vec<FamilyConfig>>(yaml).unwrap())
}

#[test]
fn families_of_the_operator_come_first_and_hold_against_the_place() {
    let families = own(
        "[{ name: ours, match: ['Acme-*', 'gpt-4o'], extends: base, traits: { tools: { name_most: 32 } } },
          { name: base, extends: claude-opus-5, traits: { cache: { marks: none }, media: { images: false } } }]",
    );
    for model in ["acme-1", "azure/ACME-2", "gpt-4o"] {
        let traits = families.resolve(&Lookup::new(model, ApiFormat::Bedrock));
        assert_eq!((&*traits.family, traits.vendor), ("ours", Vendor::Claude), "{model}");
        assert_eq!((traits.tools.name_most, traits.cache.marks), (32, CacheMarks::None), "{model}");
        assert!(!traits.media.images && traits.media.document_needs_text, "{model}");
    }
    let other = families.resolve(&Lookup::new("gpt-4.1", ApiFormat::OpenAi));
    assert_eq!(&*other.family, "gpt-4.1");
}

#[test]
fn a_target_may_name_its_family_and_replace_traits() {
    let overrides: TraitsOverrides = serde_saphyr::from_str(
        "{ reasoning: { efforts: [low], default: off, off: omit }, output: { most: 5 } }",
    )
    .unwrap();
    let lookup = Lookup {
        family: Some("gpt-5.4"),
        base_model: Some("claude-opus-5"),
        overrides: Some(&overrides),
        ..Lookup::new("gemini-3-pro", ApiFormat::OpenAi)
    };
    let traits = Families::built_in().resolve(&lookup);
    assert_eq!((&*traits.family, traits.output.most), ("gpt-5.4", Some(5)));
    assert_eq!((&*traits.reasoning.efforts, traits.reasoning.off), (&[Low][..], Off::Omit));
    let unknown = Lookup { family: Some("no-such"), ..lookup };
    assert_eq!(&*Families::built_in().resolve(&unknown).family, "claude-opus-5");
}

#[test]
fn circles_are_found_and_end() {
    let families = own(
        "[{ name: a, match: [x], extends: b }, { name: b, extends: a }, { name: c, extends: c }, { name: d, extends: a }]",
    );
    let circular: Vec<bool> = ["a", "b", "c", "d", "claude"].map(|name| families.is_circular(name)).into();
    assert_eq!(circular, [true, true, true, false, false]);
    assert_eq!(&*families.resolve(&Lookup::new("x", ApiFormat::OpenAi)).family, "a");
}

#[test]
fn values_that_cannot_be_meant_are_named() {
    for (yaml, path) in [
        ("output: { most: 0 }", "output.most"),
        ("sampling: { temperature_most: 0 }", "sampling.temperature_most"),
        ("reasoning: { style: claude_budget, budget: { least: 9, most: 1 } }", "reasoning.budget"),
        ("reasoning: { efforts: [high, low] }", "reasoning.efforts"),
        ("tools: { name_most: 0 }", "tools.name_most"),
        ("cache: { marks: cache_point }", "cache.most"),
        ("media: { image_types: [png] }", "media.image_types"),
    ] {
        let overrides: TraitsOverrides = serde_saphyr::from_str(yaml).unwrap();
        let lookup = Lookup { overrides: Some(&overrides), ..Lookup::new("x", ApiFormat::OpenAi) };
        let found = Families::built_in().resolve(&lookup).mistakes();
        assert_eq!(found.iter().map(|(path, _)| *path).collect::<Vec<_>>(), [path], "{yaml}");
    }
}

#[test]
fn every_family_has_values_that_make_sense_wherever_it_is_served() {
    let formats = [
        ApiFormat::OpenAi,
        ApiFormat::AzureOpenAi,
        ApiFormat::Anthropic,
        ApiFormat::Bedrock,
        ApiFormat::Gemini,
    ];
    let families = Families::built_in();
    for family in families.names() {
        for format in formats {
            for provider in ["", "groq", "openrouter", "ollama", "vllm", "dashscope"] {
                let lookup =
                    Lookup { family: Some(family), provider: Some(provider), ..Lookup::new("x", format) };
                let traits = families.resolve(&lookup);
                assert_eq!(traits.mistakes(), [], "{family} {format:?} {provider}");
            }
        }
    }
}
