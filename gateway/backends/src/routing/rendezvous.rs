//! Keeps a session on its target: pure.
//!
//! Highest random weight hashing (Thaler and Ravishankar, 1998): each target has a score for the session, and
//! the highest wins. When a target goes, only its own sessions move; when it comes back, only those return.
//! Nothing is stored, and every gateway that has the same targets decides alike.

use smallvec::SmallVec;
use tollgate_base::hash::fnv1a;

use super::balance::{Member, bring_forward, mix};

/// Places of a group that the session decides. The others follow as they are configured: a request hardly ever
/// comes that far.
const SOUGHT: usize = 3;

/// A number for a text that is the same in every process and version (FNV-1a, 64 bits, then mixed).
#[must_use]
pub fn stable_hash(bytes: &[u8]) -> u64 {
    mix(fnv1a(bytes.iter().copied()))
}

/// Puts the first places of one group into the session's order, sessions in proportion to the weights.
pub fn arrange(group: &mut [usize], members: &[Member], session: u64) {
    let Some(first) = group.first().map(|index| members[*index].weight) else { return };
    let alike = group.iter().all(|index| members[*index].weight == first);
    let keys: SmallVec<[u64; 8]> = group
        .iter()
        .enumerate()
        .map(|(position, index)| key(&members[*index], session, alike, position))
        .collect();
    let (mut chosen, mut last) = ([0; SOUGHT], u64::MAX);
    for place in 0..group.len().saturating_sub(1).min(SOUGHT) {
        let best = keys.iter().fold(0, |best, key| best.max(if *key < last { *key } else { 0 }));
        let position = (best & POSITION) as usize;
        // Each member from further back that was brought forward has moved this one back by one.
        let moved = chosen[..place].iter().filter(|before| **before > position).count();
        bring_forward(group, position + moved, place);
        (chosen[place], last) = (position, best);
    }
}

/// The part of a key that says where in the group its target stands.
const POSITION: u64 = 0xffff;

/// A target's score for a session, higher is better; of equal ones the identity decides, so that all gateways agree.
fn key(member: &Member, session: u64, alike: bool, position: usize) -> u64 {
    let number = mix(session ^ member.identity);
    // The logarithm is needed for unequal weights only. Numbers that are not negative compare as their bits do.
    let score = if alike { (number >> 32) as u32 } else { weighted(number, member.weight).to_bits() };
    u64::from(score) << 32 | member.identity >> 32 & !POSITION | position as u64 & POSITION
}

/// The score of a target with a weight: −weight ÷ log2(u), u uniform between 0 and 1.
fn weighted(number: u64, weight: u32) -> f32 {
    // 24 bits, so that it is exact and never 0 or 1.
    let uniform = ((number >> 41) as f32 + 0.5) / (1_u32 << 23) as f32;
    weight as f32 / minus_log2(uniform)
}

/// −log2 of a number between 0 and 1, at most 0.0005 off and nearly exact towards 1, where the winners are. By a
/// polynomial, so that it is the same in every process, whatever its system's library, and cheap for many targets.
fn minus_log2(uniform: f32) -> f32 {
    let bits = uniform.to_bits();
    let exponent = 127.0 - (bits >> 23) as f32;
    let t = f32::from_bits(bits & 0x007f_ffff | 0x3f80_0000) - 1.0;
    // log2(1 + t) = t + t(1 − t)q(t); q is exact at 0, ½ and 1.
    let q = 0.442_695 - t * (0.247_337 - t * 0.083_294);
    (exponent - t - t * (1.0 - t) * q).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSIONS: u64 = 20_000;

    fn members(weights: &[u32]) -> Vec<Member> {
        let member = |(number, weight): (usize, &u32)| Member {
            group: 0,
            weight: *weight,
            identity: stable_hash(format!("backend-{number}").as_bytes()),
        };
        weights.iter().enumerate().map(member).collect()
    }

    fn target(members: &[Member], among: &[usize], session: u64) -> usize {
        let mut group = among.to_vec();
        arrange(&mut group, members, stable_hash(&session.to_le_bytes()));
        group[0]
    }

    #[test]
    fn the_loss_of_a_target_moves_its_own_sessions_only() {
        for weights in [[1, 1, 1, 1], [70, 15, 10, 5]] {
            let members = members(&weights);
            for session in 0..SESSIONS {
                let before = target(&members, &[0, 1, 2, 3], session);
                let after = target(&members, &[0, 1, 3], session);
                assert!(before == after || before == 2, "session {session} went from {before} to {after}");
            }
        }
    }

    #[test]
    fn the_next_places_are_where_a_session_goes_when_the_first_are_lost() {
        for weights in [[1; 6], [9, 8, 40, 0, 2, 2]] {
            let members = members(&weights);
            for session in 0..1_000 {
                let mut left: Vec<usize> = (0..6).collect();
                let mut group = left.clone();
                arrange(&mut group, &members, stable_hash(&u64::to_le_bytes(session)));
                for place in &group[..SOUGHT] {
                    assert_eq!(target(&members, &left, session), *place);
                    left.retain(|index| index != place);
                }
                assert_eq!(group[SOUGHT..], left, "the others follow as they are configured");
            }
        }
    }

    #[test]
    fn sessions_are_split_by_weight_within_a_percent() {
        for weights in [[1, 1, 1], [60, 30, 10]] {
            let members = members(&weights);
            let mut counts = [0_u32; 3];
            for session in 0..SESSIONS {
                counts[target(&members, &[0, 1, 2], session)] += 1;
            }
            let sum: u32 = weights.iter().sum();
            for (count, weight) in counts.iter().zip(weights) {
                let (share, expected) =
                    (f64::from(*count) / SESSIONS as f64, f64::from(weight) / f64::from(sum));
                assert!((share - expected).abs() < 0.01, "{share} is not about {expected}");
            }
        }
    }

    #[test]
    fn the_logarithm_is_close_everywhere() {
        for step in 1..100_000_u32 {
            let uniform = step as f32 / 100_000.0;
            let (actual, expected) = (minus_log2(uniform), -uniform.log2());
            assert!((actual - expected).abs() < 0.000_5, "{uniform}: {actual} is not {expected}");
            assert!(
                uniform < 0.999 || (actual / expected - 1.0).abs() < 0.01,
                "{uniform}: {actual}, {expected}"
            );
        }
    }

    #[test]
    fn the_hash_is_the_same_in_every_version() {
        assert_eq!(stable_hash(b""), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(stable_hash(b"eastus/gpt-4o"), stable_hash(b"eastus/gpt-4o"));
        assert_ne!(stable_hash(b"eastus/gpt-4o"), stable_hash(b"eastus/gpt-4p"));
    }
}
