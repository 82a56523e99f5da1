//! Who is next: the lowest tier number first, inside a tier one subscription after the other. Pure.
//!
//! Invariants: never more than the bound wait; nobody of a tier is served while somebody of a lower number
//! waits; inside a tier no subscription is served twice while another one that waited all the time is not.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

/// Who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Tier of the product; lower numbers go first.
    pub tier: u8,
    /// The subscription; each has the same share inside its tier.
    pub subscription: Arc<str>,
}

/// Those who wait.
#[derive(Debug)]
pub struct FairQueue<T> {
    tiers: BTreeMap<u8, Tier<T>>,
    waiting: usize,
    most: usize,
}

#[derive(Debug)]
struct Tier<T> {
    /// Subscriptions with somebody waiting, the next one first.
    turns: VecDeque<Arc<str>>,
    waiting: HashMap<Arc<str>, VecDeque<T>>,
}

/// What came of joining the queue.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined<T> {
    /// There was room.
    Waiting,
    /// There was none, and this one of a later tier had to go.
    InsteadOf(T),
    /// There is no room for anybody of this tier.
    Full(T),
}

impl<T> FairQueue<T> {
    /// A queue for at most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { tiers: BTreeMap::new(), waiting: 0, most }
    }

    /// Changes how many may wait. Those who wait already stay.
    pub fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Adds one. When the queue is full, the one that waits in the last tier for the shortest time goes, if that
    /// tier is a later one.
    pub fn join(&mut self, place: &Place, waiter: T) -> Joined<T> {
        if self.waiting < self.most {
            self.push(place, waiter);
            return Joined::Waiting;
        }
        match self.tiers.last_key_value() {
            Some((last, _)) if *last > place.tier => match self.drop_last() {
                Some(dropped) => {
                    self.push(place, waiter);
                    Joined::InsteadOf(dropped)
                }
                None => Joined::Full(waiter),
            },
            _ => Joined::Full(waiter),
        }
    }

    /// The next one.
    pub fn pop(&mut self) -> Option<T> {
        let mut first = self.tiers.first_entry()?;
        let tier = first.get_mut();
        let subscription = tier.turns.pop_front()?;
        let waiter = tier.take(&subscription, VecDeque::pop_front);
        if tier.waiting.contains_key(&subscription) {
            tier.turns.push_back(subscription);
        }
        if tier.turns.is_empty() {
            first.remove();
        }
        self.waiting -= usize::from(waiter.is_some());
        waiter
    }

    /// Removes those who need not wait any more.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for tier in self.tiers.values_mut() {
            let Tier { turns, waiting } = tier;
            for own in waiting.values_mut() {
                own.retain(&keep);
            }
            waiting.retain(|_, own| !own.is_empty());
            turns.retain(|subscription| waiting.contains_key(subscription));
        }
        self.tiers.retain(|_, tier| !tier.turns.is_empty());
        let all = self.tiers.values().flat_map(|tier| tier.waiting.values());
        self.waiting = all.map(VecDeque::len).sum();
    }

    fn push(&mut self, place: &Place, waiter: T) {
        let tier = self
            .tiers
            .entry(place.tier)
            .or_insert_with(|| Tier { turns: VecDeque::new(), waiting: HashMap::new() });
        let own = tier.waiting.entry(Arc::clone(&place.subscription)).or_default();
        if own.is_empty() {
            tier.turns.push_back(Arc::clone(&place.subscription));
        }
        own.push_back(waiter);
        self.waiting += 1;
    }

    /// The newest of the subscription that has the most waiting in the last tier.
    fn drop_last(&mut self) -> Option<T> {
        let mut last = self.tiers.last_entry()?;
        let tier = last.get_mut();
        let (subscription, _) = tier.waiting.iter().max_by_key(|(_, own)| own.len())?;
        let subscription = Arc::clone(subscription);
        let dropped = tier.take(&subscription, VecDeque::pop_back);
        if !tier.waiting.contains_key(&subscription) {
            tier.turns.retain(|turn| *turn != subscription);
        }
        if tier.turns.is_empty() {
            last.remove();
        }
        self.waiting -= usize::from(dropped.is_some());
        dropped
    }
}

impl<T> Tier<T> {
    fn take(&mut self, subscription: &Arc<str>, how: fn(&mut VecDeque<T>) -> Option<T>) -> Option<T> {
        let own = self.waiting.get_mut(subscription)?;
        let taken = how(own);
        if own.is_empty() {
            self.waiting.remove(subscription);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(tier: u8, subscription: &str) -> Place {
        Place { tier, subscription: subscription.into() }
    }

    fn drained(queue: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn paid_tiers_go_first_and_subscriptions_take_turns() {
        let mut queue = FairQueue::new(10);
        for (tier, who, name) in [
            (2, "free", "f1"),
            (1, "a", "a1"),
            (1, "a", "a2"),
            (1, "a", "a3"),
            (1, "b", "b1"),
            (2, "free", "f2"),
        ] {
            assert_eq!(queue.join(&place(tier, who), name), Joined::Waiting);
        }
        assert_eq!(drained(&mut queue), ["a1", "b1", "a2", "a3", "f1", "f2"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_full_queue_makes_room_for_an_earlier_tier_only() {
        let mut queue = FairQueue::new(3);
        queue.join(&place(2, "x"), "x1");
        queue.join(&place(2, "x"), "x2");
        queue.join(&place(2, "y"), "y1");
        assert_eq!(queue.join(&place(2, "z"), "z1"), Joined::Full("z1"));
        assert_eq!(queue.join(&place(1, "a"), "a1"), Joined::InsteadOf("x2"));
        assert_eq!(drained(&mut queue), ["a1", "x1", "y1"]);
    }

    #[test]
    fn those_who_give_up_leave_their_place_and_the_turns_of_others_alone() {
        let mut queue = FairQueue::new(10);
        for (tier, who, name) in
            [(1, "a", "a1"), (1, "b", "gone"), (1, "a", "gone"), (1, "a", "a3"), (2, "c", "gone")]
        {
            queue.join(&place(tier, who), name);
        }
        queue.retain(|name| *name != "gone");
        assert_eq!(queue.len(), 2);
        assert_eq!(drained(&mut queue), ["a1", "a3"]);
        assert!(queue.is_empty());
    }

    proptest! {
        #[test]
        fn whoever_joined_is_served_once_tiers_in_order_and_the_bound_holds(
            steps in proptest::collection::vec((0_u8..3, 0_u8..4, proptest::bool::weighted(0.7)), 0..200),
            most in 1_usize..20,
        ) {
            let mut queue = FairQueue::new(most);
            let mut inside: Vec<(usize, u8)> = Vec::new();
            for (number, (tier, who, join)) in steps.into_iter().enumerate() {
                if join {
                    match queue.join(&place(tier, &who.to_string()), (number, tier)) {
                        Joined::Waiting => inside.push((number, tier)),
                        Joined::InsteadOf(gone) => {
                            prop_assert!(gone.1 > tier);
                            inside.retain(|one| *one != gone);
                            inside.push((number, tier));
                        }
                        Joined::Full(_) => prop_assert!(inside.iter().all(|(_, other)| *other <= tier)),
                    }
                } else if let Some(next) = queue.pop() {
                    prop_assert_eq!(Some(next.1), inside.iter().map(|(_, tier)| *tier).min());
                    inside.retain(|one| *one != next);
                }
                prop_assert_eq!(queue.len(), inside.len());
                prop_assert!(queue.len() <= most);
            }
        }
    }
}
