//! Words of all formats, collected by `build.rs`.

/// Names of fields and values, sorted.
pub const WORDS: &[&str] = include!(concat!(env!("OUT_DIR"), "/words.rs"));
