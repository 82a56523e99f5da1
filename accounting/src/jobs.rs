//! What the service does now and then: the rollup and the reconciliation.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api::App;
use crate::config::Config;
use crate::reconcile::{Reconciliation, reconcile};
use crate::store::StoreError;

/// Starts both; each ends after the run that it is in when `stopped` changes.
pub(crate) fn start(app: &App, config: &Config, stopped: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(rollup_job(app.clone(), config.rollup_interval.0, stopped.clone())),
        tokio::spawn(reconcile_job(app.clone(), config.reconcile_interval.0, stopped.clone())),
    ]
}

/// Runs `work` every `interval` until told to stop; a run is finished before the stop.
async fn every<F: Future<Output = ()>>(
    interval: Duration,
    mut stopped: watch::Receiver<bool>,
    work: impl Fn() -> F,
) {
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(interval) => work().await,
        }
    }
}

async fn rollup_job(app: App, interval: Duration, stopped: watch::Receiver<bool>) {
    every(interval, stopped, || refresh_rollup(&app)).await;
}

/// Only the member that reads partition 0 does it: two would do the same work twice (and nothing worse).
async fn refresh_rollup(app: &App) {
    if !app.health.is_leader() {
        return;
    }
    match app.rollup.refresh().await {
        Ok(days) => {
            app.metrics.rollup_days.inc_by(days as u64);
        }
        // Costs freshness: the next run starts from the same watermark.
        Err(error) => {
            tracing::warn!(%error, "the rollup was not refreshed");
            app.metrics.rollup_failures.inc();
        }
    }
}

async fn reconcile_job(app: App, interval: Duration, stopped: watch::Receiver<bool>) {
    every(interval, stopped, || reconcile_once(&app)).await;
}

async fn reconcile_once(app: &App) {
    match reconcile_and_repair(app).await {
        Ok(found) => {
            app.metrics.reconciled(&found);
            if !found.is_clean() {
                tracing::error!(
                    missing = found.missing,
                    split = found.split,
                    rollup_difference = %found.rollup_difference,
                    rollup_wrong_days = found.rollup_wrong_days.len(),
                    "the ledger does not reconcile"
                );
            }
        }
        Err(error) => {
            tracing::warn!(%error, "the ledger was not reconciled");
            app.metrics.reconcile_failures.inc();
        }
    }
}

/// The rollup is made of the events, so a day that is wrong is built again; what is found then is what counts.
async fn reconcile_and_repair(app: &App) -> Result<Reconciliation, StoreError> {
    let found = reconcile(&app.store, jiff::Timestamp::now(), app.grace).await?;
    if found.rollup_wrong_days.is_empty() || !app.health.is_leader() {
        return Ok(found);
    }
    tracing::warn!(days = ?found.rollup_wrong_days, "days of the rollup are wrong and are built again");
    app.rollup.rebuild(&found.rollup_wrong_days).await?;
    app.metrics.rollup_repaired_days.inc_by(found.rollup_wrong_days.len() as u64);
    reconcile(&app.store, jiff::Timestamp::now(), app.grace).await
}
