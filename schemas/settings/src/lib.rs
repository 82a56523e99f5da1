//! What the configuration files of all services have in common.
//!
//! [`load`] reads YAML into a service's own types and says precisely what is wrong with it, [`mistakes`]
//! collects what a type cannot say, [`units`] are quantities as people write them, [`secret`] holds secrets
//! by reference. Nothing here knows a service, and nothing here prints a secret.

pub mod fingerprint;
pub mod load;
pub mod mistakes;
pub mod secret;
pub mod units;

pub use fingerprint::Fingerprint;
pub use load::{ConfigError, EXIT_CONFIG};
pub use mistakes::{Mistake, Mistakes};
pub use secret::{SecretError, SecretTemplate};
