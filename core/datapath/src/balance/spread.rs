//! From a backend's endpoints and what is known of their health to the one that a request gets.

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

/// An endpoint as the choice sees it. `slot` is what `pick` answers; `priority` 0 comes first.
#[derive(Debug, Clone)]
pub struct Member<'a> {
    pub slot: u32,
    pub weight: u32,
    pub priority: u32,
    pub health: Health,
    pub name: &'a [u8],
}

/// Made anew when endpoints or their health change.
#[derive(Debug, Default)]
pub struct Spread {
    tiers: Vec<Tier>,
    shares: Vec<Share>,
    /// Nearly always: the first priority takes everything.
    single: bool,
}

#[derive(Debug)]
struct Tier {
    balancer: Balancer,
    slots: Vec<u32>,
}

impl Spread {
    /// `start`: see [`Balancer::new`].
    pub fn new(policy: Policy, rules: Rules, members: &[Member<'_>], start: u64) -> Spread {
        let mut priorities: Vec<u32> = members.iter().map(|member| member.priority).collect();
        priorities.sort_unstable();
        priorities.dedup();
        let tier = |priority: u32| members.iter().filter(move |member| member.priority == priority);
        let groups: Vec<Group> = priorities
            .iter()
            .map(|&priority| {
                let total = tier(priority).count() as u32;
                let healthy = tier(priority).filter(|member| member.health == Health::Healthy).count() as u32;
                let unknown = tier(priority).filter(|member| member.health == Health::Unknown).count() as u32;
                // Before the first answers nobody is known to be ill.
                Group { healthy: if healthy > 0 { healthy } else { unknown }, total }
            })
            .collect();
        let shares = priority::shares(&groups, rules);
        let tiers: Vec<Tier> = priorities
            .iter()
            .zip(&shares)
            .map(|(&priority, share)| {
                let best = tier(priority).map(|member| member.health).min_by_key(|health| *health as u8);
                let taken: Vec<&Member> = tier(priority)
                    .filter(|member| share.panic || best.is_none_or(|best| member.health == best))
                    .collect();
                let candidates: Vec<Candidate> =
                    taken.iter().map(|member| Candidate { weight: member.weight, name: member.name }).collect();
                let slots = taken.iter().map(|member| member.slot).collect();
                Tier { balancer: Balancer::new(policy, &candidates, start), slots }
            })
            .collect();
        let single = shares.first().is_some_and(|share| share.load == 10_000);
        Spread { tiers, shares, single }
    }

    /// The slot of an endpoint; `None`: there are none. The arguments are those of [`Balancer::pick`].
    #[inline]
    pub fn pick(&mut self, random: u64, hash: u64, load: impl Fn(u32) -> u32) -> Option<u32> {
        let at = if self.single { 0 } else { priority::choose(&self.shares, (random >> 16) as u32)? };
        let tier = self.tiers.get_mut(at)?;
        let slots = &tier.slots;
        tier.balancer.pick(random, hash, |at| load(slots[at])).map(|at| slots[at])
    }

    /// Every endpoint that requests may go to, the best first.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.tiers.iter().flat_map(|tier| tier.slots.iter().copied())
    }

    pub fn is_empty(&self) -> bool {
        self.tiers.iter().all(|tier| tier.slots.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(members: &[(u32, Health)], picks: u32) -> Vec<u32> {
        let members: Vec<Member> = (0u32..)
            .zip(members)
            .map(|(slot, &(priority, health))| Member { slot, weight: 1, priority, health, name: b"" })
            .collect();
        let mut spread = Spread::new(Policy::RoundRobin, Rules::default(), &members, 0);
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
}
