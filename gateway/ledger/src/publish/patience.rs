//! How long a record is waited for that cannot be read. Pure.
//!
//! Only errors of the medium are counted: what a process lacks (file descriptors, memory) comes back.

use std::collections::BTreeMap;
use std::io;

use super::super::lsn::Lsn;

/// Tries to read one place. With pauses of up to five seconds they take about ten minutes: a volume that is away for a
/// moment costs nothing.
pub(super) const MOST_TRIES: u32 = 120;
/// Tries where the place before was given up: damage seldom comes alone.
const TRIES_NEXT_TO_DAMAGE: u32 = 3;
/// Places that are counted; further ones wait.
const MOST_PLACES: usize = 1_024;
/// Input/output error of Linux; `std` has no kind for it.
const EIO: i32 = 5;

/// What could not be read, and how often.
#[derive(Debug, Default)]
pub(super) struct Patience {
    tries: BTreeMap<Lsn, u32>,
    next_to_damage: bool,
}

impl Patience {
    /// Notes a failure; true when the place is given up.
    pub(super) fn is_over(&mut self, at: Lsn, error: &io::Error) -> bool {
        if !is_of_the_medium(error) || self.tries.len() >= MOST_PLACES && !self.tries.contains_key(&at) {
            return false;
        }
        let tries = self.tries.entry(at).or_default();
        *tries += 1;
        let most = if self.next_to_damage { TRIES_NEXT_TO_DAMAGE } else { MOST_TRIES };
        if *tries < most {
            return false;
        }
        self.tries.remove(&at);
        self.next_to_damage = true;
        true
    }

    /// Notes that a place was read, or need not be.
    pub(super) fn succeeded(&mut self, at: Lsn) {
        if !self.tries.is_empty() || self.next_to_damage {
            self.tries.remove(&at);
            self.next_to_damage = false;
        }
    }
}

fn is_of_the_medium(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    error.raw_os_error() == Some(EIO) || matches!(error.kind(), InvalidData | NotFound | UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Lsn {
        Lsn { segment: 1, offset }
    }

    fn broken() -> io::Error {
        io::Error::from_raw_os_error(EIO)
    }

    #[test]
    fn a_place_is_given_up_after_many_tries_and_its_neighbour_after_few() {
        let mut patience = Patience::default();
        assert!((1..MOST_TRIES).all(|_| !patience.is_over(at(16), &broken())));
        assert!(patience.is_over(at(16), &broken()));
        assert!((1..TRIES_NEXT_TO_DAMAGE).all(|_| !patience.is_over(at(50), &broken())));
        assert!(patience.is_over(at(50), &broken()));
        patience.succeeded(at(90));
        assert!((1..MOST_TRIES).all(|_| !patience.is_over(at(120), &broken())));
    }

    #[test]
    fn a_place_that_is_read_after_all_has_all_its_tries_again() {
        let mut patience = Patience::default();
        assert!((1..MOST_TRIES).all(|_| !patience.is_over(at(16), &broken())));
        patience.succeeded(at(16));
        assert!((1..MOST_TRIES).all(|_| !patience.is_over(at(16), &broken())));
    }

    #[test]
    fn what_the_process_lacks_is_waited_for() {
        let mut patience = Patience::default();
        let lacking = io::Error::from_raw_os_error(24);
        assert!((0..10 * MOST_TRIES).all(|_| !patience.is_over(at(16), &lacking)));
    }
}
