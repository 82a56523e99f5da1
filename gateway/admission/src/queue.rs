//! The fair queue of waiting requests: lowest tier number first, inside a tier one subscription after the other. Pure.
//!
//! Invariants: never more than the bound wait; no request of a tier is served while one of a lower number waits;
//! inside a tier no subscription is served twice while another one that waited all the time is not.
//! Joining, leaving and being served take logarithmic time: under overload many wait, and most of them give up.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The tier and subscription that a request waits under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueKey {
    /// Tier of the product; lower numbers go first.
    pub tier: u8,
    /// The subscription; each has the same share inside its tier.
    pub subscription: Arc<str>,
}

/// Identifies a waiting request, so that it can leave the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The waiting requests, with a value `T` for each.
#[derive(Debug)]
pub struct FairQueue<T> {
    tiers: BTreeMap<u8, Tier<T>>,
    waiting: usize,
    most: usize,
    /// Numbers of tickets and turns; never the same twice.
    next: u64,
}

#[derive(Debug)]
struct Tier<T> {
    /// Subscriptions with waiting requests, the next one first.
    turns: BTreeMap<u64, Arc<str>>,
    waiting: HashMap<Arc<str>, Own<T>>,
    /// Waiting requests per subscription; the subscription with the most is last.
    sizes: BTreeSet<(usize, Arc<str>)>,
}

/// The waiting requests of one subscription, oldest first.
#[derive(Debug)]
struct Own<T> {
    turn: u64,
    waiters: BTreeMap<Ticket, T>,
}

/// What came of joining the queue.
#[derive(Debug, PartialEq, Eq)]
pub enum Joined<T> {
    /// There was room.
    Waiting(Ticket),
    /// There was no room; this request of a later tier was removed to make some.
    InsteadOf(Ticket, T),
    /// There is no room for anybody of this tier.
    Full(T),
}

impl<T> FairQueue<T> {
    /// A queue for at most so many requests.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { tiers: BTreeMap::new(), waiting: 0, most, next: 0 }
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

    /// Adds a request. If the queue is full and its last tier is later than this request's, the newest request of the
    /// subscription with the most waiting in that tier is removed.
    pub fn join(&mut self, place: &QueueKey, waiter: T) -> Joined<T> {
        if self.waiting < self.most {
            return Joined::Waiting(self.push(place, waiter));
        }
        match self.tiers.last_key_value() {
            Some((last, _)) if *last > place.tier => match self.drop_last() {
                Some(dropped) => Joined::InsteadOf(self.push(place, waiter), dropped),
                None => Joined::Full(waiter),
            },
            _ => Joined::Full(waiter),
        }
    }

    /// Takes out the request whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let (&tier, first) = self.tiers.first_key_value()?;
        let subscription = Arc::clone(first.turns.first_key_value()?.1);
        let waiter = self.take(tier, &subscription, |waiters| waiters.pop_first().map(|(_, waiter)| waiter));
        let turn = self.number();
        if let Some(first) = self.tiers.get_mut(&tier) {
            first.put_last(&subscription, turn);
        }
        waiter
    }

    /// Removes a request that gives up; `None` if it was served or removed before.
    pub fn leave(&mut self, place: &QueueKey, ticket: Ticket) -> Option<T> {
        self.take(place.tier, &place.subscription, |waiters| waiters.remove(&ticket))
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn push(&mut self, place: &QueueKey, waiter: T) -> Ticket {
        let (ticket, turn) = (Ticket(self.number()), self.number());
        let tier = self.tiers.entry(place.tier).or_default();
        let own = tier.waiting.entry(Arc::clone(&place.subscription)).or_insert_with(|| {
            tier.turns.insert(turn, Arc::clone(&place.subscription));
            Own { turn, waiters: BTreeMap::new() }
        });
        own.waiters.insert(ticket, waiter);
        let size = own.waiters.len();
        tier.resized(&place.subscription, size - 1, size);
        self.waiting += 1;
        ticket
    }

    fn drop_last(&mut self) -> Option<T> {
        let (&tier, last) = self.tiers.last_key_value()?;
        let subscription = Arc::clone(&last.sizes.last()?.1);
        self.take(tier, &subscription, |waiters| waiters.pop_last().map(|(_, waiter)| waiter))
    }

    /// Removes one request of a subscription.
    fn take(
        &mut self,
        number: u8,
        subscription: &Arc<str>,
        which: impl FnOnce(&mut BTreeMap<Ticket, T>) -> Option<T>,
    ) -> Option<T> {
        let tier = self.tiers.get_mut(&number)?;
        let own = tier.waiting.get_mut(subscription)?;
        let waiter = which(&mut own.waiters)?;
        let (turn, size) = (own.turn, own.waiters.len());
        tier.resized(subscription, size + 1, size);
        if size == 0 {
            tier.waiting.remove(subscription);
            tier.turns.remove(&turn);
        }
        if tier.turns.is_empty() {
            self.tiers.remove(&number);
        }
        self.waiting -= 1;
        Some(waiter)
    }
}

impl<T> Tier<T> {
    /// Puts a subscription that was served behind all others of its tier.
    fn put_last(&mut self, subscription: &Arc<str>, turn: u64) {
        if let Some(own) = self.waiting.get_mut(subscription) {
            self.turns.remove(&own.turn);
            self.turns.insert(turn, Arc::clone(subscription));
            own.turn = turn;
        }
    }

    fn resized(&mut self, subscription: &Arc<str>, before: usize, now: usize) {
        self.sizes.remove(&(before, Arc::clone(subscription)));
        if now > 0 {
            self.sizes.insert((now, Arc::clone(subscription)));
        }
    }
}

impl<T> Default for Tier<T> {
    fn default() -> Self {
        Self { turns: BTreeMap::new(), waiting: HashMap::new(), sizes: BTreeSet::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(tier: u8, subscription: &str) -> QueueKey {
        QueueKey { tier, subscription: subscription.into() }
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
            assert!(matches!(queue.join(&place(tier, who), name), Joined::Waiting(_)));
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
        assert!(matches!(queue.join(&place(1, "a"), "a1"), Joined::InsteadOf(_, "x2")));
        assert_eq!(drained(&mut queue), ["a1", "x1", "y1"]);
    }

    #[test]
    fn those_who_give_up_leave_their_place_and_the_turns_of_others_alone() {
        let (mut queue, mut leaving) = (FairQueue::new(10), Vec::new());
        let all = [(1, "a", "a1"), (1, "b", "gone"), (1, "a", "gone"), (1, "a", "a3"), (2, "c", "gone")];
        for (tier, who, name) in all {
            let Joined::Waiting(ticket) = queue.join(&place(tier, who), name) else {
                panic!("there is room")
            };
            if name == "gone" {
                leaving.push((place(tier, who), ticket));
            }
        }
        for (place, ticket) in leaving {
            assert_eq!(queue.leave(&place, ticket), Some("gone"));
            assert_eq!(queue.leave(&place, ticket), None, "nobody leaves twice");
        }
        assert_eq!(queue.len(), 2);
        assert_eq!(drained(&mut queue), ["a1", "a3"]);
        assert!(queue.is_empty());
    }

    /// What happens to a queue.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        Join(u8, u8),
        Pop,
        /// One of those inside gives up.
        Leave(proptest::sample::Index),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => (0_u8..3, 0_u8..4).prop_map(|(tier, who)| Step::Join(tier, who)),
            2 => Just(Step::Pop),
            2 => any::<proptest::sample::Index>().prop_map(Step::Leave),
        ]
    }

    proptest! {
        #[test]
        fn whoever_joined_is_served_or_leaves_once_tiers_in_order_and_the_bound_holds(
            steps in proptest::collection::vec(step(), 0..200),
            most in 1_usize..20,
        ) {
            let mut queue = FairQueue::new(most);
            let mut inside: Vec<(usize, u8, u8, Ticket)> = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Join(tier, who) => match queue.join(&place(tier, &who.to_string()), (number, tier)) {
                        Joined::Waiting(ticket) => inside.push((number, tier, who, ticket)),
                        Joined::InsteadOf(ticket, gone) => {
                            prop_assert!(gone.1 > tier);
                            inside.retain(|one| one.0 != gone.0);
                            inside.push((number, tier, who, ticket));
                        }
                        Joined::Full(_) => prop_assert!(inside.iter().all(|one| one.1 <= tier)),
                    },
                    Step::Pop => {
                        let next = queue.pop();
                        prop_assert_eq!(next.map(|next| next.1), inside.iter().map(|one| one.1).min());
                        if let Some((number, tier)) = next {
                            let at = inside.iter().position(|one| one.0 == number).unwrap();
                            let (_, _, who, _) = inside.remove(at);
                            let earlier = inside.iter().any(|one| one.0 < number && (one.1, one.2) == (tier, who));
                            prop_assert!(!earlier, "a subscription is served in its own order");
                        }
                    }
                    Step::Leave(_) if inside.is_empty() => {}
                    Step::Leave(index) => {
                        let (number, tier, who, ticket) = inside.remove(index.index(inside.len()));
                        let place = place(tier, &who.to_string());
                        prop_assert_eq!(queue.leave(&place, ticket), Some((number, tier)));
                    }
                }
                prop_assert_eq!(queue.len(), inside.len());
                prop_assert!(queue.len() <= most);
            }
            prop_assert_eq!(std::iter::from_fn(|| queue.pop()).count(), inside.len());
            prop_assert!(queue.tiers.is_empty());
        }
    }
}
