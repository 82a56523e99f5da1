//! Reads usage events from the embedded log of a gateway that has stopped.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tollgate_eventlog::config::EmbeddedConfig;
use tollgate_eventlog::embedded::EmbeddedLog;
use tollgate_eventlog::{EventLog as _, InRecord, Polled};
use tollgate_schemas::topics::Topic;
use tollgate_schemas::usage::{BOOT_CLOSED_TYPE, EVENT_TYPE};

use super::topic::{Records, parse};

/// Group of the reader; it commits nothing.
const GROUP: &str = "tests";
/// How long the log may take to give all it has.
const LIMIT: Duration = Duration::from_secs(30);
/// After this much silence everything was read: the files are local and nobody writes.
const SILENCE: Duration = Duration::from_millis(200);

/// All usage events in the log at `path`; blocks while it reads.
///
/// # Errors
/// When the log is still in use, cannot be read, or has a record that is not what it says.
pub fn usage(path: &Path) -> Result<Records> {
    let mut records = Records::default();
    read(path, Topic::Usage, |record| take(&mut records, record))?;
    Ok(records)
}

/// The data of all records of a topic in the log at `path`; blocks while it reads.
///
/// # Errors
/// As [`usage`].
pub fn events<T: serde::de::DeserializeOwned>(path: &Path, topic: Topic) -> Result<Vec<T>> {
    let mut events = Vec::new();
    read(path, topic, |record| {
        events.push(parse(record.payload.as_deref().unwrap_or_default())?);
        Ok(())
    })?;
    Ok(events)
}

fn read(path: &Path, topic: Topic, mut take: impl FnMut(&InRecord) -> Result<()>) -> Result<()> {
    let config = EmbeddedConfig { path: path.to_owned(), segment_bytes: 64 << 20 };
    let log = EmbeddedLog::open(&config)?;
    let mut consumer = log.consumer(GROUP, &[topic])?;
    let mut assigned = false;
    let end = Instant::now() + LIMIT;
    loop {
        ensure!(
            Instant::now() < end,
            "the log at {} gave records for {LIMIT:?} without an end",
            path.display()
        );
        match consumer.poll(SILENCE)? {
            Polled::Records(batch) => {
                for record in batch {
                    take(&record)?;
                }
            }
            Polled::Assigned(_) => assigned = true,
            Polled::Idle if assigned => return Ok(()),
            Polled::Idle | Polled::Revoked(_) => {}
        }
    }
}

fn take(records: &mut Records, record: &InRecord) -> Result<()> {
    let payload = record.payload.as_deref().unwrap_or_default();
    let kind = record.headers.iter().find(|(name, _)| *name == "ce_type").map(|(_, value)| value);
    match kind.map(|kind| String::from_utf8_lossy(kind)).as_deref() {
        Some(EVENT_TYPE) => records.events.push(parse(payload)?),
        Some(BOOT_CLOSED_TYPE) => records.closed.push(parse(payload)?),
        other => bail!("a record of type {other:?} is among the usage events"),
    }
    Ok(())
}
