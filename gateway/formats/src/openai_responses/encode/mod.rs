//! From the common view into a Responses request for a backend.
//!
//! Nothing is kept at the provider: the whole conversation goes along, and thoughts come back sealed in the answer
//! (`reasoning.encrypted_content`) so that a later request can bring them.

mod content;
mod items;
mod tools;

use std::borrow::Cow;

use tollgate_families::{Fate, Off, Returned, Style, Traits};

use crate::adapt::{Place, TargetModel};
use crate::calls::fingerprint;
use crate::error::FormatError;
use crate::exchange::{Effort, Extra, OutputForm, Reasoning, Request, Text};
use crate::json::{Array, Object};
use crate::openai::{form, json_word};
use crate::schema::form_name;
use crate::unmapped::Unmapped;

/// Parameters of OpenAI's formats that mean the same here.
const TAKEN_OVER: &[&str] = &["prompt_cache_key", "prompt_cache_retention", "safety_identifier"];

/// Service tiers of this format.
const TIERS: &[&str] = &["auto", "default", "flex", "scale", "priority"];

/// The least that `max_output_tokens` may be.
const MIN_OUTPUT_TOKENS: u64 = 16;

/// Longest name of a user that is written as it is, bytes.
const MAX_USER_BYTES: usize = 64;

/// What this API takes, whatever the model.
pub const PLACE: Place = Place {
    takes_unmarked_proofs: false,
    has_system_turns: true,
    most_name_letters: 64,
    has_allowed_tools: true,
};

/// Writes a request.
///
/// # Errors
/// When the request holds what this format, or the model, has no place for.
pub fn encode(
    request: &Request<'_>,
    target: TargetModel<'_>,
    unmapped: &mut Unmapped,
) -> Result<Vec<u8>, FormatError> {
    let traits = target.traits;
    let mut out = Vec::with_capacity(1024);
    let mut body = Object::new(&mut out);
    body.put("model", target.name);
    conversation(&mut body, request, traits, unmapped)?;
    tools::write(&mut body, request, traits, unmapped);
    let thinks = traits.thinks(request.reasoning.and_then(|reasoning| reasoning.wanted(traits)));
    let tells_tokens = sampling(&mut body, request, thinks, traits, unmapped)?;
    text(&mut body, request, traits, unmapped);
    reasoning(&mut body, request, thinks, traits, unmapped);
    include(&mut body, tells_tokens, traits);
    body.put("store", &false);
    if request.stream {
        body.put("stream", &true);
    }
    account(&mut body, request, unmapped)?;
    for Extra { name, value } in &request.extras {
        match &**name {
            name if TAKEN_OVER.contains(&name) => {
                body.raw(name, value.get());
            }
            "verbosity" => {}
            "store" => unmapped.hint("store"),
            name => unmapped.param(name.to_owned())?,
        }
    }
    body.end();
    Ok(out)
}

/// Instructions have a field of their own; alone they are the conversation, which must not be empty.
fn conversation(
    body: &mut Object<'_>,
    request: &Request<'_>,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    if request.turns.is_empty() {
        let mut list = Array::new(body.key("input"));
        request.system.iter().for_each(|one| items::instruction(&mut list, &one.text));
        list.end();
        return Ok(());
    }
    // What the items say stands there once: a request that this encoder wrote is written again as it was.
    let is_said = |text: &str| text == json_word::INSTRUCTION && items::adds_json_word(request, traits);
    body.given(
        "instructions",
        joined(request.system.iter().map(|one| &*one.text).filter(|text| !is_said(text))),
    );
    items::write(body.key("input"), request, traits, unmapped)
}

fn joined<'r>(mut texts: impl Iterator<Item = &'r str>) -> Option<Cow<'r, str>> {
    let first = texts.next()?;
    let others: String = texts.flat_map(|text| ["\n\n", text]).collect();
    Some(if others.is_empty() { Cow::Borrowed(first) } else { (first.to_owned() + &others).into() })
}

/// Writes how tokens are chosen. Gives whether the answer is to tell them.
fn sampling(
    body: &mut Object<'_>,
    request: &Request<'_>,
    thinks: bool,
    traits: &Traits,
    unmapped: &mut Unmapped,
) -> Result<bool, FormatError> {
    let (sampling, takes) = (&request.sampling, &traits.sampling);
    let bound = |most: u64| most.min(traits.output.most.unwrap_or(most)).max(MIN_OUTPUT_TOKENS);
    body.given("max_output_tokens", sampling.max_output_tokens.map(bound));
    for (name, value, taken) in
        [("temperature", sampling.temperature, takes.temperature), ("top_p", sampling.top_p, takes.top_p)]
    {
        if let Some(value) = value
            && is_sent(name, taken.fate(thinks, value == 1.0), unmapped)?
        {
            body.put(name, &value);
        }
    }
    let penalty = |value: Option<f64>| value.filter(|value| *value != 0.0);
    unmapped.given("top_k", sampling.top_k.as_ref())?;
    unmapped.given("stop", sampling.stop.first())?;
    unmapped.given("seed", sampling.seed.as_ref())?;
    unmapped.given("frequency_penalty", penalty(sampling.frequency_penalty).as_ref())?;
    unmapped.given("presence_penalty", penalty(sampling.presence_penalty).as_ref())?;
    unmapped.given("n", sampling.choices.filter(|n| *n > 1).as_ref())?;
    let top = sampling.top_logprobs;
    let tells_tokens = top.is_some() && is_sent("logprobs", takes.logprobs.fate(thinks, false), unmapped)?;
    body.given("top_logprobs", top.filter(|_| tells_tokens));
    unmapped.given("logit_bias", sampling.logit_bias.as_ref())?;
    Ok(tells_tokens)
}

fn is_sent(name: &'static str, fate: Fate, unmapped: &mut Unmapped) -> Result<bool, FormatError> {
    match fate {
        Fate::Send => return Ok(true),
        Fate::Leave => {}
        Fate::Ignored => unmapped.hint(name),
        Fate::Refused => unmapped.param(name)?,
    }
    Ok(false)
}

/// What the answer holds beside what was said: its tokens, and sealed thoughts.
fn include(body: &mut Object<'_>, tells_tokens: bool, traits: &Traits) {
    let tokens = tells_tokens.then_some("message.output_text.logprobs");
    let thoughts = (traits.thoughts.returned == Returned::Items).then_some("reasoning.encrypted_content");
    let wanted: Vec<&str> = tokens.into_iter().chain(thoughts).collect();
    if !wanted.is_empty() {
        body.put("include", &wanted);
    }
}

fn text(body: &mut Object<'_>, request: &Request<'_>, traits: &Traits, unmapped: &mut Unmapped) {
    let verbosity = request.extras.iter().find(|extra| extra.name == "verbosity");
    if verbosity.is_none() && matches!(request.output, OutputForm::Text) {
        return;
    }
    body.object("text", |text| {
        match &request.output {
            OutputForm::Text => {}
            OutputForm::JsonObject => {
                text.raw("format", r#"{"type":"json_object"}"#);
            }
            OutputForm::JsonSchema { name, description, schema, strict } => {
                let (schema, strict) = form::fitted(schema, *strict, traits, unmapped);
                text.object("format", |format| {
                    format.put("type", "json_schema").put("name", &form_name(name));
                    format.given("description", description.as_ref());
                    format.raw("schema", &schema).given("strict", strict);
                });
            }
        }
        if let Some(verbosity) = verbosity {
            text.raw("verbosity", verbosity.value.get());
        }
    });
}

/// Models that do not think refuse all of it.
fn reasoning(
    body: &mut Object<'_>,
    request: &Request<'_>,
    thinks: bool,
    traits: &Traits,
    unmapped: &mut Unmapped,
) {
    if let Some(wanted) = request.reasoning {
        let effort = told_effort(wanted, traits, unmapped);
        // A model that does not think now takes it, too.
        let takes_summary = traits.reasoning.style != Style::None;
        let summary = (wanted.show == Some(true) && takes_summary).then_some("auto");
        wanted.missed(thinks, summary.is_some()).for_each(|name| unmapped.hint(name));
        if effort.is_some() || summary.is_some() {
            body.object("reasoning", |reasoning| {
                reasoning.given("effort", effort.map(Effort::as_str)).given("summary", summary);
            });
        }
    }
}

fn told_effort(wanted: Reasoning, traits: &Traits, unmapped: &mut Unmapped) -> Option<Effort> {
    let nearest = traits.reasoning.nearest(wanted.wanted(traits)?, true);
    // A budget has no word of its own that could be missed.
    if wanted.effort.is_some() && nearest.is_none_or(|nearest| nearest.changed) {
        unmapped.hint("reasoning_effort");
    }
    // What does not think anyway need not be told.
    let is_told = |effort: &Effort| *effort != Effort::None || traits.reasoning.off == Off::Word;
    nearest.map(|nearest| nearest.effort).filter(is_told)
}

/// Whose request it is, and how it is served.
fn account(body: &mut Object<'_>, request: &Request<'_>, unmapped: &mut Unmapped) -> Result<(), FormatError> {
    let user = request.end_user.as_deref().map(short_user);
    // `safety_identifier` is what `user` is called today.
    match request.extras.iter().any(|extra| extra.name == "safety_identifier") {
        true => body.given("user", user),
        false => body.given("safety_identifier", user),
    };
    match request.service_tier.as_deref() {
        None => {}
        Some("standard_only") => {
            body.put("service_tier", "default");
        }
        Some(tier) if TIERS.contains(&tier) => {
            body.put("service_tier", tier);
        }
        Some(_) => unmapped.param("service_tier")?,
    }
    if let Some(metadata) = request.metadata {
        body.raw("metadata", metadata.get());
    }
    if !request.betas.is_empty() {
        unmapped.hint("anthropic-beta");
    }
    Ok(())
}

/// A name that is too long as a fingerprint: it still tells users apart.
fn short_user(name: &str) -> Text<'_> {
    match name.len() <= MAX_USER_BYTES {
        true => Cow::Borrowed(name),
        false => format!("user_{:016x}", fingerprint(&[name])).into(),
    }
}

#[cfg(test)]
mod tests;
