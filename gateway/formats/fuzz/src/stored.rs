//! Ids of stored answers, as the gateway has them.

#[path = "../../../src/stored/derived_key.rs"]
pub mod derived_key;
#[path = "../../../src/stored/response_ids.rs"]
pub mod response_ids;

// What those files need.
use {thiserror as _, zeroize as _};
