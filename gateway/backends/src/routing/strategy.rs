//! Which target of a priority group is the best one now: pure.
//!
//! Least busy and latency compare loads, which are read once per decision. Up to `SCANNED` targets are
//! compared by how busy they are; of more, and for latency, only two that were drawn by weight: a crowd of
//! gateways that all follow the same numbers would otherwise run from one target to the next together.

use smallvec::SmallVec;
use tollgate_config::Strategy;

use super::balance::{Member, draw};

/// Most targets whose loads are all compared.
const SCANNED: usize = 8;
/// Places of a group that are drawn by weight. The others follow as they are configured: a request hardly ever
/// comes that far.
const DRAWN: usize = 3;

/// Loads of targets at this moment.
pub trait Loads {
    /// Calls under way.
    fn in_flight(&self, index: usize) -> u32;
    /// Recent time to the first byte, µs; 0 if it is unknown.
    fn first_byte_us(&self, index: usize) -> u64;
}

/// Puts one group into the order to be tried. `pick` is a random number, for round robin a counter.
pub fn arrange(strategy: Strategy, group: &mut [usize], members: &[Member], loads: &impl Loads, pick: u64) {
    match strategy {
        Strategy::Weighted => draw(group, members, pick, DRAWN),
        Strategy::RoundRobin => {
            let turn = pick % (group.len() as u64).max(1);
            group.rotate_left(turn as usize);
        }
        Strategy::LeastBusy => {
            let busy = |index: usize| Share { calls: loads.in_flight(index), weight: members[index].weight };
            if group.len() > SCANNED {
                draw(group, members, pick, 2);
                sort_by_load(&mut group[..2], busy);
            } else {
                let equals = sort_by_load(group, busy);
                draw(&mut group[..equals], members, pick, DRAWN);
            }
        }
        Strategy::Latency => {
            draw(group, members, pick, 2);
            let compared = group.len().min(2);
            sort_by_load(&mut group[..compared], |index| expected_wait(loads, index));
        }
    }
}

/// Sorts a few indexes by loads that are read once each; equal ones keep their order. Answers how many have the
/// lowest load.
fn sort_by_load<L: PartialOrd>(group: &mut [usize], load: impl Fn(usize) -> L) -> usize {
    let mut loaded: SmallVec<[(L, usize); SCANNED]> =
        group.iter().map(|index| (load(*index), *index)).collect();
    for end in 1..loaded.len() {
        let mut at = end;
        while at > 0 && loaded[at].0 < loaded[at - 1].0 {
            loaded.swap(at, at - 1);
            at -= 1;
        }
    }
    for (place, (_, index)) in group.iter_mut().zip(&loaded) {
        *place = *index;
    }
    loaded.iter().take_while(|(load, _)| loaded.first().is_some_and(|(lowest, _)| load == lowest)).count()
}

/// Calls under way for a weight, compared as fractions.
#[derive(Debug, Clone, Copy)]
struct Share {
    calls: u32,
    weight: u32,
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(std::cmp::Ordering::Equal)
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        let mine = u64::from(self.calls) * u64::from(other.weight);
        let theirs = u64::from(other.calls) * u64::from(self.weight);
        Some(mine.cmp(&theirs))
    }
}

/// µs until an answer would begin. A target of which nothing is known yet is tried at once, but by one
/// request only until it has answered.
fn expected_wait(loads: &impl Loads, index: usize) -> u64 {
    let calls = u64::from(loads.in_flight(index));
    match (loads.first_byte_us(index), calls) {
        (0, 0) => 0,
        (0, calls) => (u64::MAX >> 32).saturating_add(calls),
        (known, calls) => known.saturating_mul(calls + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls under way and time to the first byte of each target.
    struct Fixed(Vec<(u32, u64)>);

    impl Loads for Fixed {
        fn in_flight(&self, index: usize) -> u32 {
            self.0[index].0
        }
        fn first_byte_us(&self, index: usize) -> u64 {
            self.0[index].1
        }
    }

    fn members(weights: &[u32]) -> Vec<Member> {
        weights.iter().map(|weight| Member { group: 0, weight: *weight, identity: 0 }).collect()
    }

    /// How often each target comes first in 10,000 picks.
    fn firsts(strategy: Strategy, weights: &[u32], loads: &[(u32, u64)]) -> Vec<u32> {
        let (members, loads) = (members(weights), Fixed(loads.to_vec()));
        let mut counts = vec![0; weights.len()];
        for pick in 0..10_000 {
            let mut group: Vec<usize> = (0..weights.len()).collect();
            arrange(strategy, &mut group, &members, &loads, pick);
            counts[group[0]] += 1;
        }
        counts
    }

    #[test]
    fn round_robin_takes_turns_whatever_the_weights() {
        let members = members(&[5, 1, 1]);
        let loads = Fixed(vec![(0, 0); 3]);
        let turns: Vec<usize> = (0..6)
            .map(|pick| {
                let mut group = vec![0, 1, 2];
                arrange(Strategy::RoundRobin, &mut group, &members, &loads, pick);
                group[0]
            })
            .collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn the_least_busy_for_its_weight_comes_first() {
        assert_eq!(firsts(Strategy::LeastBusy, &[1, 1, 1], &[(3, 0), (1, 0), (2, 0)]), [0, 10_000, 0]);
        assert_eq!(firsts(Strategy::LeastBusy, &[10, 1], &[(9, 0), (1, 0)]), [10_000, 0]);
    }

    #[test]
    fn equally_busy_targets_share_by_weight() {
        let counts = firsts(Strategy::LeastBusy, &[3, 1], &[(0, 0), (0, 0)]);
        assert!((7_400..7_600).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn of_many_targets_the_busiest_is_never_the_first_choice() {
        let mut loads = vec![(1, 0); 12];
        loads[4] = (50, 0);
        assert_eq!(firsts(Strategy::LeastBusy, &[1; 12], &loads)[4], 0);
    }

    #[test]
    fn the_slowest_of_three_is_never_the_first_choice() {
        let counts = firsts(Strategy::Latency, &[1, 1, 1], &[(0, 9_000), (0, 500), (0, 800)]);
        assert_eq!(counts[0], 0);
        assert!(counts[1] > counts[2] && counts[2] > 0, "{counts:?}");
    }

    #[test]
    fn a_fast_target_that_is_crowded_gives_way_to_a_slower_one() {
        assert_eq!(firsts(Strategy::Latency, &[1, 1], &[(9, 500), (0, 4_000)]), [0, 10_000]);
    }

    #[test]
    fn a_target_without_a_measurement_gets_one_request_at_a_time() {
        assert_eq!(firsts(Strategy::Latency, &[1, 1], &[(0, 0), (3, 500)]), [10_000, 0]);
        assert_eq!(firsts(Strategy::Latency, &[1, 1], &[(1, 0), (3, 500)]), [0, 10_000]);
    }
}
