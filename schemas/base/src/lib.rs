//! What every crate of Tollgate shares: the clock of decisions, wall time, error chains, hashes that never change,
//! names that somebody may have meant, headers whatever library carries them, and metrics of numbers that are counted
//! elsewhere.

pub mod clock;
pub mod errors;
pub mod hash;
pub mod headers;
pub mod metrics;
pub mod names;
pub mod time;
