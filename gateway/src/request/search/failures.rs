//! What went wrong on the way to an answer, and what of it the client is told.

use std::time::Duration;

use tollgate_formats::meaning::Meaning;
use tollgate_runtime::snapshot::Target;

use crate::error::GatewayError;

/// Failures so far.
#[derive(Debug, Default)]
pub(super) struct Failures<'a> {
    told: Option<(Telling, GatewayError)>,
    /// The earliest moment that a backend which takes no more wants to be asked again, from when it said so.
    earliest: Option<Duration>,
    /// Whether the gateway itself is why the last one failed: no target would do better.
    pub(super) are_final: bool,
    /// Why a target was not even called: its format cannot carry the request, or there is no room.
    pub(super) uncalled: Option<GatewayError>,
    /// The target of the latest one, where it may serve the same request a moment later.
    pub(super) repeatable: Option<Repeatable<'a>>,
}

/// A failure after which the same target may be called again.
#[derive(Debug)]
pub(super) struct Repeatable<'a> {
    pub(super) target: &'a Target,
    /// How long it asked to be left alone.
    pub(super) asked: Option<Duration>,
}

/// How much a failure tells a client: it can wait for a limit, but not for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Telling {
    /// Something is wrong with the configuration: credentials, or a model that is not there.
    Configuration,
    Limit,
    Health,
}

impl Telling {
    fn of(failure: &GatewayError) -> Self {
        match failure {
            GatewayError::BackendCredentials { .. } => Self::Configuration,
            GatewayError::Backend { said, .. } => match said.meaning {
                Meaning::ModelUnknown => Self::Configuration,
                Meaning::RateLimited | Meaning::NoMoney => Self::Limit,
                _ => Self::Health,
            },
            _ => Self::Health,
        }
    }
}

impl<'a> Failures<'a> {
    /// Of several failures the most telling one is told, and of those the last.
    pub(super) fn note(&mut self, failure: GatewayError, target: &'a Target) {
        let may_repeat = target.retries.is_some() && failure.passes();
        self.repeatable = may_repeat.then(|| Repeatable { target, asked: failure.retry_after() });
        self.keep(failure);
    }

    fn keep(&mut self, failure: GatewayError) {
        self.are_final = matches!(failure, GatewayError::Overloaded { .. });
        let telling = Telling::of(&failure);
        if telling == Telling::Limit {
            self.earliest = self.earliest.into_iter().chain(failure.retry_after()).min();
        }
        if self.told.as_ref().is_none_or(|(before, _)| telling >= *before) {
            self.told = Some((telling, failure));
        }
    }

    /// What the client is told; `None` if no target was called. When all were at their limits it may come back when the
    /// first of them may be asked again, as far as one said so; `recovery` is when the gateway asks one again.
    pub(super) fn told(&mut self, recovery: Option<Duration>) -> Option<GatewayError> {
        let earliest = self.earliest.map(|said| recovery.map_or(said, |recovery| said.min(recovery)));
        Some(match self.told.take()? {
            (Telling::Limit, GatewayError::Backend { said, .. }) => {
                GatewayError::Backend { said, retry_after: earliest }
            }
            (_, failure) => failure,
        })
    }
}

#[cfg(test)]
mod tests {
    use tollgate_formats::meaning::BackendError;
    use tollgate_formats::{ProviderError, ProviderErrorKind};

    use super::*;

    fn failed(status: u16, wait: Option<u64>) -> GatewayError {
        let retry_after = wait.map(Duration::from_secs);
        let kind = ProviderErrorKind::from_status(status);
        let message = "m".to_owned();
        let error = ProviderError { kind, message, status: None, code: None, param: None, retry_after };
        GatewayError::Backend { said: Box::new(BackendError::new(status, error)), retry_after }
    }

    fn told(failures: Vec<GatewayError>, recovery: Option<u64>) -> (u16, Option<u64>) {
        let mut noted = Failures::default();
        failures.into_iter().for_each(|failure| noted.keep(failure));
        let told = noted.told(recovery.map(Duration::from_secs)).unwrap();
        (told.class().status, told.retry_after().map(|wait| wait.as_secs()))
    }

    #[test]
    fn the_last_failure_is_told_unless_one_before_it_says_more() {
        assert_eq!(told(vec![failed(500, None), failed(503, Some(30))], None), (503, Some(30)));
        assert_eq!(told(vec![failed(529, None), failed(404, None)], None), (529, None));
        assert_eq!(told(vec![failed(529, None), failed(429, Some(5))], None), (529, None));
        assert_eq!(told(vec![failed(404, None), failed(429, Some(5))], None), (429, Some(5)));
        let credentials = || GatewayError::BackendCredentials { backend: "b".into(), source: None };
        assert_eq!(told(vec![failed(429, None), credentials()], None), (429, None));
        assert_eq!(told(vec![failed(404, None), credentials()], None), (502, None));
    }

    #[test]
    fn when_all_are_busy_the_earliest_wait_is_told_and_none_is_invented() {
        assert_eq!(told(vec![failed(429, Some(90)), failed(429, Some(40))], None), (429, Some(40)));
        assert_eq!(told(vec![failed(429, Some(40)), failed(429, None)], Some(7)), (429, Some(7)));
        assert_eq!(told(vec![failed(429, None)], Some(7)), (429, None));
    }
}
