//! What the configuration files of all services have in common.
//!
//! [`load`] reads YAML into a service's own types and says precisely what is wrong with it, [`mistakes`]
//! collects what a type cannot say, [`units`] are quantities as people write them, [`secret`] holds secrets
//! by reference, [`plain_secrets`] finds those that are not. Nothing here knows a service, and nothing here prints a secret.

pub mod fingerprint;
pub mod load;
pub mod mistakes;
mod plain_secrets;
pub mod secret;
pub mod units;

pub use fingerprint::Fingerprint;
pub use load::{ConfigError, EXIT_CONFIG};
pub use mistakes::{Mistake, Mistakes};
pub use plain_secrets::plain_secrets;
pub use secret::{SecretError, SecretTemplate, not_a_secret};
