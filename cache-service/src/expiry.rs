//! Forgets what has expired, and keeps the gauges of the index up to date.
//!
//! Expired entries are never found anyway; sweeping gives their room back.

use std::sync::Arc;
use std::time::Duration;

use crate::lookup::Cache;
use tollgate_base::errors::chain;

/// Sweeps at once and then every `interval`, until the task is aborted.
pub(crate) async fn sweep_forever(cache: Cache, interval: Duration) {
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sweep(&cache).await;
    }
}

/// One sweep, on a blocking thread: the embedded index writes files.
pub(crate) async fn sweep(cache: &Cache) {
    let (index, runtime, now_ms) = (Arc::clone(&cache.index), cache.runtime.clone(), cache.clock.now_ms());
    let work = cache.runtime.spawn_blocking(move || {
        runtime.block_on(async {
            index.sweep(now_ms).await?;
            index.stats().await
        })
    });
    match work.await {
        Ok(Ok(stats)) => {
            cache.metrics.entries.set(i64::try_from(stats.entries).unwrap_or(i64::MAX));
            cache.metrics.index_bytes.set(i64::try_from(stats.bytes).unwrap_or(i64::MAX));
        }
        Ok(Err(error)) => tracing::warn!(error = %chain(&error), "sweeping the cache index failed"),
        Err(error) => tracing::error!(error = %error, "sweeping the cache index ended badly"),
    }
}
