//! The time, so that tests can set it.

use std::fmt;
use std::sync::Arc;

/// Tells ms since the Unix epoch.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// The system's time.
    #[must_use]
    pub fn system() -> Self {
        Self::new(tollgate_base::time::now_ms)
    }

    /// Whatever `now_ms` tells.
    pub fn new(now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// ms since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
