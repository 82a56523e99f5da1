//! Who of a consumer group reads which partition. Pure: no files, no clock, no threads.
//!
//! Invariants: a partition has at most one reader; a partition moves to another reader only after the old
//! one has taken notice (its [`Change::Revoked`] was handed out) or left the group.

use std::collections::{BTreeMap, BTreeSet};

use crate::port::TopicPartition;

/// A member of a group; ids are never used again.
pub(super) type MemberId = u64;

/// What changed for one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
}

#[derive(Debug, Default)]
struct Member {
    /// Partitions of the topics it subscribed to.
    wants: BTreeSet<TopicPartition>,
    /// What it reads, as far as it knows.
    owns: BTreeSet<TopicPartition>,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    members: BTreeMap<MemberId, Member>,
    /// The reader each partition should have.
    target: BTreeMap<TopicPartition, MemberId>,
}

impl Group {
    /// Adds a member that reads the given partitions together with the others.
    pub(super) fn join(&mut self, member: MemberId, wants: impl IntoIterator<Item = TopicPartition>) {
        self.members.insert(member, Member { wants: wants.into_iter().collect(), owns: BTreeSet::new() });
        self.balance();
    }

    /// Takes a member out; its partitions are free at once.
    pub(super) fn leave(&mut self, member: MemberId) {
        self.members.remove(&member);
        self.balance();
    }

    /// What changed for the member since it asked last. Revocations come first.
    pub(super) fn take_change(&mut self, id: MemberId) -> Option<Change> {
        let member = self.members.get(&id)?;
        let revoked: Vec<_> =
            member.owns.iter().filter(|tp| self.target.get(tp) != Some(&id)).copied().collect();
        if !revoked.is_empty() {
            let member = self.members.get_mut(&id)?;
            revoked.iter().for_each(|tp| {
                member.owns.remove(tp);
            });
            return Some(Change::Revoked(revoked));
        }
        let assigned: Vec<_> = self
            .target
            .iter()
            .filter(|(tp, to)| **to == id && self.reader(tp).is_none())
            .map(|(tp, _)| *tp)
            .collect();
        if assigned.is_empty() {
            return None;
        }
        self.members.get_mut(&id)?.owns.extend(&assigned);
        Some(Change::Assigned(assigned))
    }

    /// Whether the member reads the partition now.
    pub(super) fn owns(&self, id: MemberId, partition: TopicPartition) -> bool {
        self.members.get(&id).is_some_and(|member| member.owns.contains(&partition))
    }

    fn reader(&self, partition: &TopicPartition) -> Option<MemberId> {
        self.members.iter().find(|(_, member)| member.owns.contains(partition)).map(|(id, _)| *id)
    }

    /// Chooses a new target: partitions stay where they are unless that member has too many.
    fn balance(&mut self) {
        let wanted: BTreeSet<TopicPartition> =
            self.members.values().flat_map(|member| member.wants.iter().copied()).collect();
        let mut load: BTreeMap<MemberId, usize> = self.members.keys().map(|id| (*id, 0)).collect();
        let mut target = BTreeMap::new();
        for partition in &wanted {
            let keeper = self.reader(partition).or_else(|| self.target.get(partition).copied());
            let keeper = keeper.filter(|id| self.wants(*id, partition));
            if let Some(id) = keeper.or_else(|| self.least_loaded(partition, &load)) {
                *load.entry(id).or_default() += 1;
                target.insert(*partition, id);
            }
        }
        for (partition, owner) in &mut target {
            let Some(id) = self.least_loaded(partition, &load) else { continue };
            if load.get(owner).copied().unwrap_or(0) > load.get(&id).copied().unwrap_or(0) + 1 {
                *load.entry(*owner).or_default() -= 1;
                *load.entry(id).or_default() += 1;
                *owner = id;
            }
        }
        self.target = target;
    }

    fn wants(&self, id: MemberId, partition: &TopicPartition) -> bool {
        self.members.get(&id).is_some_and(|member| member.wants.contains(partition))
    }

    /// Among those that want the partition, the one with the fewest.
    fn least_loaded(&self, partition: &TopicPartition, load: &BTreeMap<MemberId, usize>) -> Option<MemberId> {
        let candidates = load.iter().filter(|(id, _)| self.wants(**id, partition));
        candidates.min_by_key(|(id, count)| (**count, **id)).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Topic;
    use proptest::prelude::*;

    fn partitions(count: u16) -> Vec<TopicPartition> {
        (0..count).map(|partition| TopicPartition { topic: Topic::Usage, partition }).collect()
    }

    fn settle(group: &mut Group, members: &[MemberId]) {
        for _ in 0..4 {
            for member in members {
                while group.take_change(*member).is_some() {}
            }
        }
    }

    fn owned(group: &Group, member: MemberId) -> usize {
        partitions(64).into_iter().filter(|tp| group.owns(member, *tp)).count()
    }

    #[test]
    fn a_lone_member_reads_everything() {
        let mut group = Group::default();
        group.join(1, partitions(8));
        assert_eq!(group.take_change(1), Some(Change::Assigned(partitions(8))));
        assert_eq!(group.take_change(1), None);
    }

    #[test]
    fn a_second_member_gets_its_half_only_after_the_first_has_let_go() {
        let mut group = Group::default();
        group.join(1, partitions(8));
        group.take_change(1);
        group.join(2, partitions(8));
        assert_eq!(group.take_change(2), None);
        let Some(Change::Revoked(revoked)) = group.take_change(1) else { panic!("nothing was revoked") };
        assert_eq!(revoked.len(), 4);
        assert_eq!(group.take_change(2), Some(Change::Assigned(revoked)));
    }

    #[test]
    fn partitions_of_a_member_that_left_go_to_the_others_at_once() {
        let mut group = Group::default();
        group.join(1, partitions(6));
        group.join(2, partitions(6));
        settle(&mut group, &[1, 2]);
        group.leave(1);
        assert!(matches!(group.take_change(2), Some(Change::Assigned(new)) if new.len() == 3));
        assert_eq!(owned(&group, 2), 6);
    }

    proptest! {
        #[test]
        fn members_share_evenly_and_never_read_the_same_partition(
            steps in proptest::collection::vec((0..4u8, 0..6u64), 1..60),
        ) {
            let mut group = Group::default();
            let mut members = BTreeSet::new();
            let mut next = 100;
            for (step, pick) in steps {
                let nth = members.iter().copied().nth(pick as usize % members.len().max(1));
                match (step, nth) {
                    (0, _) if members.len() < 5 => {
                        next += 1;
                        members.insert(next);
                        group.join(next, partitions(8));
                    }
                    (1, Some(member)) => {
                        members.remove(&member);
                        group.leave(member);
                    }
                    (_, Some(member)) => { group.take_change(member); }
                    _ => {}
                }
                for tp in partitions(8) {
                    prop_assert!(members.iter().filter(|m| group.owns(**m, tp)).count() <= 1);
                }
            }
            let all: Vec<_> = members.iter().copied().collect();
            settle(&mut group, &all);
            let loads: Vec<usize> = all.iter().map(|member| owned(&group, *member)).collect();
            prop_assert_eq!(loads.iter().sum::<usize>(), if all.is_empty() { 0 } else { 8 });
            let spread = loads.iter().max().unwrap_or(&0) - loads.iter().min().unwrap_or(&0);
            prop_assert!(spread <= 1, "{:?}", loads);
        }
    }
}
