//! How much of the load each priority gets, and when health is better ignored.
//!
//! The rules are Envoy's (docs: load_balancing/priority, load_balancing/panic_threshold), so that who moves finds the same
//! numbers. A priority counts as whole while `healthy / total` times the overprovisioning factor reaches one: below that,
//! what it cannot carry spills over to the next. When even all of them together are not whole, the load is shared in
//! proportion, and a priority whose own health is below the panic threshold ignores health: too many at once are more
//! likely wrong about themselves than gone.

/// Endpoints of one priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Group {
    pub healthy: u32,
    pub total: u32,
}

/// What a priority gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Of ten thousand.
    pub load: u32,
    /// Its load goes to all of its endpoints, healthy or not.
    pub panic: bool,
}

/// In hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub overprovisioning: u32,
    /// 0: health is never ignored.
    pub panic_threshold: u32,
}

impl Default for Rules {
    /// 1.4 and one half, as in Envoy.
    fn default() -> Rules {
        Rules { overprovisioning: 140, panic_threshold: 50 }
    }
}

/// What all shares add up to.
pub const WHOLE: u32 = 10_000;

/// The share of each priority, the first being the one that is preferred. They add up to ten thousand unless there are no
/// endpoints at all.
pub fn shares(groups: &[Group], rules: Rules) -> Vec<Share> {
    let healths: Vec<u64> = groups.iter().map(|group| health(*group, rules)).collect();
    let whole = u64::from(WHOLE);
    let all = healths.iter().sum::<u64>().min(whole);
    let panics = |group: &Group| {
        all < whole
            && group.total > 0
            && u64::from(group.healthy) * 100 < u64::from(rules.panic_threshold * group.total)
    };
    let mut shares: Vec<Share> = groups.iter().map(|group| Share { load: 0, panic: panics(group) }).collect();
    if all == 0 {
        // Nobody is healthy: the first that has endpoints takes it all.
        if let Some(at) = groups.iter().position(|group| group.total > 0) {
            shares[at].load = WHOLE;
        }
        return shares;
    }
    let mut left = whole;
    for (share, health) in shares.iter_mut().zip(&healths) {
        let load = (health * whole / all).min(left);
        share.load = load as u32;
        left -= load;
    }
    // What rounding left.
    if let Some(first) = shares.iter_mut().find(|share| share.load > 0) {
        first.load += left as u32;
    }
    shares
}

/// The priority for an evenly distributed number.
pub fn choose(shares: &[Share], random: u32) -> Option<usize> {
    let mut point = (u64::from(random) * u64::from(WHOLE)) >> 32;
    for (at, share) in shares.iter().enumerate() {
        if point < u64::from(share.load) {
            return Some(at);
        }
        point -= u64::from(share.load);
    }
    None
}

fn health(group: Group, rules: Rules) -> u64 {
    if group.total == 0 {
        return 0;
    }
    let health =
        u64::from(group.healthy) * u64::from(rules.overprovisioning) * u64::from(WHOLE / 100) / u64::from(group.total);
    // One that is healthy among very many is not nothing.
    health.clamp(u64::from(group.healthy > 0), u64::from(WHOLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(healthy: &[u32]) -> Vec<(u32, bool)> {
        let groups: Vec<Group> = healthy.iter().map(|&healthy| Group { healthy, total: 100 }).collect();
        let shares = shares(&groups, Rules::default());
        shares.iter().map(|share| ((share.load + 50) / 100, share.panic)).collect()
    }

    fn loads(healthy: &[u32]) -> Vec<u32> {
        table(healthy).into_iter().map(|(load, _)| load).collect()
    }

    /// The tables of Envoy's documentation.
    #[test]
    fn loads_as_documented() {
        for (first, expected) in
            [(100, [100, 0]), (72, [100, 0]), (71, [99, 1]), (50, [70, 30]), (25, [35, 65]), (0, [0, 100])]
        {
            assert_eq!(loads(&[first, 100]), expected, "{first} % healthy");
        }
        for (healthy, expected) in [
            ([100, 100, 100], [100, 0, 0]),
            ([72, 72, 100], [100, 0, 0]),
            ([71, 71, 100], [99, 1, 0]),
            ([50, 50, 100], [70, 30, 0]),
            ([25, 100, 100], [35, 65, 0]),
            ([25, 25, 100], [35, 35, 30]),
        ] {
            assert_eq!(loads(&healthy), expected, "{healthy:?}");
        }
    }

    #[test]
    fn panic_as_documented() {
        for (healthy, expected) in [
            ([72, 72], [(100, false), (0, false)]),
            ([71, 71], [(99, false), (1, false)]),
            ([50, 60], [(70, false), (30, false)]),
            ([25, 100], [(35, false), (65, false)]),
            ([25, 25], [(50, true), (50, true)]),
            ([5, 65], [(7, true), (93, false)]),
        ] {
            assert_eq!(table(&healthy), expected, "{healthy:?}");
        }
    }

    #[test]
    fn the_last_healthy_one_of_very_many_counts() {
        let groups = [Group { healthy: 0, total: 1 }, Group { healthy: 1, total: 60_000 }];
        let loads: Vec<u32> = shares(&groups, Rules::default()).iter().map(|share| share.load).collect();
        assert_eq!(loads, [0, 10_000]);
    }

    #[test]
    fn nobody_is_healthy() {
        assert_eq!(table(&[0, 0]), [(100, true), (0, true)]);
        assert_eq!(shares(&[], Rules::default()), []);
        let groups = [Group::default(), Group { healthy: 0, total: 3 }];
        assert_eq!(shares(&groups, Rules::default())[1], Share { load: 10_000, panic: true });
    }

    proptest! {
        #[test]
        fn all_of_the_load_goes_somewhere(counts in proptest::collection::vec((0u32..50, 0u32..50), 1..6), random: u32) {
            let groups: Vec<Group> =
                counts.iter().map(|&(healthy, rest)| Group { healthy, total: healthy + rest }).collect();
            let shares = shares(&groups, Rules::default());
            let sum: u32 = shares.iter().map(|share| share.load).sum();
            let any = groups.iter().any(|group| group.total > 0);
            prop_assert_eq!(sum, if any { 10_000 } else { 0 });
            prop_assert_eq!(choose(&shares, random).is_some(), any);
            for (group, share) in groups.iter().zip(&shares) {
                prop_assert!(share.load == 0 || group.total > 0);
            }
        }
    }
}
