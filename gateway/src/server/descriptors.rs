//! How many connections the open files of the process are enough for.
//!
//! A connection costs a descriptor, and nobody needs a key for it. Without a bound the connections of strangers would
//! use up what the spool, the event log and the calls of backends need, and stop the ledger.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Descriptors that no connection may have: segments of the spool, the event log and its brokers, pages of the admin
/// listener, and in one process with accounting the parts of its tables.
const RESERVE: u64 = 1_024;
/// Most connections of one worker that nobody has configured: each costs some memory, too.
const MOST_BY_DEFAULT: usize = 20_000;
/// Taken as the limit where the system has none.
const UNLIMITED: u64 = 1 << 20;

/// There are too few descriptors for what is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "server.max_connections: {configured} connections in each of {workers} workers need more open files than the \
     process may have ({limit}): use at most {most}, leave it out, or raise the limit (`ulimit -Hn`, LimitNOFILE)"
)]
pub struct TooManyConnections {
    configured: usize,
    workers: usize,
    limit: u64,
    most: usize,
}

/// Raises the bound on open files to the most that this process may have, and returns it.
#[must_use]
pub fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit on open files stays as it is");
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED)
}

/// Connections of one worker. Each may have a call of a backend, so each counts twice.
///
/// # Errors
/// When more are configured than there are descriptors for.
pub fn connections_per_worker(
    limit: u64,
    workers: usize,
    configured: Option<usize>,
) -> Result<usize, TooManyConnections> {
    let for_connections = (limit - RESERVE.min(limit / 2)) / 2;
    let workers = workers.max(1);
    let most = usize::try_from(for_connections).unwrap_or(usize::MAX) / workers;
    match configured {
        Some(configured) if configured > most => Err(TooManyConnections { configured, workers, limit, most }),
        Some(configured) => Ok(configured),
        None => Ok(most.clamp(1, MOST_BY_DEFAULT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_and_their_calls_leave_the_reserve_alone() {
        assert_eq!(connections_per_worker(20_000, 2, None), Ok(4_744));
        assert_eq!(connections_per_worker(1_024, 4, None), Ok(64));
        for limit in [0, 1, 64, 256, 1_024, 20_000, UNLIMITED] {
            for workers in [1, 3, 64] {
                let each = connections_per_worker(limit, workers, None).unwrap() as u64;
                let used = each * workers as u64 * 2;
                assert!(each == 1 || used + RESERVE.min(limit / 2) <= limit, "{limit} {workers}");
            }
        }
    }

    #[test]
    fn more_than_there_are_descriptors_for_is_refused_and_the_message_says_how_many_there_are() {
        assert_eq!(connections_per_worker(20_000, 2, Some(4_744)), Ok(4_744));
        let refused = connections_per_worker(20_000, 2, Some(4_745)).unwrap_err();
        let message = refused.to_string();
        assert!(message.contains("at most 4744") && message.contains("(20000)"), "{message}");
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let raised = raise_limit();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum.unwrap_or(UNLIMITED));
    }
}
