//! What the gateway says about itself: metrics, logs, spans.

pub mod background;
mod load;
pub mod metrics;
pub mod redact;
mod scrape;
pub mod spans;
pub mod tracing;
