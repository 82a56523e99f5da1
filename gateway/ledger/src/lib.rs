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
//! One record's life:
//!
//! ```text
//!  request thread        │ publisher's thread
//!                        │
//!  encoded ──▶ written ──┼─ read ─▶ to send ──▶ sent ──▶ finished ──▶ behind the cursor ──▶ removed with
//!     │                  │             ▲  Retry   │         ▲                               its segment
//!     │                  │             ├──────────┤         │
//!     ▼                  │             │  Refused │         │
//!  full, or the disk     │             └─ as dead ┘         │
//!  refuses:              │                letter  └─ Refused there too: kept in a local file
//!   usage    refused     │
//!   content  shed        │ An intent's record publishes nothing: it is finished when it is read, and open until
//!   settlement deferred, │ the settlement or release with its number is behind the cursor. A fatal error of the
//!     written later      │ producer starts over at the cursor: what was read behind it is read again.
//! ```
//!
//! Words, each for one thing:
//!
//! | word | meaning |
//! |---|---|
//! | event | what is published: a usage or content event |
//! | record | what one entry of the spool says: an event, or the release of an intent; its `Head` comes first |
//! | frame | a record with length and checksum, as it stands in a segment |
//! | intent | the record that an attempt begins, and the number that its settlement or release repeats |
//! | ticket | the caller's hold on an open intent |
//! | sequence number | 1, 2, 3 … within a boot, given to each usage event that the spool takes |
//! | `Lsn` | where a record stands: segment and offset; a `Span` is where it starts and ends |
//! | cursor | the `Lsn` before which everything is published, apart from the open intents |
//! | slot | a record between cursor and reading end; its token is its number, the window is all of them |
//! | letter | a record that neither its topic nor the dead-letter topic took |
//!
//! Modules in reading order: `options`, [`Ledger`] (`ledger`), `ticket`, `recorder` (events into frames),
//! `content`, `record` (what a spool record says), `spool`, `publish`, `actors`, `pending_log` (what is not over when its
//! row is written), `status`, `metrics`, `error`.

mod actors;
mod content;
mod error;
mod ledger;
mod lsn;
mod metrics;
mod options;
mod pending_log;
mod publish;
mod record;
mod recorder;
mod spool;
mod status;
#[cfg(test)]
mod tests;
mod ticket;

pub use self::actors::{ShutdownReport, UsageHandle, start};
pub use self::content::ContentMessage;
pub use self::error::LedgerError;
pub use self::ledger::Ledger;
pub use self::metrics::LedgerMetrics;
pub use self::options::{FsyncPolicy, LedgerOptions, OnFull, Recovered};
pub use self::pending_log::PendingLog;
pub use self::status::LedgerStatus;
pub use self::ticket::IntentTicket;
