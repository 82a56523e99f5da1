//! Parameters of sampling as a model takes them, in whichever format.

use serde_json::value::RawValue;
use tollgate_families::{Fate, Sampling, Taken, Traits};

use crate::error::FormatError;
use crate::exchange::{Request, Text};
use crate::unmapped::Unmapped;

/// What is left to be written.
#[derive(Debug, Default)]
pub(crate) struct Chosen<'r> {
    /// Most tokens of the answer, no more than the model goes.
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<u64>,
    pub(crate) frequency_penalty: Option<f64>,
    pub(crate) presence_penalty: Option<f64>,
    pub(crate) stop: &'r [Text<'r>],
    pub(crate) top_logprobs: Option<u8>,
    pub(crate) logit_bias: Option<&'r RawValue>,
}

/// Takes what the model takes. The rest is left out and named where the model does the same without it, else refused
/// or left out, as the policy says.
///
/// # Errors
/// When a parameter is refused.
pub(crate) fn chosen<'r>(
    request: &'r Request<'_>,
    traits: &Traits,
    thinks: bool,
    unmapped: &mut Unmapped,
) -> Result<Chosen<'r>, FormatError> {
    let (sampling, takes) = (&request.sampling, &traits.sampling);
    let max_output_tokens = bound(request, traits, unmapped);
    let mut judge = Judge { takes, thinks, unmapped };
    let temperature = judge.number("temperature", sampling.temperature, takes.temperature, 1.0)?;
    let temperature = temperature.map(|wanted| judge.within("temperature", wanted, takes.temperature_most));
    let top_p = judge.top_p(sampling.top_p, temperature.is_some())?;
    Ok(Chosen {
        max_output_tokens,
        temperature,
        top_p,
        top_k: judge.given("top_k", sampling.top_k, takes.top_k)?,
        frequency_penalty: judge.number(
            "frequency_penalty",
            sampling.frequency_penalty,
            takes.penalties,
            0.0,
        )?,
        presence_penalty: judge.number(
            "presence_penalty",
            sampling.presence_penalty,
            takes.penalties,
            0.0,
        )?,
        stop: judge.stop(&sampling.stop)?,
        top_logprobs: judge.given("logprobs", sampling.top_logprobs, takes.logprobs)?,
        logit_bias: judge.given("logit_bias", sampling.logit_bias, takes.logit_bias)?,
    })
}

fn bound(request: &Request<'_>, traits: &Traits, unmapped: &mut Unmapped) -> Option<u64> {
    let wanted = request.sampling.max_output_tokens?;
    let output = &traits.output;
    let most = output.most_unstreamed.filter(|_| !request.stream).or(output.most).unwrap_or(u64::MAX);
    if wanted > most {
        unmapped.hint("max_tokens");
    }
    Some(wanted.min(most))
}

struct Judge<'t> {
    takes: &'t Sampling,
    thinks: bool,
    unmapped: &'t mut Unmapped,
}

impl Judge<'_> {
    fn is_sent(&mut self, name: &'static str, fate: Fate) -> Result<bool, FormatError> {
        match fate {
            Fate::Send => return Ok(true),
            Fate::Leave => {}
            Fate::Ignored => self.unmapped.hint(name),
            Fate::Refused => self.unmapped.param(name)?,
        }
        Ok(false)
    }

    fn number(
        &mut self,
        name: &'static str,
        wanted: Option<f64>,
        taken: Taken,
        default: f64,
    ) -> Result<Option<f64>, FormatError> {
        let Some(wanted) = wanted else { return Ok(None) };
        let is_sent = self.is_sent(name, taken.fate(self.thinks, wanted == default))?;
        Ok(is_sent.then_some(wanted))
    }

    fn given<T>(
        &mut self,
        name: &'static str,
        wanted: Option<T>,
        taken: Taken,
    ) -> Result<Option<T>, FormatError> {
        let is_sent = wanted.is_some() && self.is_sent(name, taken.fate(self.thinks, false))?;
        Ok(wanted.filter(|_| is_sent))
    }

    fn within(&mut self, name: &'static str, wanted: f64, most: f64) -> f64 {
        if wanted > most {
            self.unmapped.hint(name);
        }
        wanted.min(most)
    }

    fn top_p(&mut self, wanted: Option<f64>, has_temperature: bool) -> Result<Option<f64>, FormatError> {
        let Some(wanted) = self.number("top_p", wanted, self.takes.top_p, 1.0)? else { return Ok(None) };
        if self.takes.temperature_or_top_p && has_temperature {
            self.unmapped.hint("top_p");
            return Ok(None);
        }
        let least = self.takes.top_p_least_thinking.filter(|least| self.thinks && wanted < *least);
        if least.is_some() {
            self.unmapped.hint("top_p");
        }
        Ok(Some(least.unwrap_or(wanted)))
    }

    fn stop<'r>(&mut self, texts: &'r [Text<'r>]) -> Result<&'r [Text<'r>], FormatError> {
        if texts.is_empty() || !self.is_sent("stop", self.takes.stop.fate(self.thinks, false))? {
            return Ok(&[]);
        }
        let most = self.takes.stop_most.map_or(usize::MAX, |most| most as usize);
        if texts.len() > most {
            self.unmapped.param("stop")?;
        }
        Ok(texts.get(..most).unwrap_or(texts))
    }
}
