//! What the gateway says about itself, and the clock that it measures with.

pub mod clock;
