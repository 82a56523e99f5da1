//! How tokens are chosen, in the words of the model.

use tollgate_families::{OutputWord, SeedWord, Traits};

use crate::error::FormatError;
use crate::exchange::Request;
use crate::json::Object;
use crate::sampling::chosen;
use crate::unmapped::Unmapped;

/// Writes the bound of the answer and the parameters of sampling.
pub(super) fn write(
    body: &mut Object<'_>,
    request: &Request<'_>,
    traits: &Traits,
    thinks: bool,
    unmapped: &mut Unmapped,
) -> Result<(), FormatError> {
    let chosen = chosen(request, traits, thinks, unmapped)?;
    let bound = match traits.output.word {
        OutputWord::MaxCompletionTokens => "max_completion_tokens",
        OutputWord::MaxTokens | OutputWord::Either => "max_tokens",
    };
    body.given(bound, chosen.max_output_tokens)
        .given("temperature", chosen.temperature)
        .given("top_p", chosen.top_p)
        .given("top_k", chosen.top_k);
    match traits.sampling.seed {
        SeedWord::Seed => _ = body.given("seed", request.sampling.seed),
        SeedWord::RandomSeed => _ = body.given("random_seed", request.sampling.seed),
        SeedWord::None => unmapped.given("seed", request.sampling.seed.as_ref())?,
    }
    body.given("frequency_penalty", chosen.frequency_penalty)
        .given("presence_penalty", chosen.presence_penalty);
    if !chosen.stop.is_empty() {
        body.put("stop", chosen.stop);
    }
    if let Some(top) = chosen.top_logprobs {
        body.put("logprobs", &true).given("top_logprobs", (top > 0).then_some(top));
    }
    if let Some(bias) = chosen.logit_bias {
        body.raw("logit_bias", bias.get());
    }
    // Only one answer can be translated.
    unmapped.given("n", request.sampling.choices.filter(|n| *n > 1).as_ref())
}
