//! How tokens are chosen, as far as the model lets it be said.

use tollgate_families::{Fate, OutputWord, SeedWord, Traits};

use crate::error::FormatError;
use crate::exchange::Request;
use crate::json::Object;
use crate::unmapped::Unmapped;

/// Writes the bound of the answer and the parameters of sampling.
pub(super) fn write(
    body: &mut Object<'_>,
    request: &Request<'_>,
    traits: &Traits,
    thinks: bool,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    let (sampling, takes) = (&request.sampling, &traits.sampling);
    bound(body, request, traits, unmapped);
    let mut fated = Fated { thinks, unmapped };
    if let Some(wanted) = sampling.temperature
        && fated.is_sent("temperature", takes.temperature.fate(thinks, wanted == 1.0))?
    {
        body.put("temperature", &fated.at_most("temperature", wanted, takes.temperature_most));
    }
    if let Some(wanted) = sampling.top_p
        && fated.is_sent("top_p", takes.top_p.fate(thinks, wanted == 1.0))?
    {
        let least = takes.top_p_least_thinking.filter(|_| fated.thinks);
        if takes.temperature_or_top_p && sampling.temperature.is_some() {
            fated.unmapped.hint("top_p");
        } else {
            body.put("top_p", &fated.at_least("top_p", wanted, least));
        }
    }
    if let Some(wanted) = sampling.top_k
        && fated.is_sent("top_k", takes.top_k.fate(thinks, false))?
    {
        body.put("top_k", &wanted);
    }
    let seed = match takes.seed {
        SeedWord::Seed => Some("seed"),
        SeedWord::RandomSeed => Some("random_seed"),
        SeedWord::None => None,
    };
    match seed {
        Some(word) => _ = body.given(word, sampling.seed),
        None => fated.unmapped.given("seed", sampling.seed.as_ref())?,
    }
    for (name, wanted) in
        [("frequency_penalty", sampling.frequency_penalty), ("presence_penalty", sampling.presence_penalty)]
    {
        if let Some(wanted) = wanted
            && fated.is_sent(name, takes.penalties.fate(thinks, wanted == 0.0))?
        {
            body.put(name, &wanted);
        }
    }
    stop(body, request, traits, &mut fated)?;
    rest(body, request, traits, &mut fated)
}

/// The bound in the model's own word, and no higher than the model goes.
fn bound(body: &mut Object<'_>, request: &Request<'_>, traits: &Traits, unmapped: &mut Unmapped) {
    let Some(wanted) = request.sampling.max_output_tokens else { return };
    let output = &traits.output;
    let most = output.most_unstreamed.filter(|_| !request.stream).or(output.most).unwrap_or(u64::MAX);
    if wanted > most {
        unmapped.hint("max_tokens");
    }
    let word = match output.word {
        OutputWord::MaxCompletionTokens => "max_completion_tokens",
        OutputWord::MaxTokens | OutputWord::Either => "max_tokens",
    };
    body.put(word, &wanted.min(most));
}

fn stop(
    body: &mut Object<'_>,
    request: &Request<'_>,
    traits: &Traits,
    fated: &mut Fated<'_>,
) -> Result<(), FormatError> {
    let texts = &request.sampling.stop;
    if texts.is_empty() || !fated.is_sent("stop", traits.sampling.stop.fate(fated.thinks, false))? {
        return Ok(());
    }
    let most = traits.sampling.stop_most.map_or(usize::MAX, |most| most as usize);
    if texts.len() > most {
        fated.unmapped.param("stop")?;
    }
    body.put("stop", texts.get(..most).unwrap_or(texts));
    Ok(())
}

fn rest(
    body: &mut Object<'_>,
    request: &Request<'_>,
    traits: &Traits,
    fated: &mut Fated<'_>,
) -> Result<(), FormatError> {
    let (sampling, takes) = (&request.sampling, &traits.sampling);
    if let Some(top) = sampling.top_logprobs
        && fated.is_sent("logprobs", takes.logprobs.fate(fated.thinks, false))?
    {
        body.put("logprobs", &true).given("top_logprobs", (top > 0).then_some(top));
    }
    if let Some(bias) = sampling.logit_bias
        && fated.is_sent("logit_bias", takes.logit_bias.fate(fated.thinks, false))?
    {
        body.raw("logit_bias", bias.get());
    }
    // Only one answer can be translated.
    fated.unmapped.given("n", sampling.choices.filter(|n| *n > 1).as_ref())
}

struct Fated<'u> {
    thinks: bool,
    unmapped: &'u mut Unmapped,
}

impl Fated<'_> {
    fn is_sent(&mut self, name: &'static str, fate: Fate) -> Result<bool, FormatError> {
        match fate {
            Fate::Send => return Ok(true),
            Fate::Leave => {}
            Fate::Ignored => self.unmapped.hint(name),
            Fate::Refused => self.unmapped.param(name)?,
        }
        Ok(false)
    }

    fn at_most(&mut self, name: &'static str, wanted: f64, most: f64) -> f64 {
        if wanted > most {
            self.unmapped.hint(name);
        }
        wanted.min(most)
    }

    fn at_least(&mut self, name: &'static str, wanted: f64, least: Option<f64>) -> f64 {
        if least.is_some_and(|least| wanted < least) {
            self.unmapped.hint(name);
        }
        least.map_or(wanted, |least| wanted.max(least))
    }
}
