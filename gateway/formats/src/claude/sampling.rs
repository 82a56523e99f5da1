//! Sampling, as far as the target takes it.

use tollgate_families::{Fate, Style, Taken, Traits, Vendor};

use crate::error::FormatError;
use crate::exchange::Request;
use crate::unmapped::Unmapped;

/// Highest temperature of both APIs.
const MOST_TEMPERATURE: f64 = 1.0;

/// What is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sampled {
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<u64>,
}

/// The sampling of a request. `thinks` says whether the model thinks for it.
pub(crate) fn sampled(
    request: &Request<'_>,
    traits: &Traits,
    thinks: bool,
    unmapped: &mut Unmapped,
) -> Result<Sampled, FormatError> {
    let (asked, rules) = (&request.sampling, &traits.sampling);
    // A model that nobody knows may be one that wants its sampling untouched while it thinks within a budget.
    let unknown = traits.vendor == Vendor::Unknown && traits.reasoning.style == Style::ClaudeBudget;
    let rule = |taken: Taken| if unknown && taken == Taken::Always { Taken::NotThinking } else { taken };
    let fate = rule(rules.temperature).fate(thinks, asked.temperature == Some(1.0));
    let mut temperature = taken(asked.temperature, fate, "temperature", unmapped)?;
    let most = rules.temperature_most.min(MOST_TEMPERATURE);
    if temperature.is_some_and(|temperature| temperature > most) {
        unmapped.param("temperature")?;
        temperature = Some(most);
    }
    // 1 bounds nothing, and many models refuse it beside a temperature.
    let top_p = asked.top_p.filter(|top_p| *top_p != 1.0);
    let mut top_p = taken(top_p, rule(rules.top_p).fate(thinks, false), "top_p", unmapped)?;
    let too_low = |top_p: f64| thinks && rules.top_p_least_thinking.is_some_and(|least| top_p < least);
    if top_p.is_some_and(too_low) {
        unmapped.param("top_p")?;
        top_p = None;
    }
    // Many clients always send both. The one that says something stays; of two that do, the temperature.
    if rules.temperature_or_top_p && temperature.is_some() && top_p.is_some() {
        if temperature == Some(1.0) {
            temperature = None;
        } else {
            unmapped.hint("top_p");
            top_p = None;
        }
    }
    let top_k = taken(asked.top_k, rule(rules.top_k).fate(thinks, false), "top_k", unmapped)?;
    Ok(Sampled { temperature, top_p, top_k })
}

/// A value by its fate.
pub(crate) fn taken<T>(
    value: Option<T>,
    fate: Fate,
    name: &'static str,
    unmapped: &mut Unmapped,
) -> Result<Option<T>, FormatError> {
    if value.is_none() {
        return Ok(None);
    }
    match fate {
        Fate::Send => return Ok(value),
        Fate::Leave => {}
        Fate::Ignored => unmapped.hint(name),
        Fate::Refused => unmapped.param(name)?,
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use tollgate_families::ApiFormat;

    use super::*;
    use crate::testing::target;
    use crate::unmapped::OnUnmappable;

    fn of(model: &str, thinks: bool, temperature: Option<f64>, top_p: Option<f64>) -> (Sampled, Vec<String>) {
        let mut request = Request::default();
        (request.sampling.temperature, request.sampling.top_p) = (temperature, top_p);
        let mut unmapped = Unmapped::new(OnUnmappable::Drop);
        let traits = target(model, ApiFormat::Anthropic).traits;
        let found = sampled(&request, traits, thinks, &mut unmapped).unwrap();
        (found, unmapped.dropped().iter().map(|name| name.clone().into_owned()).collect())
    }

    #[test]
    fn newer_models_take_no_sampling_but_the_default() {
        for thinks in [false, true] {
            let (found, dropped) = of("claude-opus-4-8", thinks, Some(0.2), Some(0.9));
            assert_eq!(found, Sampled::default());
            assert_eq!(dropped, ["temperature", "top_p"]);
            assert_eq!(of("claude-opus-4-8", thinks, Some(1.0), Some(1.0)), (Sampled::default(), Vec::new()));
        }
    }

    #[test]
    fn a_temperature_and_a_nucleus_do_not_stand_together_where_that_is_refused() {
        let (found, dropped) = of("claude-sonnet-4-5", false, Some(0.2), Some(0.9));
        assert_eq!((found.temperature, found.top_p), (Some(0.2), None));
        assert_eq!(dropped, ["top_p"]);
        let (found, dropped) = of("claude-sonnet-4-5", false, Some(1.0), Some(0.9));
        assert_eq!((found.temperature, found.top_p, dropped.len()), (None, Some(0.9), 0));
        let (found, dropped) = of("claude-sonnet-4-20250514", false, Some(0.2), Some(0.9));
        assert_eq!((found.temperature, found.top_p, dropped.len()), (Some(0.2), Some(0.9), 0));
    }

    #[test]
    fn a_model_that_thinks_takes_a_wide_nucleus_alone() {
        let (found, dropped) = of("claude-sonnet-4-6", true, None, Some(0.96));
        assert_eq!((found.top_p, dropped.len()), (Some(0.96), 0));
        let (found, dropped) = of("claude-sonnet-4-6", true, Some(0.5), Some(0.9));
        assert_eq!(found, Sampled::default());
        assert_eq!(dropped, ["temperature", "top_p"]);
    }

    #[test]
    fn the_scale_of_temperatures_ends_at_one() {
        assert_eq!(
            of("glm-4.6", false, Some(1.5), None),
            (Sampled { temperature: Some(1.0), ..Sampled::default() }, vec!["temperature".to_owned()])
        );
    }
}
