//! What says nothing about the answer: for whom it is, how it is served and kept.

use tollgate_base::hash::fnv1a;
use tollgate_families::{Traits, Vendor};

use crate::error::FormatError;
use crate::exchange::{Extra, Request, Text};
use crate::json::Object;
use crate::unmapped::Unmapped;
use crate::view::text_of;

/// Service tiers of this format.
pub(in super::super::super) const TIERS: &[&str] = &["auto", "default", "flex", "scale", "priority"];
/// Longest name of a user and longest key of a cache, characters.
const MOST_LETTERS: usize = 64;

/// Writes labels and what the client's format has beside the common view.
pub(super) fn write(
    body: &mut Object<'_>,
    request: &Request<'_>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    // Its servers refuse every field that they do not know.
    let takes_labels = traits.vendor != Vendor::Mistral;
    match request.end_user.as_deref() {
        Some(user) if takes_labels => _ = body.put("user", &within_bounds(user)),
        Some(_) => unmapped.hint("user"),
        None => {}
    }
    match request.service_tier.as_deref() {
        None => {}
        Some("auto" | "default" | "standard_only") if !takes_labels => {}
        Some("standard_only") => _ = body.put("service_tier", "default"),
        Some(tier) if TIERS.contains(&tier) && takes_labels => _ = body.put("service_tier", tier),
        Some(_) => unmapped.param("service_tier")?,
    }
    match request.metadata {
        Some(metadata) if takes_labels => _ = body.raw("metadata", metadata.get()),
        Some(_) => unmapped.hint("metadata"),
        None => {}
    }
    if !request.betas.is_empty() {
        unmapped.hint("anthropic-beta");
    }
    request.extras.iter().try_for_each(|extra| carry(body, extra, traits, unmapped))
}

/// What is longer than the field becomes its hash: the same user stays the same one.
fn within_bounds(text: &str) -> Text<'_> {
    if text.chars().count() <= MOST_LETTERS {
        return text.into();
    }
    let (there, back) = (fnv1a(text.bytes()), fnv1a(text.bytes().rev()));
    format!("{there:016x}{back:016x}").into()
}

/// Parameters of OpenAI's formats that servers of this format take, beside those of the common view.
fn carry(
    body: &mut Object<'_>,
    extra: &Extra<'_>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    let is_openai = matches!(traits.vendor, Vendor::OpenAi | Vendor::Unknown);
    let family = |start: &str| traits.family.starts_with(start);
    let is_taken = match &*extra.name {
        "store" | "prediction" | "web_search_options" | "safety_identifier" => is_openai,
        "verbosity" | "text.verbosity" => {
            traits.vendor == Vendor::Unknown || ["gpt-5", "gpt-6", "gpt-codex"].into_iter().any(family)
        }
        "prompt_cache_key" => traits.cache.key,
        "prompt_cache_retention" => {
            text_of(extra.value).is_some_and(|word| traits.cache.retention.iter().any(|known| *known == word))
        }
        _ => false,
    };
    match &*extra.name {
        "store" if !is_taken && extra.value.get() == "false" => unmapped.hint("store"),
        name if !is_taken => unmapped.param(name.to_owned())?,
        "text.verbosity" => _ = body.raw("verbosity", extra.value.get()),
        "prompt_cache_key" => match text_of(extra.value) {
            Some(key) => _ = body.put("prompt_cache_key", &within_bounds(&key)),
            None => unmapped.hint("prompt_cache_key"),
        },
        name => _ = body.raw(name, extra.value.get()),
    }
    Ok(())
}
