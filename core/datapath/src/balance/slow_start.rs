//! Slow start: an endpoint that has just come gets little at first, and more with time.
//!
//! The rule is Envoy's (docs: load_balancing/slow_start): its weight is multiplied by
//! `max(least, (age / window) ^ (1 / aggression))`. Weights change in steps and not with every request, so that making
//! the choice anew is bounded; endpoints that came within one step share a weight.

/// Steps of a window, and the shortest.
const STEPS: u64 = 20;
const SHORTEST_STEP_MS: u64 = 100;
/// Parts of a weight of one. An endpoint that is not in its window has all of them.
pub const PARTS: u32 = 100;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SlowStart {
    window_ms: u64,
    aggression: f64,
    least: f64,
}

impl SlowStart {
    /// `aggression_percent` 100 is linear, more is faster at first; `least_percent` is what it begins with.
    pub fn new(window_ms: u64, aggression_percent: u32, least_percent: u32) -> SlowStart {
        SlowStart {
            window_ms,
            aggression: f64::from(aggression_percent.max(1)) / 100.0,
            least: f64::from(least_percent.min(100)) / 100.0,
        }
    }

    /// How often weights are looked at while an endpoint is in its window.
    pub fn step_ms(&self) -> u64 {
        (self.window_ms / STEPS).max(SHORTEST_STEP_MS)
    }

    pub fn is_in_window(&self, age_ms: u64) -> bool {
        age_ms < self.window_ms
    }

    /// What of its weight an endpoint has at an age: at most 1.
    fn factor(&self, age_ms: u64) -> f64 {
        if !self.is_in_window(age_ms) {
            return 1.0;
        }
        let stepped = age_ms / self.step_ms() * self.step_ms();
        let grown = (stepped as f64 / self.window_ms as f64).powf(1.0 / self.aggression);
        grown.clamp(self.least, 1.0)
    }

    /// A weight at an age, in `PARTS` of one; at least one of them.
    pub fn parts(&self, weight: u32, age_ms: u64) -> u32 {
        let parts = f64::from(weight) * f64::from(PARTS) * self.factor(age_ms);
        (parts.round() as u32).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_weight_grows_to_what_it_is() {
        let linear = SlowStart::new(10_000, 100, 10);
        let parts: Vec<u32> =
            [0, 500, 999, 1_000, 2_500, 5_000, 9_999, 10_000].map(|age| linear.parts(1, age)).to_vec();
        assert_eq!(parts, [10, 10, 10, 10, 25, 50, 95, 100]);
        assert_eq!(linear.parts(3, 5_000), 150);
        assert_eq!(linear.step_ms(), 500);
        assert_eq!(SlowStart::new(1_000, 100, 10).step_ms(), 100);
    }

    #[test]
    fn aggression_bends_the_curve() {
        let at_half = |percent| SlowStart::new(10_000, percent, 0).parts(1, 5_000);
        assert_eq!([at_half(50), at_half(100), at_half(200)], [25, 50, 71]);
    }

    proptest! {
        #[test]
        fn never_less_with_time(
            window in 100u64..3_600_000, aggression in 1u32..1_000, least in 0u32..=100, weight in 1u32..=65_535, age: u32,
        ) {
            let slow = SlowStart::new(window, aggression, least);
            let (now, later) = (slow.parts(weight, u64::from(age)), slow.parts(weight, u64::from(age) + 1));
            prop_assert!(now <= later && later <= weight * PARTS && now >= 1);
            prop_assert_eq!(slow.parts(weight, window), weight * PARTS);
            prop_assert!(f64::from(now) + 0.5 >= f64::from(weight * least));
        }
    }
}
