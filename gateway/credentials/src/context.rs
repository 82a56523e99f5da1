//! What credentials are made with.

use rustls::ClientConfig;

use crate::cache::Timing;
use crate::clock::Clock;
use crate::endpoint::TokenClient;
use crate::environment::Environment;

/// What credentials are made in: how token endpoints are reached, which time it is, what the platform says.
#[derive(Clone)]
pub struct CredentialContext {
    pub(crate) client: TokenClient,
    pub(crate) clock: Clock,
    pub(crate) environment: Environment,
    pub(crate) timing: Timing,
}

impl CredentialContext {
    /// The process as it is; token endpoints are verified with `tls`.
    #[must_use]
    pub fn process(tls: ClientConfig) -> Self {
        Self::new(tls, Clock::system(), Environment::process(), Timing::default())
    }

    /// A context of one's own choice, for tests.
    #[must_use]
    pub fn new(tls: ClientConfig, clock: Clock, environment: Environment, timing: Timing) -> Self {
        Self { client: TokenClient::new(tls), clock, environment, timing }
    }
}
