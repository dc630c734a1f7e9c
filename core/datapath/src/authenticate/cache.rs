//! Tokens that were verified, so that the next request with one costs a lookup instead of a signature check.
//!
//! Each worker has its own cache and needs no lock. An entry counts only while the token is within its times and the
//! provider's keys are of the generation that verified it, so it outlives neither `exp` nor a key. Refusals are not
//! kept: whoever sends bad tokens can make up new ones for nothing.
//!
//! The hash covers the length and the last 64 bytes only. Those are the end of the signature, where two good tokens
//! always differ, and it is keyed, so nobody can choose its value. Then all bytes are compared. That comparison stops at
//! the first difference, yet gives nothing away: to reach it a token must already agree in the 64 bytes
//! which are what is hard to guess.
//!
//! Eviction is CLOCK: a hit sets a bit, the hand clears bits until it meets an entry without one.

use super::store::KeyStore;
use super::token::Claims;
use crate::bytes::hash::GOLDEN;
use crate::snapshot::document::UserInfoFormat;
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;

/// A token without `exp` is verified again after so many seconds.
pub const MAX_AGE_WITHOUT_EXPIRY: u64 = 300;

const HASHED_BYTES: usize = 64;

/// Someone whose token was verified.
#[derive(Debug, PartialEq, Eq)]
pub struct Caller {
    pub claims: Claims,
    /// The value of `X-Endpoint-API-UserInfo`.
    pub userinfo: Box<[u8]>,
    /// What the claims say that rate limits tell callers apart by.
    pub limit_keys: Box<[Option<Box<[u8]>>]>,
}

/// A verified token.
pub struct Verified {
    /// Index in the snapshot.
    pub provider: usize,
    /// Of the provider's keys when they verified it.
    pub generation: u64,
    pub caller: Arc<Caller>,
    /// Unix seconds, both included, clock skew allowed for.
    pub valid_from: u64,
    pub valid_until: u64,
}

impl Verified {
    pub fn new(provider: usize, generation: u64, caller: Arc<Caller>, skew: u64, now: u64) -> Verified {
        let valid_from = caller.claims.not_before.unwrap_or(0).saturating_sub(skew);
        let valid_until = match caller.claims.expires {
            Some(expires) => expires.saturating_add(skew),
            None => now.saturating_add(MAX_AGE_WITHOUT_EXPIRY),
        };
        Verified { provider, generation, caller, valid_from, valid_until }
    }

    fn is_valid(&self, now: u64, store: &KeyStore) -> bool {
        (self.valid_from..=self.valid_until).contains(&now) && store.generation(self.provider) == self.generation
    }
}

struct Entry {
    place: u64,
    token: Box<[u8]>,
    verified: Verified,
    referenced: bool,
}

/// What entries were built for; they are worthless under other settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) capacity: usize,
    pub(super) skew: u64,
    pub(super) format: UserInfoFormat,
    /// A hash of the claims that become `Caller::limit_keys`.
    pub(super) limit_claims: u64,
}

/// A worker's verified tokens.
pub struct TokenCache {
    profile: Option<Profile>,
    capacity: usize,
    seeds: (u64, u64),
    places: HashMap<u64, u32, BuildHasherDefault<Identity>>,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    hand: usize,
}

impl TokenCache {
    /// An empty cache; memory is taken as tokens come.
    pub fn new(capacity: usize) -> TokenCache {
        let random = RandomState::new();
        TokenCache {
            profile: None,
            capacity: capacity.min(u32::MAX as usize),
            seeds: (random.hash_one(0), random.hash_one(1)),
            places: HashMap::default(),
            entries: Vec::new(),
            free: Vec::new(),
            hand: 0,
        }
    }

    /// Adopts a snapshot's settings; a change empties the cache.
    pub(super) fn adopt(&mut self, profile: Profile) {
        if self.profile != Some(profile) {
            self.clear();
            self.capacity = profile.capacity.min(u32::MAX as usize);
            self.profile = Some(profile);
        }
    }

    pub fn clear(&mut self) {
        self.places = HashMap::default();
        self.entries = Vec::new();
        self.free = Vec::new();
        self.hand = 0;
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A hash for `lookup` and `insert`. Callers that have hashed the token already may pass their own hash instead,
    /// always the same for the same bytes.
    pub fn hash(&self, token: &[u8]) -> u64 {
        let tail = token.get(token.len().saturating_sub(HASHED_BYTES)..).unwrap_or_default();
        let (blocks, rest) = tail.as_chunks::<16>();
        let mut last = [0; 16];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        // Spread over all bits, the length is not undone by a token's bytes.
        let length = (token.len() as u64).wrapping_mul(GOLDEN);
        blocks.iter().chain([&last]).fold(self.seeds.0 ^ length, |hash, block| {
            let block = u128::from_le_bytes(*block);
            mix(hash ^ block as u64, self.seeds.1 ^ (block >> 64) as u64)
        })
    }

    /// What is known of a token, as long as it still holds.
    pub fn lookup(&mut self, hash: u64, token: &[u8], now: u64, store: &KeyStore) -> Option<&Verified> {
        let place = self.place(hash);
        let index = *self.places.get(&place)?;
        let slot = self.entries.get_mut(index as usize)?;
        let entry = slot.as_mut().filter(|entry| *entry.token == *token)?;
        if !entry.verified.is_valid(now, store) {
            *slot = None;
            self.places.remove(&place);
            self.free.push(index);
            return None;
        }
        entry.referenced = true;
        slot.as_ref().map(|entry| &entry.verified)
    }

    /// Remembers a token that was just verified.
    pub fn insert(&mut self, hash: u64, token: &[u8], verified: Verified) {
        if self.capacity == 0 {
            return;
        }
        let place = self.place(hash);
        let entry = Some(Entry { place, token: token.into(), verified, referenced: false });
        let index = match self.places.get(&place) {
            Some(index) => *index,
            None => self.vacate(),
        };
        if let Some(slot) = self.entries.get_mut(index as usize) {
            *slot = entry;
            self.places.insert(place, index);
        }
    }

    /// A slot that is free, or was freed by turning the hand.
    fn vacate(&mut self) -> u32 {
        if let Some(index) = self.free.pop() {
            return index;
        }
        if self.entries.len() < self.capacity {
            self.entries.push(None);
            return (self.entries.len() - 1) as u32;
        }
        loop {
            let index = self.hand;
            self.hand = (self.hand + 1) % self.entries.len();
            match self.entries.get_mut(index).and_then(Option::as_mut) {
                Some(entry) if entry.referenced => entry.referenced = false,
                Some(entry) => {
                    self.places.remove(&entry.place);
                    return index as u32;
                }
                None => return index as u32,
            }
        }
    }

    /// Callers' hashes are mixed once more, as they may not be keyed.
    fn place(&self, hash: u64) -> u64 {
        mix(hash ^ self.seeds.0, self.seeds.1 | 1)
    }
}

/// Multiplies and folds the product's halves into one.
fn mix(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Hashes a key that is a hash.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}
