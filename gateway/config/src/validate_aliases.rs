//! What an alias changes about requests, its weighted trials, and the bounds under overload.

use std::collections::HashSet;
use std::time::Duration;

use tollgate_settings::Mistakes;

use super::{Config, ModelConfig};

/// Longest name of a variant, bytes; it travels in every event.
const MAX_VARIANT_BYTES: usize = 64;
/// Highest temperature that any client format has.
const MAX_TEMPERATURE: f64 = 2.0;
/// Longest wait for a place.
const MINUTE: Duration = Duration::from_secs(60);

/// Checks defaults, caps and variants of an alias.
pub(super) fn check(alias: &str, model: &ModelConfig, mistakes: &mut Mistakes) {
    let path = format!("models.{alias}");
    let (defaults, caps) = (model.defaults, model.caps);
    for (name, tokens) in [("defaults", defaults.max_output_tokens), ("caps", caps.max_output_tokens)] {
        if tokens.is_some_and(|tokens| tokens.0 == 0) {
            mistakes.add(format!("{path}.{name}.max_output_tokens"), "must be above 0; leave it out");
        }
    }
    for (name, temperature) in [("defaults", defaults.temperature), ("caps", caps.temperature)] {
        if temperature.is_some_and(|temperature| !(0.0..=MAX_TEMPERATURE).contains(&temperature)) {
            mistakes.add(format!("{path}.{name}.temperature"), "must be from 0 to 2");
        }
    }
    let above = "is more than the cap allows; lower it, or raise the cap";
    let tokens = |tokens: Option<tollgate_settings::units::Tokens>| tokens.map(|tokens| tokens.0);
    if exceeds(tokens(defaults.max_output_tokens), tokens(caps.max_output_tokens)) {
        mistakes.add(format!("{path}.defaults.max_output_tokens"), above);
    }
    if exceeds(defaults.temperature, caps.temperature) {
        mistakes.add(format!("{path}.defaults.temperature"), above);
    }
    check_variants(&path, model, mistakes);
}

fn exceeds<T: PartialOrd>(default: Option<T>, cap: Option<T>) -> bool {
    matches!((default, cap), (Some(default), Some(cap)) if default > cap)
}

fn check_variants(path: &str, model: &ModelConfig, mistakes: &mut Mistakes) {
    let mut known = HashSet::new();
    for (index, target) in model.targets.iter().enumerate() {
        let Some(variant) = &target.variant else { continue };
        let path = format!("{path}.targets[{index}].variant");
        let sendable = variant.bytes().all(|byte| byte.is_ascii_graphic());
        if variant.is_empty() || variant.len() > MAX_VARIANT_BYTES || !sendable {
            mistakes.add(path, format!("must be 1 to {MAX_VARIANT_BYTES} letters, digits and signs"));
        } else if !known.insert(variant) {
            mistakes
                .add(path, "is the name of another target of this alias; reports could not tell them apart");
        }
    }
}

/// Checks the bounds under overload.
pub(super) fn check_overload(config: &Config, mistakes: &mut Mistakes) {
    let overload = config.overload;
    if overload.max_running == 0 {
        mistakes.add("overload.max_running", "must be above 0");
    }
    if overload.max_waiting > 0 && (overload.max_wait.0.is_zero() || overload.max_wait.0 > MINUTE) {
        let message = "must be above 0 and up to 60s; `max_waiting: 0` refuses at once";
        mistakes.add("overload.max_wait", message);
    }
    if overload.max_memory.0 / 2 < config.server.max_body.0 {
        let message = "must be at least twice `server.max_body`: one subscription has half of it, and the largest body \
                       would never fit";
        mistakes.add("overload.max_memory", message);
    }
}

#[cfg(test)]
mod tests {
    use tollgate_settings::load::parse_yaml;

    use super::super::validate::validate;
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let config: Config = parse_yaml("t.yaml".as_ref(), text).unwrap();
        let found = validate(&config).err().map(|found| found.0).unwrap_or_default();
        found.into_iter().map(|mistake| mistake.path).collect()
    }

    fn alias(variants: [&str; 2], more: &str) -> Vec<String> {
        let [a, b] = variants;
        mistakes(&format!(
            "backends: {{ b: {{ format: openai, url: 'http://h/v1' }} }}\n\
             models: {{ m: {{ targets: [ {{ backend: b, model: x, variant: '{a}' }}, \
             {{ backend: b, model: y, variant: '{b}' }} ], {more} }} }}\n"
        ))
    }

    #[test]
    fn defaults_and_caps_that_fit_together_are_taken() {
        for fine in [
            "defaults: { max_output_tokens: 1k, temperature: 0 }, caps: { max_output_tokens: 1k, temperature: 2 }",
            "caps: { temperature: 0.5 }, on_unmappable: drop",
            "defaults: { max_output_tokens: 500 }",
        ] {
            assert_eq!(alias(["a", "b"], fine), Vec::<String>::new(), "{fine}");
        }
    }

    #[test]
    fn what_an_alias_cannot_do_is_a_mistake_of_its_field() {
        for (wrong, path) in [
            ("defaults: { max_output_tokens: 0 }", "defaults.max_output_tokens"),
            ("caps: { max_output_tokens: 0 }", "caps.max_output_tokens"),
            ("defaults: { temperature: -0.1 }", "defaults.temperature"),
            ("caps: { temperature: 2.1 }", "caps.temperature"),
            ("caps: { temperature: .nan }", "caps.temperature"),
            (
                "defaults: { max_output_tokens: 2 }, caps: { max_output_tokens: 1 }",
                "defaults.max_output_tokens",
            ),
            ("defaults: { temperature: 1 }, caps: { temperature: 0.5 }", "defaults.temperature"),
        ] {
            assert_eq!(alias(["a", "b"], wrong), [format!("models.m.{path}")], "{wrong}");
        }
        let long = "v".repeat(65);
        for variants in [["a", "a"], ["a", ""], ["a", "b c"], ["a", "ä"], ["a", &long]] {
            assert_eq!(alias(variants, ""), ["models.m.targets[1].variant"], "{variants:?}");
        }
    }

    #[test]
    fn bounds_under_overload_leave_room_for_one_request() {
        assert_eq!(mistakes("overload: { max_waiting: 0, max_wait: 0s, max_running: 1 }"), [""; 0]);
        for (wrong, path) in [
            ("overload: { max_running: 0 }", "overload.max_running"),
            ("overload: { max_wait: 0s }", "overload.max_wait"),
            ("overload: { max_wait: 2m }", "overload.max_wait"),
            ("overload: { max_memory: 1MiB }", "overload.max_memory"),
        ] {
            assert_eq!(mistakes(wrong), [path], "{wrong}");
        }
    }
}
