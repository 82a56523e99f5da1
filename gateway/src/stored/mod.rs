//! Answers that providers keep: ids that bind them to their owners, and the keys that those ids are made with.

pub mod derived_key;
pub mod response_ids;
pub mod shown_ids;
pub mod signing_key;
