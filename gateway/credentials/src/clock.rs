//! The clock of tokens and signatures: monotonic time for ages, wall time for what goes into a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of both times; clones show the same.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System(Instant),
    Manual { epoch: Duration, elapsed_ms: Arc<AtomicU64> },
}

impl Clock {
    /// Real time.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(Instant::now()))
    }

    /// A clock that stands at `epoch` (since 1970) until it is moved.
    #[must_use]
    pub fn manual(epoch: Duration) -> Self {
        Self(Source::Manual { epoch, elapsed_ms: Arc::default() })
    }

    /// Milliseconds since the clock was made; never goes back.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System(start) => millis(start.elapsed()),
            Source::Manual { elapsed_ms, .. } => elapsed_ms.load(Ordering::Acquire),
        }
    }

    /// Wall time since 1970.
    #[must_use]
    pub fn unix(&self) -> Duration {
        match &self.0 {
            Source::System(_) => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            Source::Manual { epoch, elapsed_ms } => {
                *epoch + Duration::from_millis(elapsed_ms.load(Ordering::Acquire))
            }
        }
    }

    /// Moves a manual clock forward; real time stays as it is.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { elapsed_ms, .. } = &self.0 {
            elapsed_ms.fetch_add(millis(by), Ordering::AcqRel);
        }
    }
}

/// Whole milliseconds of a duration, saturating.
#[must_use]
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
