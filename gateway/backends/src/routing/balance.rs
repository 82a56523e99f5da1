//! The order in which targets are tried: pure.
//!
//! 1. Targets that are ready come first, then those whose committed capacity the request does not fit,
//!    then those that may not be called.
//! 2. Among equals lower group numbers come first.
//! 3. Within a group the [`super::strategy`] or the session decides.
//!
//! The draw by weight takes a pick. It is multiplied by the golden ratio of 2^64: that permutes random
//! numbers among themselves, and spreads consecutive ones as evenly as possible, so that a counter gives a
//! smooth round robin in proportion to the weights.

use smallvec::SmallVec;

/// Indexes of targets, best first.
pub type CandidateOrder = SmallVec<[usize; 8]>;

/// What does not change about one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Lower numbers are tried first.
    pub group: u32,
    /// Share of the traffic within the group; one of 0 is only tried after all others of the group.
    pub weight: u32,
    /// What sessions are hashed with; equal in every process.
    pub identity: u64,
}

/// How a target stands at this moment, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It may be called.
    Ready,
    /// It may be called, but its committed capacity is used up.
    Full,
    /// Its circuit keeps requests away.
    Down,
}

const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// Indexes of `members` in the order to be tried. `members` must be sorted by group; `arrange` puts the
/// members of one group that stand alike into their order.
pub fn order(
    members: &[Member],
    standing: impl Fn(usize) -> Standing,
    mut arrange: impl FnMut(&mut [usize]),
) -> CandidateOrder {
    let (mut order, mut behind) = (CandidateOrder::new(), SmallVec::<[(Standing, usize); 8]>::new());
    for index in 0..members.len() {
        match standing(index) {
            Standing::Ready => order.push(index),
            other => behind.push((other, index)),
        }
    }
    let mut starts = [order.len(); 2];
    for (wanted, start) in [Standing::Full, Standing::Down].into_iter().zip(&mut starts) {
        *start = order.len();
        order.extend(behind.iter().filter(|(standing, _)| *standing == wanted).map(|(_, index)| *index));
    }
    let (ready, rest) = order.split_at_mut(starts[0]);
    let (full, down) = rest.split_at_mut(starts[1] - starts[0]);
    for part in [ready, full, down] {
        for group in part.chunk_by_mut(|a, b| members[*a].group == members[*b].group) {
            if group.len() > 1 {
                arrange(group);
            }
        }
    }
    order
}

/// Puts the first `places` of one group into the order of a weighted draw without replacement: of all orders
/// that agree with the weights, the pick decides for one. The others follow as they are configured.
pub fn draw(group: &mut [usize], members: &[Member], pick: u64, places: usize) {
    let weight = |index: usize| u64::from(members[index].weight);
    let mut left: u64 = group.iter().map(|index| weight(*index)).sum();
    let mut number = pick.wrapping_mul(GOLDEN_RATIO);
    for place in 0..group.len().saturating_sub(1).min(places) {
        if left == 0 {
            return;
        }
        let at = scale(number, left);
        // All are looked at: a jump to the one that is drawn could not be foreseen, and would cost more.
        let mut sum = 0;
        let passed = group[place..].iter().filter(|index| {
            sum += weight(**index);
            sum <= at
        });
        let drawn = place + passed.count();
        left -= weight(group[drawn]);
        bring_forward(group, drawn, place);
        number = mix(number);
    }
}

/// Moves an item forward to a place. The others keep their order, which decides among weights of 0.
pub(super) fn bring_forward<T: Copy>(items: &mut [T], from: usize, to: usize) {
    let item = items[from];
    items.copy_within(to..from, to + 1);
    items[to] = item;
}

/// A number below `bound`, in proportion to `number` of all `u64`.
fn scale(number: u64, bound: u64) -> u64 {
    ((u128::from(number) * u128::from(bound)) >> 64) as u64
}

/// A number unrelated to the given one (finalizer of SplitMix64).
pub(super) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const PICKS: usize = 100_000;

    fn group(weights: &[u32]) -> Vec<Member> {
        weights.iter().map(|weight| Member { group: 1, weight: *weight, identity: 0 }).collect()
    }

    /// The order by weights alone, of members that are ready or down.
    fn by_weight(members: &[Member], ready: impl Fn(usize) -> bool, pick: u64) -> CandidateOrder {
        let standing = |index| if ready(index) { Standing::Ready } else { Standing::Down };
        order(members, standing, |group| draw(group, members, pick, usize::MAX))
    }

    /// Share of the picks for which each target comes at `place`.
    fn shares(members: &[Member], place: usize, picks: impl Iterator<Item = u64>) -> Vec<f64> {
        let mut counts = vec![0_u32; members.len()];
        for pick in picks.take(PICKS) {
            counts[by_weight(members, |_| true, pick)[place]] += 1;
        }
        counts.into_iter().map(|count| f64::from(count) / PICKS as f64).collect()
    }

    fn check_within_a_percent(actual: &[f64], expected: &[f64]) {
        for (actual, expected) in actual.iter().zip(expected) {
            assert!((actual - expected).abs() < 0.01, "{actual} is not about {expected}");
        }
    }

    #[test]
    fn first_places_are_split_by_weight_within_a_percent() {
        let members = group(&[80, 15, 5]);
        let mut random = StdRng::seed_from_u64(1);
        check_within_a_percent(
            &shares(&members, 0, std::iter::from_fn(|| Some(random.random()))),
            &[0.80, 0.15, 0.05],
        );
        check_within_a_percent(&shares(&members, 0, 0..), &[0.80, 0.15, 0.05]);
    }

    #[test]
    fn second_places_are_split_by_weight_too() {
        let mut random = StdRng::seed_from_u64(2);
        let second = shares(&group(&[60, 30, 10]), 1, std::iter::from_fn(|| Some(random.random())));
        // P(second = a) = Σ over first b of w_b · w_a / (1 − w_b)
        let expected = [
            0.3 * 0.6 / 0.7 + 0.1 * 0.6 / 0.9,
            0.6 * 0.3 / 0.4 + 0.1 * 0.3 / 0.9,
            0.6 * 0.1 / 0.4 + 0.3 * 0.1 / 0.7,
        ];
        check_within_a_percent(&second, &expected);
    }

    #[test]
    fn a_counter_as_pick_gives_a_smooth_round_robin() {
        let members = group(&[1, 1]);
        let firsts: Vec<usize> = (0..1_000).map(|pick| by_weight(&members, |_| true, pick)[0]).collect();
        let longest = firsts.chunk_by(|a, b| a == b).map(<[usize]>::len).max();
        assert!(longest <= Some(2), "{longest:?} times the same in a row");
    }

    #[test]
    fn an_unready_target_comes_last_and_its_share_goes_to_its_group() {
        let members = group(&[50, 25, 25]);
        let mut random = StdRng::seed_from_u64(3);
        let mut counts = [0_u32; 3];
        for _ in 0..PICKS {
            let order = by_weight(&members, |index| index != 0, random.random());
            assert_eq!(order[2], 0);
            counts[order[0]] += 1;
        }
        check_within_a_percent(&counts.map(|count| f64::from(count) / PICKS as f64), &[0.0, 0.5, 0.5]);
    }

    #[test]
    fn a_weight_of_nothing_is_tried_after_all_others_of_its_group() {
        for pick in 0..1_000 {
            assert_eq!(by_weight(&group(&[0, 5, 0]), |_| true, pick).as_slice(), [1, 0, 2]);
        }
        assert_eq!(by_weight(&group(&[0, 0]), |_| true, 7).as_slice(), [0, 1]);
    }

    #[test]
    fn eight_targets_need_no_heap() {
        assert!(!by_weight(&group(&[1; 8]), |index| index % 2 == 0, 5).spilled());
    }

    proptest! {
        #[test]
        fn every_target_appears_once_by_standing_and_then_by_group(
            mut members in proptest::collection::vec((0_u32..4, 0_u32..100), 0..20),
            standings in proptest::collection::vec(0_u8..3, 20),
            pick in any::<u64>(),
        ) {
            members.sort_by_key(|(group, _)| *group);
            let members: Vec<_> =
                members.into_iter().map(|(group, weight)| Member { group, weight, identity: 0 }).collect();
            let standing = |index: usize| {
                [Standing::Ready, Standing::Full, Standing::Down][usize::from(standings[index])]
            };
            let order = order(&members, standing, |group| draw(group, &members, pick, usize::MAX));
            let mut sorted = order.to_vec();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..members.len()).collect::<Vec<_>>());
            let rank = |index: &usize| (standing(*index), members[*index].group);
            prop_assert!(order.is_sorted_by_key(rank));
        }
    }
}
