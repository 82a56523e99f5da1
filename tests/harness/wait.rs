//! Waiting for something to become true.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a service may take to start: generous, for machines that compile at the same time.
pub const START: Duration = Duration::from_secs(60);
/// How long an effect may take to show.
pub const EFFECT: Duration = Duration::from_secs(30);

/// Asks `probe` again and again until it gives something.
///
/// # Errors
/// When that takes longer than `limit`; the error says what was waited for.
pub async fn until<T, F>(what: &str, limit: Duration, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("waited {} s in vain until {what}", limit.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
