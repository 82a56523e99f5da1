//! Whether the disk takes records, and when to try again. Pure.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// What is known of the disk.
#[derive(Debug, Default)]
pub(crate) enum Health {
    /// It takes records.
    #[default]
    Good,
    /// It refused; nothing is written until a fresh segment could be made.
    Failed {
        error: Arc<io::Error>,
        /// A sync failed: the old file must not be synced again.
        sync_failed: bool,
        try_at: Instant,
        pause: Duration,
    },
}

impl Health {
    /// Notes a failure.
    pub(crate) fn fail(&mut self, error: Arc<io::Error>, is_sync: bool, now: Instant) {
        let (pause, sync_failed) = match self {
            Self::Good => (FIRST_RETRY, is_sync),
            Self::Failed { pause, sync_failed, .. } => {
                ((*pause * 2).min(LAST_RETRY), *sync_failed || is_sync)
            }
        };
        *self = Self::Failed { error, sync_failed, try_at: now + pause, pause };
    }

    /// Why nothing can be written, if so.
    pub(crate) fn error(&self) -> Option<&Arc<io::Error>> {
        match self {
            Self::Good => None,
            Self::Failed { error, .. } => Some(error),
        }
    }

    /// Whether it is time to try a fresh segment.
    pub(crate) fn retry_is_due(&self, now: Instant) -> bool {
        matches!(self, Self::Failed { try_at, .. } if now >= *try_at)
    }

    /// Whether the file that was in use may still be synced.
    pub(crate) fn sync_failed(&self) -> bool {
        matches!(self, Self::Failed { sync_failed: true, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> Arc<io::Error> {
        Arc::new(io::ErrorKind::StorageFull.into())
    }

    #[test]
    fn pauses_between_retries_grow_to_a_bound() {
        let now = Instant::now();
        let mut health = Health::Good;
        assert!(!health.retry_is_due(now));
        health.fail(error(), false, now);
        assert!(!health.retry_is_due(now));
        assert!(health.retry_is_due(now + FIRST_RETRY));
        for _ in 0..10 {
            health.fail(error(), false, now);
        }
        assert!(!health.retry_is_due(now + LAST_RETRY - Duration::from_millis(1)));
        assert!(health.retry_is_due(now + LAST_RETRY));
    }

    #[test]
    fn a_failed_sync_is_remembered_through_later_failures() {
        let mut health = Health::Good;
        health.fail(error(), true, Instant::now());
        health.fail(error(), false, Instant::now());
        assert!(health.sync_failed() && health.error().is_some());
    }
}
