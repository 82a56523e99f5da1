//! Families of models, and the targets that name one.

use std::collections::HashSet;
use std::sync::Arc;

use tollgate_families::{ApiFormat, Families, FamilyConfig, Lookup};
use tollgate_settings::Mistakes;

use super::references::refer;
use super::{Config, TargetConfig};

/// Most families of a configuration: each target is held against all of them.
const MAX_FAMILIES: usize = 500;
/// Longest name, and longest pattern of names, bytes.
const MAX_NAME_BYTES: usize = 256;
/// Most stars of a pattern.
const MAX_STARS: usize = 8;

/// Checks the families, and what targets say of theirs.
pub(super) fn check(config: &Config, mistakes: &mut Mistakes) {
    if config.model_families.len() > MAX_FAMILIES {
        mistakes.add("model_families", format!("must have at most {MAX_FAMILIES} entries"));
        return;
    }
    let families = config.families();
    let names: Vec<Arc<str>> = families.names().map(Arc::from).collect();
    let mut known = HashSet::new();
    for (index, family) in config.model_families.iter().enumerate() {
        let path = format!("model_families[{index}]");
        check_name(&format!("{path}.name"), family, &families, &mut known, mistakes);
        for (index, pattern) in family.patterns.iter().enumerate() {
            check_pattern(format!("{path}.match[{index}]"), pattern, mistakes);
        }
        if let Some(base) = &family.extends {
            refer(mistakes, format!("{path}.extends"), "family", base, names.iter());
        }
        if families.is_circular(&family.name) {
            mistakes.add(format!("{path}.extends"), "leads back to this family");
        }
        let lookup = Lookup { family: Some(&family.name), ..Lookup::new("", ApiFormat::OpenAi) };
        for (field, message) in families.resolve(&lookup).mistakes() {
            mistakes.add(format!("{path}.traits.{field}"), message);
        }
    }
    for (alias, model) in &config.models {
        for (index, target) in model.targets.iter().enumerate() {
            check_target(
                config,
                &format!("models.{alias}.targets[{index}]"),
                target,
                &families,
                &names,
                mistakes,
            );
        }
    }
}

fn check_name<'c>(
    path: &str,
    family: &'c FamilyConfig,
    families: &Families,
    known: &mut HashSet<&'c str>,
    mistakes: &mut Mistakes,
) {
    let name = &*family.name;
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        mistakes.add(path, format!("must have 1 to {MAX_NAME_BYTES} bytes"));
    } else if !known.insert(name) {
        mistakes.add(path, "is the name of another family of this list");
    } else if families.is_built_in(name) || name == UNKNOWN {
        mistakes
            .add(path, "is the name of a family that the gateway knows; choose another and extend that one");
    }
}

/// What models are said to be of that no family fits.
const UNKNOWN: &str = "unknown";

fn check_pattern(path: String, pattern: &str, mistakes: &mut Mistakes) {
    if pattern.is_empty() || pattern.len() > MAX_NAME_BYTES {
        mistakes.add(path, format!("must have 1 to {MAX_NAME_BYTES} bytes"));
    } else if pattern.matches('*').count() > MAX_STARS {
        mistakes.add(path, format!("must have at most {MAX_STARS} `*`"));
    }
}

fn check_target(
    config: &Config,
    path: &str,
    target: &TargetConfig,
    families: &Families,
    names: &[Arc<str>],
    mistakes: &mut Mistakes,
) {
    if target.base_model.as_deref().is_some_and(str::is_empty) {
        mistakes.add(format!("{path}.base_model"), "must not be empty; leave it out");
    }
    if let Some(family) = &target.family {
        refer(mistakes, format!("{path}.family"), "family", family, names.iter());
    }
    // What the family has wrong by itself is told there.
    let (Some(_), Some(backend)) = (&target.traits, config.backends.get(&target.backend)) else { return };
    for (field, message) in target.traits(backend, families).mistakes() {
        mistakes.add(format!("{path}.traits.{field}"), message);
    }
}

#[cfg(test)]
mod tests {
    use tollgate_families::{Style, Vendor};
    use tollgate_settings::load::parse_yaml;

    use super::super::validate::validate;
    use super::*;

    fn config(families: &str, target: &str) -> Config {
        let text = format!(
            "backends: {{ b: {{ format: bedrock, url: 'https://bedrock-runtime.us-east-1.amazonaws.com' }} }}\n\
             models: {{ m: {{ targets: [ {{ backend: b, {target} }} ] }} }}\nmodel_families: [ {families} ]\n"
        );
        parse_yaml("t.yaml".as_ref(), &text).unwrap()
    }

    fn mistakes(families: &str, target: &str) -> Vec<String> {
        let found = validate(&config(families, target)).err().map(|found| found.0).unwrap_or_default();
        found.into_iter().map(|mistake| format!("{}: {}", mistake.path, mistake.message)).collect()
    }

    #[test]
    fn families_and_targets_that_fit_are_taken() {
        let families = "{ name: ours, match: ['acme-*'], extends: base, traits: { tools: { name_most: 32 } } }, \
                        { name: base, extends: claude-opus-5 }";
        for target in [
            "model: acme-1",
            "model: x, base_model: claude-opus-5-5",
            "model: x, family: base, traits: { output: { most: 100 }, reasoning: { default: off } }",
            "model: x, family: gpt-5.4",
        ] {
            assert_eq!(mistakes(families, target), Vec::<String>::new(), "{target}");
        }
    }

    #[test]
    fn what_leads_nowhere_or_cannot_be_meant_is_a_mistake_of_its_field() {
        let stars = "{ name: a, match: ['a*b*c*d*e*f*g*h*i*'] }";
        for (families, target, expected) in [
            (
                "{ name: a, extends: claude-opus-55 }",
                "model: x",
                "model_families[0].extends: there is no family",
            ),
            (
                "{ name: a, extends: b }, { name: b, extends: a }",
                "model: x",
                "model_families[0].extends: leads back",
            ),
            ("{ name: a }, { name: a }", "model: x", "model_families[1].name: is the name of another"),
            ("{ name: claude }", "model: x", "model_families[0].name: is the name of a family that"),
            ("{ name: unknown }", "model: x", "model_families[0].name: is the name of a family that"),
            ("{ name: '' }", "model: x", "model_families[0].name: must have 1 to"),
            ("{ name: a, match: [''] }", "model: x", "model_families[0].match[0]: must have 1 to"),
            (stars, "model: x", "model_families[0].match[0]: must have at most 8 `*`"),
            (
                "{ name: a, traits: { tools: { name_most: 0 } } }",
                "model: x",
                "model_families[0].traits.tools.name_most",
            ),
            (
                "",
                "model: x, family: gtp-5.4",
                "models.m.targets[0].family: there is no family `gtp-5.4`; did you mean",
            ),
            ("", "model: x, base_model: ''", "models.m.targets[0].base_model: must not be empty"),
            (
                "",
                "model: x, traits: { output: { most: 0 } }",
                "models.m.targets[0].traits.output.most: must be above 0",
            ),
        ] {
            let found = mistakes(families, target);
            assert!(
                found.first().is_some_and(|found| found.starts_with(expected)),
                "{families} {target}: {found:?}"
            );
        }
    }

    #[test]
    fn a_trait_that_does_not_exist_is_answered_with_the_nearest() {
        let text = "model_families: [ { name: a, traits: { output: { mots: 5 } } } ]\n";
        let error = parse_yaml::<Config>("t.yaml".as_ref(), text).unwrap_err().to_string();
        assert!(error.starts_with("t.yaml:1:") && error.contains("did you mean `most`?"), "{error}");
    }

    #[test]
    fn a_target_is_resolved_with_its_backend() {
        let config = config(
            "",
            "model: 'arn:aws:bedrock:us-east-1:1:application-inference-profile/x', base_model: claude-opus-4-8",
        );
        let target = &config.models["m"].targets[0];
        let traits = target.traits(&config.backends["b"], &config.families());
        assert_eq!((traits.vendor, traits.reasoning.style), (Vendor::Claude, Style::ClaudeAdaptive));
        assert_eq!(traits.tools.name_most, 64);
    }
}
