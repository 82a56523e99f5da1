//! The metrics of the gateway: names, labels and buckets. Crates that own their metrics register them here.
//!
//! Labels come from closed sets: aliases, backends and subscriptions of the configuration, outcomes and
//! codes of enums. Whatever would grow beyond the bound of `series` is counted under `overflow`. The series of an
//! attempt are looked up once for all its metrics.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tollgate_admission::{OverloadMetrics, OverloadSnapshot};
use tollgate_backends::{DeploymentMetrics, DeploymentSnapshot};
use tollgate_ledger::{LedgerMetrics, LedgerStatus};
use tollgate_limits::{LimiterMetrics, LimiterStats};
use tollgate_schemas::tokens::{TokenClass, UsageLine};
use tollgate_schemas::usage::{Outcome, UsageEvent};

use super::background::{PendingMetrics, ProbeMetrics, ReplicaMetrics};
use super::series::SeriesCache;
use super::token_counts::TokenCountMetrics;

/// Durations in seconds (OpenTelemetry GenAI conventions, server request duration: 0.01 … 81.92, doubling).
const DURATION_BUCKETS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// Time to first token in seconds (OpenTelemetry GenAI conventions).
const FIRST_BYTE_BUCKETS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// The gateway's own time in seconds.
const OVERHEAD_BUCKETS: [f64; 10] = [2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 1e-2, 1e-1, 1.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    alias: Arc<str>,
    backend: Arc<str>,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    alias: Arc<str>,
    backend: Arc<str>,
    class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    alias: Arc<str>,
    backend: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConsumerLabels {
    tenant: Arc<str>,
    team: Arc<str>,
    subscription: Arc<str>,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

type Buckets = fn() -> Histogram;

/// All metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    requests: Family<CodeLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    consumer_tokens: Family<ConsumerLabels, Counter>,
    durations: Family<RouteLabels, Histogram, Buckets>,
    first_bytes: Family<RouteLabels, Histogram, Buckets>,
    overhead: Histogram,
    cache_lookup_failures: Counter,
    expression_failures: Counter,
    /// Usage reports of backends that said more than one call can use.
    pub disbelieved_reports: Counter,
    deployments: DeploymentMetrics,
    probes: ProbeMetrics,
    replicas: ReplicaMetrics,
    pending: PendingMetrics,
    limiters: LimiterMetrics,
    ledger: LedgerMetrics,
    overload: OverloadMetrics,
    token_counts: TokenCountMetrics,
    scraping: Mutex<()>,
    routes: SeriesCache<RouteSeries>,
    consumers: SeriesCache<ConsumerSeries>,
}

/// The metrics of one alias at one backend, resolved.
struct RouteSeries {
    labels: RouteLabels,
    duration: Histogram,
    first_byte: Histogram,
    outcomes: [RwLock<Option<Counter>>; 9],
    classes: [RwLock<Option<Counter>>; 15],
}

/// The metrics of one subscription, resolved.
struct ConsumerSeries {
    input: Counter,
    output: Counter,
}

impl Metrics {
    /// Fresh metrics, all zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("tollgate");
        let metrics = Self {
            requests: Family::default(),
            attempts: Family::default(),
            tokens: Family::default(),
            consumer_tokens: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATION_BUCKETS)),
            first_bytes: Family::new_with_constructor(|| Histogram::new(FIRST_BYTE_BUCKETS)),
            overhead: Histogram::new(OVERHEAD_BUCKETS),
            cache_lookup_failures: Counter::default(),
            expression_failures: Counter::default(),
            disbelieved_reports: Counter::default(),
            deployments: DeploymentMetrics::register(&mut registry),
            probes: ProbeMetrics::register(&mut registry),
            replicas: ReplicaMetrics::register(&mut registry),
            pending: PendingMetrics::register(&mut registry),
            limiters: LimiterMetrics::register(&mut registry),
            ledger: LedgerMetrics::register(&mut registry),
            overload: OverloadMetrics::register(&mut registry),
            token_counts: TokenCountMetrics::register(&mut registry),
            scraping: Mutex::new(()),
            routes: SeriesCache::default(),
            consumers: SeriesCache::default(),
            registry: Registry::default(),
        };
        metrics.register(&mut registry);
        Self { registry, ..metrics }
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("requests", "Requests by stable error code, `ok` for none", self.requests.clone());
        registry.register(
            "attempts",
            "Upstream attempts, cache answers and refusals by outcome",
            self.attempts.clone(),
        );
        registry.register("tokens", "Tokens by class", self.tokens.clone());
        registry.register(
            "consumer_tokens",
            "Tokens by consumer and direction",
            self.consumer_tokens.clone(),
        );
        registry.register_with_unit(
            "attempt_duration",
            "Start of an attempt to its last byte",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register_with_unit(
            "time_to_first_byte",
            "Start of an attempt to the first byte of its answer",
            Unit::Seconds,
            self.first_bytes.clone(),
        );
        registry.register_with_unit(
            "gateway_overhead",
            "Time in the gateway before the first upstream call",
            Unit::Seconds,
            self.overhead.clone(),
        );
        registry.register(
            "cache_lookup_failures",
            "Cache lookups that failed or took too long",
            self.cache_lookup_failures.clone(),
        );
        registry.register(
            "expression_failures",
            "Expressions of the configuration that had no value for a request",
            self.expression_failures.clone(),
        );
        registry.register(
            "disbelieved_usage_reports",
            "Usage reports of backends that said more than one call can use",
            self.disbelieved_reports.clone(),
        );
    }

    /// A request got its answer, or its error of this code.
    pub fn request_ended(&self, code: Option<&'static str>) {
        self.requests.get_or_create(&CodeLabels { code: code.unwrap_or("ok") }).inc();
    }

    /// An event was settled.
    pub fn attempt_ended(&self, event: &UsageEvent) {
        let route = self.route(event);
        let index = event.outcome as usize;
        counter(
            &route.outcomes[index],
            || {
                let RouteLabels { alias, backend } = route.labels.clone();
                self.attempts.get_or_create_owned(&AttemptLabels {
                    alias,
                    backend,
                    outcome: outcome_name(event.outcome),
                })
            },
            1,
        );
        for line in &event.lines {
            self.count(&route, line);
        }
        if event.attempt > 0 {
            route.duration.observe(f64::from(event.timing.latency_ms) / 1_000.0);
            self.overhead.observe(f64::from(event.timing.gateway_us) / 1_000_000.0);
            if event.timing.ttft_ms > 0 {
                route.first_byte.observe(f64::from(event.timing.ttft_ms) / 1_000.0);
            }
        }
        if !event.lines.is_empty() {
            let consumer = self.consumer(event);
            consumer.input.inc_by(event.input_tokens());
            consumer.output.inc_by(event.output_tokens());
        }
    }

    /// An event that was settled before has a later version: what is more is added.
    pub fn ended_late(&self, before: &UsageEvent, after: &UsageEvent) {
        let route = self.route(after);
        for line in &after.lines {
            let known = before.lines.iter().filter(|known| known.class == line.class).map(|known| known.qty);
            self.count(&route, &UsageLine { qty: line.qty.saturating_sub(known.sum()), ..*line });
        }
        let consumer = self.consumer(after);
        consumer.input.inc_by(after.input_tokens().saturating_sub(before.input_tokens()));
        consumer.output.inc_by(after.output_tokens().saturating_sub(before.output_tokens()));
    }

    fn count(&self, route: &RouteSeries, line: &UsageLine) {
        counter(
            &route.classes[line.class as usize],
            || {
                let RouteLabels { alias, backend } = route.labels.clone();
                let class = line.class.as_str();
                self.tokens.get_or_create_owned(&TokenLabels { alias, backend, class })
            },
            line.qty,
        );
    }

    /// A cache lookup failed or took too long.
    pub fn cache_lookup_failed(&self) {
        self.cache_lookup_failures.inc();
    }

    /// An expression of the configuration had no value for a request.
    pub fn expression_failed(&self) {
        self.expression_failures.inc();
    }

    /// Health probes of backends.
    #[must_use]
    pub fn probes(&self) -> &ProbeMetrics {
        &self.probes
    }

    /// Circuits that replicas tell each other of.
    #[must_use]
    pub fn replicas(&self) -> &ReplicaMetrics {
        &self.replicas
    }

    /// Answers that are worked on after their requests.
    #[must_use]
    pub fn pending(&self) -> &PendingMetrics {
        &self.pending
    }

    /// Everything in the OpenMetrics text format.
    #[must_use]
    pub fn encode(
        &self,
        ledger: &LedgerStatus,
        deployments: &[DeploymentSnapshot],
        limiters: &LimiterStats,
        overload: &OverloadSnapshot,
    ) -> String {
        // Two scrapes at once would see each other's half-written state.
        let _turn = self.scraping.lock();
        self.ledger.set(ledger);
        self.deployments.set(deployments);
        self.limiters.set(limiters);
        self.overload.set(overload);
        self.token_counts.set(tollgate_tokens::Counter::shared().stats());
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            tracing::error!("metrics cannot be written");
        }
        text
    }

    fn route(&self, event: &UsageEvent) -> Arc<RouteSeries> {
        // The alias of a refused request may be anything the client made up.
        let known = event.error_code.as_deref() != Some("model_not_found");
        let alias = if known { &*event.call.model_requested } else { "unknown" };
        self.routes.get(&[alias, &event.call.backend], |names| {
            let labels = RouteLabels { alias: names[0].into(), backend: names[1].into() };
            RouteSeries {
                duration: self.durations.get_or_create_owned(&labels),
                first_byte: self.first_bytes.get_or_create_owned(&labels),
                outcomes: Default::default(),
                classes: Default::default(),
                labels,
            }
        })
    }

    fn consumer(&self, event: &UsageEvent) -> Arc<ConsumerSeries> {
        let payer = &event.payer;
        self.consumers.get(&[&payer.tenant, &payer.team, &payer.subscription], |names| {
            let direction = |direction| {
                let [tenant, team, subscription] = [0, 1, 2].map(|index| Arc::<str>::from(names[index]));
                self.consumer_tokens.get_or_create_owned(&ConsumerLabels {
                    tenant,
                    team,
                    subscription,
                    direction,
                })
            };
            ConsumerSeries { input: direction("input"), output: direction("output") }
        })
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Adds to a counter that is resolved on first use.
fn counter(slot: &RwLock<Option<Counter>>, resolve: impl FnOnce() -> Counter, amount: u64) {
    if let Some(known) = slot.read().as_ref() {
        known.inc_by(amount);
        return;
    }
    let counter = resolve();
    counter.inc_by(amount);
    *slot.write() = Some(counter);
}

const fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::ClientAbort => "client_abort",
        Outcome::UpstreamError => "upstream_error",
        Outcome::GatewayError => "gateway_error",
        Outcome::LimitCutoff => "limit_cutoff",
        Outcome::CacheHit => "cache_hit",
        Outcome::Recovered => "recovered",
        Outcome::Rejected => "rejected",
        Outcome::HedgeLost => "hedge_lost",
    }
}

/// Class and outcome are used as indexes; this fails to compile when a variant outgrows the arrays.
const _: () = assert!(
    TokenClass::ALL.len() == 15 && Outcome::HedgeLost as usize == 8 && TokenClass::AnswerBytes as usize == 14
);

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
