//! What is published, and how usage events are kept until they are.

use serde::{Deserialize, Serialize};
use tollgate_settings::units::Bytes;

/// Whether prompts and completions are published; they leave the gateway only when this says so.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ContentConfig {
    /// Publish request bodies.
    pub prompts: bool,
    /// Publish answers.
    pub completions: bool,
    /// Longer texts are cut.
    pub max_size: Bytes,
}

impl Default for ContentConfig {
    fn default() -> Self {
        Self { prompts: false, completions: false, max_size: Bytes(256 << 10) }
    }
}

/// How usage events are kept until they are published.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SpoolConfig {
    /// When records are forced to the disk. Records always survive the death of the process; this is
    /// about loss of power.
    pub fsync: FsyncConfig,
    /// How much may wait for the event log.
    pub max_size: Bytes,
    /// What happens to requests when that is full.
    pub on_full: OnFullConfig,
}

impl Default for SpoolConfig {
    fn default() -> Self {
        Self { fsync: FsyncConfig::Group, max_size: Bytes(8 << 30), on_full: OnFullConfig::Reject }
    }
}

/// When spool records are forced to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FsyncConfig {
    /// By the operating system alone.
    None,
    /// Within 20 ms, many at a time.
    Group,
    /// Each before its answer is complete.
    Each,
}

/// What happens to requests when the spool is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnFullConfig {
    /// They are refused with 503.
    Reject,
    /// They are served without a usage event, and counted.
    AllowUnmetered,
}
