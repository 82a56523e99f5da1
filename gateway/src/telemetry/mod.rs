//! What the gateway says about itself, and the clock that it measures with.

pub mod background;
pub mod clock;
mod load;
pub mod metrics;
pub mod redact;
mod scrape;
pub mod trace_context;
pub mod tracing;
