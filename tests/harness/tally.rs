//! Holds usage events against what clients saw.

use std::collections::BTreeMap;

use tollgate_schemas::ids::RequestId;
use tollgate_schemas::usage::{Outcome, VERSION_FINAL, VERSION_RECOVERED};

use super::topic::Records;

/// What a report would show, beside what clients saw.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Complete requests without a final row.
    pub lost: u64,
    /// Complete requests with more final rows than one.
    pub duplicates: u64,
    /// Rows that were written from an intent.
    pub recovered: u64,
    /// Events whose versions disagree on what may not change.
    pub contradictions: u64,
}

impl Tally {
    /// Compares the topic with the requests whose clients got their whole answers.
    #[must_use]
    pub fn of(records: &Records, complete: &[RequestId]) -> Self {
        let finals = finals_by_request(records);
        let count = |request: &RequestId| finals.get(request).copied().unwrap_or(0);
        let rows = records.rows();
        let contradicting = records.by_id().into_values().filter(|versions| {
            versions.iter().any(|event| {
                event.request_id != versions[0].request_id || event.event_time_ms != versions[0].event_time_ms
            })
        });
        Self {
            lost: complete.iter().filter(|request| count(request) == 0).count() as u64,
            duplicates: complete.iter().filter(|request| count(request) > 1).count() as u64,
            recovered: rows.iter().filter(|row| row.version == VERSION_RECOVERED).count() as u64,
            contradictions: contradicting.count() as u64,
        }
    }
}

/// Final rows that went well, by request.
fn finals_by_request(records: &Records) -> BTreeMap<RequestId, u64> {
    let mut finals = BTreeMap::new();
    for row in records.rows() {
        if row.version >= VERSION_FINAL && row.outcome == Outcome::Ok {
            *finals.entry(row.request_id).or_default() += 1;
        }
    }
    finals
}
