//! Choices that depend on the input alone, so that a crash happens again.

use tidegate_datapath::bytes::hash::hash;

/// SplitMix64.
pub struct Choices(u64);

impl Choices {
    pub fn of(input: &[u8], purpose: u64) -> Choices {
        Choices(hash(purpose, input))
    }

    /// Below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// Ends of the pieces that `length` bytes arrive in: many of a few bytes, some long.
    pub fn cuts(&mut self, length: usize) -> Vec<usize> {
        let mut ends = Vec::new();
        let mut at = 0;
        while at < length {
            let longest = [1, 3, 16, 300, length][self.below(5)];
            at = (at + 1 + self.below(longest)).min(length);
            ends.push(at);
        }
        ends
    }
}
