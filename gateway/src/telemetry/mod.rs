//! What the gateway says about itself: metrics, logs, spans.

pub mod background;
pub mod metrics;
pub mod redact;
mod series;
pub mod spans;
mod token_counts;
pub mod tracing;
