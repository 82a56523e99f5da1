//! How the gateway identifies itself towards backends.
//!
//! [`Credentials`] are made once from their [`config`] and then asked before each call to complete its head
//! ([`Credentials::prepare`]): a fixed header or query parameter, a bearer token that has to be fetched first
//! (OAuth 2.0 client credentials, Azure managed identity, Google Cloud), or a signature (AWS SigV4).
//!
//! Modules in reading order: [`config`] is what operators write, `validate` what is wrong with it,
//! [`credentials`] the one entry, `cache` keeps a fetched value fresh, `lifetime` says when it is, `endpoint`
//! talks to token endpoints, `token` reads their answers, and one module per kind of identity: `header`,
//! `query`, `oauth2`, `azure`, `gcp` with `jwt`, `aws` with `access_key`, `sigv4` and `sts`.
//!
//! Invariants:
//! * with a fixed value or a fresh token [`Credentials::prepare`] does not wait, lock or spawn;
//! * at most one fetch runs per credential, and it outlives the request that began it;
//! * a token is renewed while it is still valid; a request fails only when there is no valid one;
//! * a fetch is bounded in time and size, and failing endpoints are left alone for a while;
//! * no secret is in a `Debug` output, a log or an error: of an endpoint's refusal only its code is kept.

mod access_key;
mod aws;
mod azure;
mod cache;
mod clock;
pub mod config;
mod context;
mod credentials;
mod endpoint;
mod environment;
mod error;
mod gcp;
mod header;
mod jwt;
mod lifetime;
mod oauth2;
mod query;
mod sigv4;
mod sts;
mod token;
mod validate;

pub use cache::Timing;
pub use clock::Clock;
pub use config::CredentialsConfig;
pub use context::CredentialContext;
pub use credentials::Credentials;
pub use environment::Environment;
pub use error::{ConfigureError, CredentialError};
