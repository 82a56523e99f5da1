//! What the gateway says about itself, and the clock that it measures with.

pub mod background;
mod load;
pub mod metrics;
pub mod redact;
mod scrape;
pub mod tracing;
