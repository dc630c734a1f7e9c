//! From a backend's endpoints and what is known of their health to the one that a request gets.
//!
//! Endpoints form groups: by priority, and within a priority by distance. What a priority gets is `priority`'s to say;
//! within one the same rules hold again, so that near endpoints take everything while their healthy part times the
//! overprovisioning factor reaches one, and what they cannot carry goes to those farther away. A priority that is better
//! served without regard to health is also served without regard to distance.

use super::priority::{self, Group, Rules, Share};
use super::{Balancer, Candidate, Policy};

/// What is known of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Health {
    Healthy,
    /// Nobody has asked yet. It gets requests only while its priority has no healthy endpoint.
    #[default]
    Unknown,
    Unhealthy,
}

impl Health {
    pub fn name(self) -> &'static str {
        match self {
            Health::Healthy => "healthy",
            Health::Unknown => "unknown",
            Health::Unhealthy => "unhealthy",
        }
    }
}

/// How the endpoints of a backend share its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plan {
    pub policy: Policy,
    pub rules: Rules,
    /// In hundredths: see [`Balancer::bounded`]. 0: there is no bound.
    pub balance_factor: u32,
}

/// An endpoint as the choice sees it. `slot` is what `pick` answers; `priority` 0 comes first, and in a priority the
/// smallest `distance`.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    pub slot: u32,
    pub weight: u32,
    pub priority: u32,
    pub distance: u32,
    pub health: Health,
    pub name: &'a [u8],
}

/// Made anew when endpoints, their health or their weights change.
#[derive(Debug, Default)]
pub struct Spread {
    tiers: Vec<Tier>,
    shares: Vec<Share>,
    /// Nearly always: the first tier takes everything.
    single: bool,
    /// A request's hash says its tier too, lest it changes endpoints all the time while there are several.
    hashes: bool,
    /// Requests that are open at all endpoints; whoever sees them come and go keeps it. Only a bound needs it.
    pub open: u32,
}

/// Endpoints of one priority and distance that requests may go to.
#[derive(Debug)]
struct Tier {
    balancer: Balancer,
    slots: Vec<u32>,
}

impl Spread {
    /// `start`: see [`Balancer::new`].
    pub fn new(plan: Plan, members: &[Member<'_>], start: u64) -> Spread {
        let mut order: Vec<&Member> = members.iter().collect();
        order.sort_by_key(|member| (member.priority, member.distance));
        let priorities: Vec<&[&Member]> = order.chunk_by(|one, next| one.priority == next.priority).collect();
        let groups: Vec<Group> = priorities.iter().map(|members| group(members, best_of(members))).collect();
        let mut spread = Spread { hashes: plan.policy.hashes(), ..Spread::default() };
        for (members, share) in priorities.iter().zip(priority::shares(&groups, plan.rules)) {
            if share.panic {
                spread.add(plan, members, share, start);
            } else if let Some(best) = best_of(members) {
                spread.add_by_distance(plan, members, share, best, start);
            }
        }
        spread.single = spread.shares.first().is_some_and(|share| share.load == priority::WHOLE);
        spread
    }

    fn add_by_distance(&mut self, plan: Plan, members: &[&Member<'_>], share: Share, best: Health, start: u64) {
        let levels: Vec<&[&Member]> = members.chunk_by(|one, next| one.distance == next.distance).collect();
        let groups: Vec<Group> = levels.iter().map(|members| group(members, Some(best))).collect();
        let shares = priority::shares(&groups, plan.rules);
        let mut left = share.load;
        for (at, (members, within)) in levels.iter().zip(&shares).enumerate() {
            let last = shares[at + 1..].iter().all(|share| share.load == 0);
            // The last one that gets anything also gets what rounding left.
            let load = if last { left } else { share.load * within.load / priority::WHOLE };
            left -= load;
            let taken: Vec<&Member> = members.iter().copied().filter(|member| member.health == best).collect();
            self.add(plan, &taken, Share { load, panic: false }, start);
        }
    }

    fn add(&mut self, plan: Plan, members: &[&Member<'_>], share: Share, start: u64) {
        if members.is_empty() {
            return;
        }
        let mut candidates: Vec<Candidate> = Vec::new();
        if share.load > 0 {
            let named = members.iter().map(|member| Candidate { weight: member.weight, name: member.name });
            candidates.extend(named);
        }
        let balancer = Balancer::new(plan.policy, &candidates, start).bounded(plan.balance_factor, &candidates);
        self.tiers.push(Tier { balancer, slots: members.iter().map(|member| member.slot).collect() });
        self.shares.push(share);
    }

    /// The slot of an endpoint; `None`: there are none. The arguments are those of [`Balancer::pick`].
    #[inline]
    pub fn pick(&mut self, random: u64, hash: u64, load: impl Fn(u32) -> u32) -> Option<u32> {
        let at = if self.single { 0 } else { self.tier(random, hash)? };
        let open = self.open;
        let tier = self.tiers.get_mut(at)?;
        let slots = &tier.slots;
        tier.balancer.pick(random, hash, open, |at| load(slots[at])).map(|at| slots[at])
    }

    /// Bits from the middle: policies use the upper and the lower ones.
    fn tier(&self, random: u64, hash: u64) -> Option<usize> {
        let number = if self.hashes { hash } else { random };
        priority::choose(&self.shares, (number >> 16) as u32)
    }

    /// Every endpoint that requests may go to, the best first.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.tiers.iter().flat_map(|tier| tier.slots.iter().copied())
    }

    /// The same, but among equals beginning anywhere, so that those who take the first that will do do not crowd.
    pub fn slots_from(&self, random: u64) -> impl Iterator<Item = u32> + '_ {
        self.tiers.iter().flat_map(move |tier| {
            let start = (random % (tier.slots.len() as u64).max(1)) as usize;
            let (before, after) = tier.slots.split_at(start);
            after.iter().chain(before).copied()
        })
    }

    /// Groups of endpoints with what each gets of all requests, of ten thousand.
    pub fn tiers(&self) -> impl Iterator<Item = (u32, &[u32])> + '_ {
        self.tiers.iter().zip(&self.shares).map(|(tier, share)| (share.load, tier.slots.as_slice()))
    }

    pub fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }
}

/// The best health that is there; `None`: all are unhealthy.
fn best_of(members: &[&Member<'_>]) -> Option<Health> {
    let best = members.iter().map(|member| member.health).min_by_key(|health| *health as u8);
    best.filter(|health| *health != Health::Unhealthy)
}

/// Before the first answers nobody is known to be ill: then unknown ones count as healthy.
fn group(members: &[&Member<'_>], best: Option<Health>) -> Group {
    let healthy = members.iter().filter(|member| Some(member.health) == best).count() as u32;
    Group { healthy, total: members.len() as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picked(members: &[(u32, Health)], picks: u32) -> Vec<u32> {
        let members: Vec<Member> = (0u32..)
            .zip(members)
            .map(|(slot, &(priority, health))| Member { slot, weight: 1, priority, distance: 0, health, name: b"" })
            .collect();
        let mut spread = Spread::new(Plan::default(), &members, 0);
        let mut counts = vec![0; members.len()];
        for number in 0..picks {
            let random = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            if let Some(slot) = spread.pick(random, 0, |_| 0) {
                counts[slot as usize] += 1;
            }
        }
        counts
    }

    use Health::{Healthy, Unhealthy, Unknown};

    #[test]
    fn whoever_takes_the_first_that_will_do_begins_anywhere_among_the_best() {
        let priorities = [0, 0, 0, 1, 1];
        let members: Vec<Member> = (0u32..)
            .zip(priorities)
            .map(|(slot, priority)| Member { slot, weight: 1, priority, distance: 0, health: Healthy, name: b"" })
            .collect();
        let spread = Spread::new(Plan::default(), &members, 0);
        for random in 0..12 {
            let order: Vec<u32> = spread.slots_from(random).collect();
            assert_eq!(order[0], (random % 3) as u32);
            assert!(order[..3].iter().all(|&slot| slot < 3) && order[3..].iter().all(|&slot| slot >= 3));
            assert_eq!(order.len(), 5);
        }
    }

    #[test]
    fn healthy_endpoints_alone_while_there_are_enough() {
        assert_eq!(picked(&[(0, Healthy), (0, Unhealthy), (0, Healthy), (0, Unknown)], 100), [50, 0, 50, 0]);
    }

    #[test]
    fn unknown_ones_until_somebody_is_healthy() {
        assert_eq!(picked(&[(0, Unknown), (0, Unhealthy), (0, Unknown)], 100), [50, 0, 50]);
    }

    #[test]
    fn all_of_them_when_too_many_are_ill() {
        assert_eq!(picked(&[(0, Unhealthy), (0, Unhealthy), (0, Healthy)], 99), [33, 33, 33]);
        assert_eq!(picked(&[(0, Unhealthy), (0, Unhealthy)], 100), [50, 50]);
        assert_eq!(picked(&[], 5), [0u32; 0]);
    }

    #[test]
    fn the_next_priority_takes_what_the_first_cannot() {
        let counts = picked(&[(0, Healthy), (0, Unhealthy), (1, Healthy), (1, Healthy)], 10_000);
        assert_eq!(counts[1], 0);
        assert!((6_900..7_100).contains(&counts[0]), "{counts:?}");
        assert!(counts[2].abs_diff(counts[3]) <= 1, "{counts:?}");
    }

    /// Spreads of endpoints with a distance and a health, in one priority, and what each gets of ten thousand.
    fn loads(members: &[(u32, Health)]) -> Vec<u32> {
        let spread = spread(members, Rules::default());
        let mut loads = vec![0; members.len()];
        for (load, slots) in spread.tiers() {
            for &slot in slots {
                loads[slot as usize] = load / slots.len() as u32;
            }
        }
        loads
    }

    fn spread(members: &[(u32, Health)], rules: Rules) -> Spread {
        let members: Vec<Member> = (0u32..)
            .zip(members)
            .map(|(slot, &(distance, health))| Member { slot, weight: 1, priority: 0, distance, health, name: b"" })
            .collect();
        Spread::new(Plan { rules, ..Plan::default() }, &members, 0)
    }

    /// `well` of ten near endpoints and `others` of ten farther ones are healthy; what the two zones get, in percent.
    fn zones(well: usize, others: usize) -> (u32, u32) {
        let state = |healthy: bool| if healthy { Healthy } else { Unhealthy };
        let near = (0..10).map(|at| (0, state(at < well)));
        let members: Vec<(u32, Health)> = near.chain((0..10).map(|at| (1, state(at < others)))).collect();
        let rules = Rules { panic_threshold: 0, ..Rules::default() };
        let load = |from: u32| {
            let spread = spread(&members, rules);
            let tiers = spread.tiers().filter(|(_, slots)| slots[0] / 10 == from);
            (tiers.map(|(load, _)| load).sum::<u32>() + 50) / 100
        };
        (load(0), load(1))
    }

    /// The rows of Envoy's table of two priorities, which is what near and far are to each other.
    #[test]
    fn the_far_take_what_the_near_cannot() {
        for (well, expected) in
            [(10, (100, 0)), (8, (100, 0)), (7, (98, 2)), (5, (70, 30)), (2, (28, 72)), (0, (0, 100))]
        {
            assert_eq!(zones(well, 10), expected, "{well} of ten near endpoints are healthy");
        }
        assert_eq!(zones(2, 2), (50, 50));
        assert_eq!(zones(1, 3), (25, 75));
        assert_eq!(zones(3, 0), (100, 0));
        assert_eq!(zones(0, 0), (0, 0));
    }

    #[test]
    fn without_regard_to_health_there_is_none_to_distance() {
        assert_eq!(loads(&[(0, Unhealthy), (0, Unhealthy), (1, Unhealthy), (1, Healthy)]), [2_500; 4]);
    }

    #[test]
    fn unknown_far_ones_wait_for_healthy_near_ones() {
        assert_eq!(loads(&[(0, Unknown), (0, Healthy), (0, Healthy), (1, Unknown)])[..], [0, 5_000, 5_000, 0][..]);
    }

    #[test]
    fn one_hash_stays_with_one_group_while_two_share() {
        let names: Vec<String> = (0..4).map(|number| format!("10.0.0.{number}:1")).collect();
        let health = [Healthy, Unhealthy, Healthy, Healthy];
        let members: Vec<Member> = (0u32..)
            .zip(names.iter().zip(health))
            .map(|(slot, (name, health))| Member {
                slot,
                weight: 1,
                priority: 0,
                distance: slot / 2,
                health,
                name: name.as_bytes(),
            })
            .collect();
        for policy in [Policy::RingHash, Policy::Maglev] {
            let mut spread = Spread::new(Plan { policy, ..Plan::default() }, &members, 0);
            let mut near = 0;
            for hash in (0..10_000u64).map(|number| crate::bytes::hash::hash(number, b"user")) {
                let slot = spread.pick(1, hash, |_| 0);
                assert_eq!(slot, spread.pick(u64::MAX, hash, |_| 0));
                near += u32::from(slot == Some(0));
            }
            assert!((6_800..7_200).contains(&near), "{policy:?}: {near} of 10,000");
        }
    }

    fn health() -> impl Strategy<Value = Health> {
        prop_oneof![Just(Healthy), Just(Unknown), Just(Unhealthy)]
    }

    proptest! {
        #[test]
        fn everything_goes_somewhere_and_only_in_panic_to_the_ill(
            given in proptest::collection::vec((0u32..3, 0u32..3, health(), 1u32..5), 0..40),
            panic_threshold in 0u32..=100,
            policy in prop_oneof![Just(Policy::RoundRobin), Just(Policy::LeastRequest), Just(Policy::RingHash)],
            random: u64,
        ) {
            let members: Vec<Member> = (0u32..)
                .zip(&given)
                .map(|(slot, &(priority, distance, health, weight))| {
                    Member { slot, weight, priority, distance, health, name: b"" }
                })
                .collect();
            let rules = Rules { panic_threshold, ..Rules::default() };
            let mut spread = Spread::new(Plan { policy, rules, balance_factor: 0 }, &members, random);
            let sum: u32 = spread.tiers().map(|(load, _)| load).sum();
            let may = given.iter().any(|(_, _, health, _)| *health != Unhealthy)
                || (panic_threshold > 0 && !given.is_empty());
            prop_assert_eq!(sum, if may { 10_000 } else { 0 });
            let picked = spread.pick(random, random, |_| 0);
            prop_assert_eq!(picked.is_some(), may);
            if let Some(slot) = picked {
                let (priority, _, health, _) = given[slot as usize];
                let ones = given.iter().filter(|(of, _, _, _)| *of == priority);
                let best = ones.clone().filter(|(_, _, health, _)| *health != Unhealthy).map(|(_, _, h, _)| *h as u8).min();
                let serving = ones.clone().filter(|(_, _, health, _)| Some(*health as u8) == best).count();
                let panics = serving * 100 < panic_threshold as usize * ones.count();
                prop_assert!(panics || Some(health as u8) == best, "{health:?} of {given:?}");
            }
        }

        /// The more of the near are healthy, the more they get; the same holds for the far.
        #[test]
        fn spilling_over_is_monotone(well in 0usize..10, others in 0usize..=10) {
            let (before, after) = (zones(well, others), zones(well + 1, others));
            prop_assert!(before.0 <= after.0, "{before:?}, then {after:?}");
            prop_assert!(after.1 <= before.1 || others == 0);
        }
    }
}
