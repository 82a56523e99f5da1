//! Active health probes: a cheap GET now and then, so that a backend's failure, and its recovery, need no
//! client's request to be noticed.
//!
//! One task per probed backend on the thread that starts them; what a probe finds concerns all models there.
//! Probes cost nothing, so they are in no ledger, only in the metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio::task::JoinHandle;
use tollgate_backends::Backends;
use tollgate_backends::backend::Backend;
use tollgate_backends::call::{CallError, Caller, collect};
use tollgate_config::{Config, ProbeConfig};
use tollgate_runtime::snapshot::Snapshot;

use crate::gateway::Gateway;
use crate::telemetry::background::ProbeMetrics;

/// Largest answer that is read to its end to keep the connection; longer ones cost a connection.
const MAX_ANSWER: usize = 1 << 20;

/// The running probes. Dropped, they stop.
#[derive(Debug)]
pub struct Probes(Vec<JoinHandle<()>>);

impl Probes {
    /// Starts the configured probes of backends that serve a model. Must be called inside an actix system.
    #[must_use]
    pub fn start(config: &Config, gateway: &Gateway, caller: Caller) -> Self {
        let snapshot = gateway.snapshot.load();
        let caller = std::rc::Rc::new(caller);
        let probed = config.backends.iter().filter_map(|(name, backend)| {
            let (config, target) = (backend.probe.clone()?, backend_of(&snapshot, name)?);
            let uri = config.uri(&backend.url)?;
            Some(Probe {
                backend: target,
                config,
                uri,
                caller: std::rc::Rc::clone(&caller),
                backends: gateway.backends.clone(),
                metrics: gateway.metrics.probes().clone(),
            })
        });
        Self(probed.map(|probe| actix_rt::spawn(probe.run())).collect())
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

fn backend_of(snapshot: &Snapshot, name: &str) -> Option<Arc<Backend>> {
    let targets = snapshot.models.values().flat_map(|model| &model.targets);
    targets.map(|target| &target.backend).find(|backend| &*backend.name == name).cloned()
}

/// What one probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Healthy,
    Unwell(&'static str),
    /// The gateway had no credentials to show: that says nothing about the backend.
    Nothing,
}

struct Probe {
    backend: Arc<Backend>,
    config: ProbeConfig,
    uri: http::Uri,
    caller: std::rc::Rc<Caller>,
    backends: Backends,
    metrics: ProbeMetrics,
}

impl Probe {
    async fn run(self) {
        let every = self.config.every.0;
        // Replicas that start together do not probe together.
        tokio::time::sleep(every.mul_f64(rand::rng().random_range(0.0..1.0))).await;
        let mut healthy = true;
        loop {
            let started = Instant::now();
            let finding = self.look().await;
            self.metrics.ended(&self.backend.name, name(finding), started.elapsed());
            if finding != Finding::Nothing {
                let is_healthy = finding == Finding::Healthy;
                self.backends.of_backend(&self.backend.name).iter().for_each(|one| one.probed(is_healthy));
                if std::mem::replace(&mut healthy, is_healthy) != is_healthy {
                    tracing::info!(backend = %self.backend.name, result = name(finding), "health probe");
                }
            }
            tokio::time::sleep(jittered(every)).await;
        }
    }

    async fn look(&self) -> Finding {
        let probe = async {
            let answer = self.caller.get(&self.backend, &self.uri).await?;
            let status = answer.status().as_u16();
            // Only the head counts; the rest is read so that the connection can be used again.
            let _ = collect(answer.into_body(), MAX_ANSWER, self.config.timeout.0).await;
            Ok(status)
        };
        match tokio::time::timeout(self.config.timeout.0, probe).await {
            Ok(Ok(status)) if self.config.expect_status.contains(status) => Finding::Healthy,
            Ok(Ok(_)) => Finding::Unwell("status"),
            Ok(Err(error)) => of_error(&error),
            Err(_) => Finding::Unwell("timeout"),
        }
    }
}

fn of_error(error: &CallError) -> Finding {
    match error {
        CallError::Credentials(_) | CallError::NoMemory => Finding::Nothing,
        CallError::Connect(_) => Finding::Unwell("connect"),
        CallError::FirstByteTimeout | CallError::Stalled => Finding::Unwell("timeout"),
        CallError::Broken(_) | CallError::TooLarge(_) => Finding::Unwell("broken"),
    }
}

const fn name(finding: Finding) -> &'static str {
    match finding {
        Finding::Healthy => "healthy",
        Finding::Unwell(why) => why,
        Finding::Nothing => "credentials",
    }
}

/// Up to a tenth earlier or later.
fn jittered(every: Duration) -> Duration {
    every.mul_f64(rand::rng().random_range(0.9..1.1))
}

#[cfg(test)]
#[path = "probes_tests.rs"]
mod tests;
