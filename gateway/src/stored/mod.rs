//! Answers that providers keep: ids that bind them to their owners, and the key that those ids are made with.

pub mod response_ids;
pub mod signing_key;
