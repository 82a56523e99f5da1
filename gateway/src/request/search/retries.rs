//! Further calls of a target that could not serve a request, before the next target is tried (`retries`).
//!
//! Only failures that pass are worth it, and only before anything of an answer has come. A retry counts as an attempt of
//! the request, is a row like any other and is never hedged, so that it earns and spends nothing of the hedges' budget.
//! Health is looked at again before each: a target whose circuit has opened meanwhile is left alone.

use std::time::Duration;

use tollgate_admission::Admission;
use tollgate_config::RetryConfig;
use tollgate_runtime::snapshot::Target;

use super::candidate::Candidate;
use super::failures::Repeatable;
use super::{Reply, Search};
use crate::error::GatewayError;

impl<'a> Search<'a> {
    /// Calls the target that failed last again, as often as it may be; `None` if the next target is to be tried.
    pub(super) async fn retried(&mut self) -> Result<Option<Reply<'a>>, GatewayError> {
        let mut before = 0;
        while let Some(Repeatable { target, asked }) = self.failures.repeatable.take() {
            let Some(rules) = target.retries.filter(|rules| before < rules.count && self.may_go_on()) else {
                break;
            };
            let wait = wait(rules, before, asked, rand::random()).filter(|wait| *wait < self.time_left());
            let Some(wait) = wait else { break };
            tokio::time::sleep(wait).await;
            let Some(candidate) = self.again(target) else { break };
            before += 1;
            if let Some(reply) = self.attempt(candidate, None).await? {
                return Ok(Some(reply));
            }
        }
        self.failures.repeatable = None;
        Ok(None)
    }

    /// The same target once more, if it admits the request now.
    fn again(&self, target: &'a Target) -> Option<Candidate<'a>> {
        let in_flight = target.deployment.admit_for(self.tokens).ok()?;
        let permit = match target.backend.admission.as_ref() {
            None => None,
            Some(admission) => Some(Admission::try_enter(admission)?),
        };
        Candidate::prepare(self.request, target, in_flight, permit).ok()
    }
}

/// The pause before a further call after `before` others; `None` if the target wants to be left alone for longer than
/// anybody waits. `chance` is from 0 to 1.
fn wait(rules: RetryConfig, before: u8, asked: Option<Duration>, chance: f64) -> Option<Duration> {
    let longest = rules.max_backoff.0;
    if asked.is_some_and(|asked| asked > longest) {
        return None;
    }
    let doubled = rules.backoff.0.saturating_mul(2_u32.saturating_pow(before.into())).min(longest);
    // Whoever failed together must not come back together.
    let pause = doubled.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0);
    Some(pause.max(asked.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use tollgate_settings::units::Time;

    use super::*;

    const RULES: RetryConfig = RetryConfig {
        count: 5,
        backoff: Time(Duration::from_millis(100)),
        max_backoff: Time(Duration::from_millis(500)),
    };

    fn wait_ms(before: u8, asked_ms: Option<u64>, chance: f64) -> Option<u128> {
        wait(RULES, before, asked_ms.map(Duration::from_millis), chance).map(|wait| wait.as_millis())
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread() {
        let pauses: Vec<_> = (0..5).filter_map(|before| wait_ms(before, None, 0.0)).collect();
        assert_eq!(pauses, [100, 200, 400, 500, 500]);
        assert_eq!(wait_ms(1, None, 1.0), Some(100));
        assert_eq!(wait_ms(255, None, 0.5), Some(375));
    }

    #[test]
    fn what_a_target_asks_for_is_kept_or_it_is_not_called_again() {
        assert_eq!(wait_ms(0, Some(450), 1.0), Some(450));
        assert_eq!(wait_ms(2, Some(10), 0.0), Some(400));
        assert_eq!(wait_ms(0, Some(501), 0.0), None);
    }
}
