//! What operators switch on: one file each with its check. Their order is the pipeline's, never the
//! configuration's.

pub mod cache_client;
pub mod content_events;
pub mod semantic_cache;
pub mod shared_account;
pub mod token_limit;
