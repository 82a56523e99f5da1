//! Active health probes: a cheap GET now and then, so that a backend's failure, and its recovery, need no
//! client's request to be noticed.
//!
//! One task per probed backend on the thread that starts them; what a probe finds concerns all models there. They
//! follow the configuration: one whose settings stay goes on in its rhythm, with the backend as it is now.
//! Probes cost nothing, so they are in no ledger, only in the metrics.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rand::Rng;
use tokio::task::JoinHandle;
use tollgate_backends::Backends;
use tollgate_backends::backend::Backend;
use tollgate_backends::call::{BackendClient, CallError, collect};
use tollgate_config::ProbeConfig;
use tollgate_runtime::snapshot::ProbeTarget;

use crate::gateway::Gateway;
use crate::telemetry::background::ProbeMetrics;

/// Largest answer that is read to its end to keep the connection; longer ones cost a connection.
const MAX_ANSWER: usize = 1 << 20;

/// The running probes. Dropped, they stop.
#[derive(Debug)]
pub struct Probes(JoinHandle<()>);

impl Probes {
    /// Starts the probes of the current configuration and of all that replace it. Must be called inside an actix
    /// system.
    #[must_use]
    pub fn start(gateway: &Arc<Gateway>, caller: BackendClient) -> Self {
        let gateway = Arc::clone(gateway);
        let caller = Rc::new(caller);
        Self(actix_rt::spawn(async move {
            let mut running = Running::default();
            loop {
                let probe = |target: &ProbeTarget| Probe {
                    backend: Arc::new(ArcSwap::new(Arc::clone(&target.backend))),
                    config: target.config.clone(),
                    uri: target.uri.clone(),
                    caller: Rc::clone(&caller),
                    backends: gateway.backends.clone(),
                    metrics: gateway.metrics.probes().clone(),
                };
                running.follow(&gateway.snapshot.load().probes, probe);
                gateway.replaced.notified().await;
            }
        }))
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The tasks, by backend.
#[derive(Default)]
struct Running(HashMap<Arc<str>, Task>);

struct Task {
    config: ProbeConfig,
    uri: http::Uri,
    backend: Arc<ArcSwap<Backend>>,
    handle: JoinHandle<()>,
}

impl Running {
    /// Starts and stops what is not as `targets` say.
    fn follow(&mut self, targets: &[ProbeTarget], probe: impl Fn(&ProbeTarget) -> Probe) {
        let mut before = std::mem::take(&mut self.0);
        for target in targets {
            let known = before.remove(&target.backend.name);
            let same = known.filter(|task| task.config == target.config && task.uri == target.uri);
            let task = same.unwrap_or_else(|| Task::start(probe(target)));
            task.backend.store(Arc::clone(&target.backend));
            self.0.insert(Arc::clone(&target.backend.name), task);
        }
    }
}

impl Task {
    fn start(probe: Probe) -> Self {
        let (config, uri, backend) = (probe.config.clone(), probe.uri.clone(), Arc::clone(&probe.backend));
        Self { config, uri, backend, handle: actix_rt::spawn(probe.run()) }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
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
    /// As the current configuration has it.
    backend: Arc<ArcSwap<Backend>>,
    config: ProbeConfig,
    uri: http::Uri,
    caller: Rc<BackendClient>,
    backends: Backends,
    metrics: ProbeMetrics,
}

impl Probe {
    async fn run(self) {
        let every = self.config.every.0;
        let backend = Arc::clone(&self.backend.load().name);
        // Replicas that start together do not probe together.
        tokio::time::sleep(every.mul_f64(rand::rng().random_range(0.0..1.0))).await;
        let mut healthy = true;
        loop {
            let started = Instant::now();
            let finding = self.look().await;
            self.metrics.ended(&backend, name(finding), started.elapsed());
            if finding != Finding::Nothing {
                let is_healthy = finding == Finding::Healthy;
                self.backends.of_backend(&backend).iter().for_each(|one| one.probed(is_healthy));
                if std::mem::replace(&mut healthy, is_healthy) != is_healthy {
                    tracing::info!(%backend, result = name(finding), "health probe");
                }
            }
            tokio::time::sleep(jittered(every)).await;
        }
    }

    async fn look(&self) -> Finding {
        let backend = self.backend.load_full();
        let probe = async {
            let answer = self.caller.get(&backend, &self.uri).await?;
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
        CallError::Broken(_)
        | CallError::TooLarge(_)
        | CallError::UnknownCoding(_)
        | CallError::Undecodable(_) => Finding::Unwell("broken"),
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
