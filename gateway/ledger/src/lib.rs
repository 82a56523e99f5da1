//! The gateway's ledger: what every attempt used, written down before anybody can forget it.
//!
//! ```text
//! request path                     own threads
//! Ledger ── one write ──▶ spool ──▶ PublisherActor ──▶ event log
//!                           ▲
//!                           └────── SpoolActor (sync, rotation, deletion)
//! ```
//!
//! Invariants:
//!
//! * for every attempt whose intent is in the spool exactly one event counts, whatever dies, as long as the
//!   disk survives: its settlement, or else its intent, published under the same event id;
//! * requests never wait for an actor, and nothing is billed from memory alone;
//! * usage is never shed; content is, and is counted;
//! * an event leaves the spool only after the event log has reported that it has it.
//!
//! Modules in reading order: `options`, [`Ledger`] (`ledger`), `content`, `record` (what a spool record says), `spool`,
//! `publish`, `actors`, `status`, `error`.

mod actors;
mod content;
mod error;
mod ledger;
mod lsn;
mod options;
mod publish;
mod record;
mod spool;
mod status;
#[cfg(test)]
mod tests;

pub use self::actors::{ShutdownReport, UsageHandle, start};
pub use self::content::ContentMessage;
pub use self::error::LedgerError;
pub use self::ledger::{IntentTicket, Ledger};
pub use self::options::{FsyncPolicy, LedgerOptions, OnFull, Recovered};
pub use self::status::LedgerStatus;
