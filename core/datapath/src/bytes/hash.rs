//! A fast keyed hash for tables whose keys come from clients.
//!
//! A multiply-and-fold hash over 16 bytes at a time (the construction of wyhash). It is not cryptographic; the key is
//! drawn at random for each process, so that colliding keys cannot be prepared.

use std::hash::{BuildHasher, Hasher};

/// 2^64 over the golden ratio: added again and again, or multiplied by, it spreads neighbours over all bits.
pub(crate) const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

const KEYS: [u64; 3] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3];

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let word = |b: &[u8]| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
    let mut state = fold(seed ^ KEYS[0], bytes.len() as u64 ^ KEYS[1]);
    let mut chunks = bytes.chunks_exact(16);
    for chunk in &mut chunks {
        state = fold(word(&chunk[..8]) ^ state, word(&chunk[8..]) ^ KEYS[1]);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        state = fold(word(&last[..8]) ^ state, word(&last[8..]) ^ KEYS[2]);
    }
    fold(state, KEYS[0])
}

/// A key that no client can know.
pub fn random_seed() -> u64 {
    std::hash::RandomState::new().hash_one(0u8)
}

/// `BuildHasher` over `hash`, for maps keyed by bytes.
#[derive(Debug, Clone, Copy)]
pub struct Keyed(pub u64);

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;
    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher(self.0)
    }
}

#[derive(Debug)]
pub struct KeyedHasher(u64);

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(self.0, bytes);
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
