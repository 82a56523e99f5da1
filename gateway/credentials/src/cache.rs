//! Keeps one fetched value fresh: tokens and temporary keys.
//!
//! Requests read the value from a shared cell. The first one that finds it aging starts a *flight*, a task
//! that fetches the next one while everybody goes on with the old one; without a valid value requests join
//! the flight. Nothing runs while nobody asks. After a failed flight the endpoint is left alone for a
//! cooldown that doubles with every failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::{Clock, millis};
use crate::error::CredentialError;
use crate::lifetime::{Lifetime, Phase};
use crate::token::Fetched;

/// How patient fetches are.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// A whole flight with its retries.
    pub fetch_timeout: Duration,
    /// Requests of one flight while errors are transient.
    pub tries: u32,
    /// Wait before the second try; doubled before the next.
    pub first_wait: Duration,
    /// How long an endpoint is left alone after a failed flight; doubled with every further one.
    pub first_cooldown: Duration,
    /// Longest time that it is left alone, also where it asks for more.
    pub max_cooldown: Duration,
    /// A value that a backend refuses is thrown away only when it is older, so that a backend that
    /// refuses every value does not cause a fetch per request.
    pub min_age: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            fetch_timeout: Duration::from_secs(10),
            tries: 3,
            first_wait: Duration::from_millis(200),
            first_cooldown: Duration::from_secs(1),
            max_cooldown: Duration::from_secs(60),
            min_age: Duration::from_secs(30),
        }
    }
}

/// Where values come from.
pub(crate) trait Source: Send + Sync + 'static {
    type Value: Send + Sync + 'static;

    /// Fetches a value, once.
    fn fetch(&self) -> impl Future<Output = Result<Fetched<Self::Value>, CredentialError>> + Send;

    /// Host of the endpoint, for errors and logs.
    fn endpoint(&self) -> Arc<str>;
}

/// A value with its life.
pub(crate) struct Held<V> {
    pub(crate) value: V,
    life: Lifetime,
}

type Outcome<V> = Result<Arc<Held<V>>, CredentialError>;

/// One value that is kept fresh.
pub(crate) struct TokenCache<S: Source>(Arc<Shared<S>>);

struct Shared<S: Source> {
    source: S,
    /// Name of the backend, for logs.
    backend: Arc<str>,
    clock: Clock,
    timing: Timing,
    current: ArcSwapOption<Held<S::Value>>,
    /// No flight begins before this moment; `u64::MAX` while one is under way. Written under `flight`, read
    /// without it, so that requests with an aging value take no lock.
    quiet_until_ms: AtomicU64,
    flight: Mutex<Flight<S::Value>>,
}

struct Flight<V> {
    running: Option<watch::Receiver<Option<Outcome<V>>>>,
    failures: u32,
    last_error: Option<CredentialError>,
}

impl<S: Source> TokenCache<S> {
    pub(crate) fn new(source: S, backend: Arc<str>, clock: Clock, timing: Timing) -> Self {
        Self(Arc::new(Shared {
            source,
            backend,
            clock,
            timing,
            current: ArcSwapOption::empty(),
            quiet_until_ms: AtomicU64::new(0),
            flight: Mutex::new(Flight { running: None, failures: 0, last_error: None }),
        }))
    }

    /// Uses the value if a valid one is at hand. Does not wait.
    pub(crate) fn with_valid<R>(&self, use_it: impl FnOnce(&S::Value) -> R) -> Option<R> {
        let held = self.0.current.load();
        let held = held.as_ref()?;
        match held.life.phase(self.0.clock.now_ms()) {
            Phase::Over => return None,
            Phase::Aging => self.0.renew(),
            Phase::Fresh => {}
        }
        Some(use_it(&held.value))
    }

    /// The value, fetched if there is no valid one.
    ///
    /// # Errors
    /// When it cannot be fetched, or could not a moment ago.
    pub(crate) async fn wait(&self) -> Outcome<S::Value> {
        // A flight ends without an outcome only when its worker stops; another worker's is awaited then.
        for _ in 0..2 {
            let mut running = match self.0.join() {
                Joined::Flight(running) => running,
                Joined::Landed(outcome) => return outcome,
            };
            if let Ok(outcome) = running.wait_for(Option::is_some).await
                && let Some(outcome) = &*outcome
            {
                return outcome.clone();
            }
        }
        Err(CredentialError::Interrupted)
    }

    /// Throws the value away because a backend refuses it, unless it is too young for that.
    pub(crate) fn invalidate(&self) {
        let held = self.0.current.load();
        let Some(value) = held.as_ref() else { return };
        let age_ms = self.0.clock.now_ms().saturating_sub(value.life.from_ms);
        if age_ms >= millis(self.0.timing.min_age) {
            self.0.current.compare_and_swap(&held, None);
        }
    }
}

/// What a request without a valid value finds.
enum Joined<V> {
    Flight(watch::Receiver<Option<Outcome<V>>>),
    Landed(Outcome<V>),
}

impl<S: Source> Shared<S> {
    /// Starts a flight for an aging value, if none is under way and the endpoint need not be left alone.
    fn renew(self: &Arc<Self>) {
        let may_start = || self.clock.now_ms() >= self.quiet_until_ms.load(Ordering::Acquire);
        if !may_start() {
            return;
        }
        let mut flight = self.flight.lock();
        if may_start() {
            drop(self.start(&mut flight));
        }
    }

    fn join(self: &Arc<Self>) -> Joined<S::Value> {
        let mut flight = self.flight.lock();
        let now_ms = self.clock.now_ms();
        // Someone's flight may have landed since the caller looked.
        if let Some(held) = self.current.load_full()
            && held.life.phase(now_ms) != Phase::Over
        {
            return Joined::Landed(Ok(held));
        }
        if let Some(running) = &flight.running {
            return Joined::Flight(running.clone());
        }
        match &flight.last_error {
            Some(error) if now_ms < self.quiet_until_ms.load(Ordering::Acquire) => {
                Joined::Landed(Err(error.clone()))
            }
            _ => Joined::Flight(self.start(&mut flight)),
        }
    }

    /// The flight is a task of its own: a client that goes away must not call it off for the others.
    fn start(self: &Arc<Self>, flight: &mut Flight<S::Value>) -> watch::Receiver<Option<Outcome<S::Value>>> {
        let (sender, receiver) = watch::channel(None);
        self.quiet_until_ms.store(u64::MAX, Ordering::Release);
        flight.running = Some(receiver.clone());
        let landing = Landing { shared: Arc::clone(self), sender, landed: false };
        tokio::spawn(async move {
            let shared = Arc::clone(&landing.shared);
            let fetched = tokio::time::timeout(shared.timing.fetch_timeout, shared.fetch()).await;
            let timeout = || CredentialError::Timeout { endpoint: shared.source.endpoint() };
            landing.land(fetched.unwrap_or_else(|_| Err(timeout())));
        });
        receiver
    }

    /// Fetches, and tries again while errors are transient.
    async fn fetch(&self) -> Result<Fetched<S::Value>, CredentialError> {
        let mut wait = self.timing.first_wait;
        let mut tried = 0;
        loop {
            tried += 1;
            let error = match self.source.fetch().await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => error,
            };
            let pause = error.retry_after().unwrap_or_else(|| jittered(wait));
            if !error.is_transient() || tried >= self.timing.tries || pause >= self.timing.fetch_timeout / 4 {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            wait *= 2;
        }
    }

    fn cooldown(&self, failures: u32, error: &CredentialError) -> Duration {
        let doubled = self.timing.first_cooldown.saturating_mul(1 << (failures - 1).min(16));
        let own = jittered(doubled.min(self.timing.max_cooldown));
        own.max(error.retry_after().unwrap_or_default()).min(self.timing.max_cooldown)
    }
}

/// Between half of a wait and all of it, so that replicas do not ask in step.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::random_range(0.5..=1.0))
}

/// The end of a flight, also when its task is dropped on the way.
struct Landing<S: Source> {
    shared: Arc<Shared<S>>,
    sender: watch::Sender<Option<Outcome<S::Value>>>,
    landed: bool,
}

impl<S: Source> Landing<S> {
    fn land(mut self, fetched: Result<Fetched<S::Value>, CredentialError>) {
        self.landed = true;
        let outcome = match fetched {
            Ok(fetched) => Ok(self.succeed(fetched)),
            Err(error) => {
                self.fail(&error);
                Err(error)
            }
        };
        self.sender.send_replace(Some(outcome));
    }

    fn succeed(&self, fetched: Fetched<S::Value>) -> Arc<Held<S::Value>> {
        let shared = &self.shared;
        let life = Lifetime::new(shared.clock.now_ms(), fetched.life, rand::random());
        let held = Arc::new(Held { value: fetched.value, life });
        // Before the flight is over: who looks in between must find one or the other.
        shared.current.store(Some(Arc::clone(&held)));
        let mut flight = shared.flight.lock();
        *flight = Flight { running: None, failures: 0, last_error: None };
        shared.quiet_until_ms.store(0, Ordering::Release);
        drop(flight);
        tracing::info!(backend = %shared.backend, endpoint = %shared.source.endpoint(),
            life_s = fetched.life.as_secs(), "credentials fetched");
        held
    }

    fn fail(&self, error: &CredentialError) {
        let shared = &self.shared;
        let mut flight = shared.flight.lock();
        let failures = flight.failures.saturating_add(1);
        let cooldown = shared.cooldown(failures, error);
        *flight = Flight { running: None, failures, last_error: Some(error.clone()) };
        shared.quiet_until_ms.store(shared.clock.now_ms() + millis(cooldown), Ordering::Release);
        drop(flight);
        tracing::warn!(backend = %shared.backend, failures, cooldown_ms = millis(cooldown),
            error = %tollgate_base::errors::chain(&error), "credentials cannot be fetched");
    }
}

impl<S: Source> Drop for Landing<S> {
    fn drop(&mut self) {
        if !self.landed {
            self.shared.flight.lock().running = None;
            self.shared.quiet_until_ms.store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
