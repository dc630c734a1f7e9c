//! A bounded table of token buckets that many threads charge at once.
//!
//! A bucket is one number, the time at which it will be full again (GCRA, the generic cell rate algorithm of ITU-T I.371:
//! its "theoretical arrival time"). A request moves that time on by `1 / rate`; it is refused where that would reach
//! further ahead than `burst` requests. So a bucket that was not used for long needs neither a timer nor a refill, and is
//! no different from one that was never used.
//!
//! Keys come from clients and may be as many as they like, so the table has a size. A key belongs to one set of 16 places.
//! In a set without room a new key takes the place of the bucket that is full again, or nearest to it. One that is full
//! loses nothing by that. Where none is, the new key takes over what the former one still owes (as the counters of the
//! Space-Saving sketch do: Metwally et al., ICDT 2005). So the table as a whole never lets through more than its places
//! times the limit, however many keys there are: a flood of keys runs into the limit instead of getting fresh buckets. There
//! are twice as many places as keys that are promised room, which leaves a set of 16 without room about once in 100,000.

use crate::bytes::hash::{hash, random_seed};
use crate::shared::lock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const WAYS: usize = 16;
/// Threads that give a new key its place do so one after another, or it might get two.
const LOCKS: usize = 16;
const NO_KEY: u64 = 0;

/// What one bucket lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Between two requests at the steady rate; at least 1.
    pub interval_ns: u64,
    /// Of a bucket that is full: `burst` intervals.
    pub depth_ns: u64,
}

/// A key as the table knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64);

/// Where a request was charged, so that it can be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(usize);

#[derive(Debug)]
pub struct Buckets {
    seed: u64,
    sets: usize,
    keys: Box<[AtomicU64]>,
    full_at_ns: Box<[AtomicU64]>,
    placing: [Mutex<()>; LOCKS],
}

impl Buckets {
    /// With room for so many keys.
    pub fn new(keys: usize) -> Buckets {
        let sets = (2 * keys).div_ceil(WAYS).next_power_of_two();
        let zeros = || (0..sets * WAYS).map(|_| AtomicU64::new(0)).collect();
        Buckets { seed: random_seed(), sets, keys: zeros(), full_at_ns: zeros(), placing: Default::default() }
    }

    /// The key of some bytes, which no client can foresee; `None` is one key too.
    pub fn key(&self, bytes: Option<&[u8]>) -> Key {
        Key(bytes.map_or(1, |bytes| hash(self.seed, bytes).max(2)))
    }

    /// Charges one request. The error is how many nanoseconds later it would pass.
    pub fn charge(&self, key: Key, rule: Rule, now_ns: u64) -> Result<Place, u64> {
        let place = match self.find(key) {
            Some(place) => place,
            None => self.place(key, rule, now_ns)?,
        };
        let full_at = &self.full_at_ns[place.0];
        let mut known = full_at.load(Relaxed);
        loop {
            let next = charged(known, rule, now_ns)?;
            match full_at.compare_exchange_weak(known, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(place),
                Err(changed) => known = changed,
            }
        }
    }

    /// Takes a charge back.
    pub fn refund(&self, place: Place, rule: Rule) {
        self.full_at_ns[place.0].fetch_sub(rule.interval_ns, Relaxed);
    }

    /// Keys whose bucket is not full.
    pub fn in_use(&self, now_ns: u64) -> usize {
        self.full_at_ns.iter().filter(|full_at| full_at.load(Relaxed) > now_ns).count()
    }

    fn set(&self, key: Key) -> std::ops::Range<usize> {
        let first = (key.0 >> 32) as usize % self.sets * WAYS;
        first..first + WAYS
    }

    fn find(&self, key: Key) -> Option<Place> {
        let set = self.set(key);
        let at = self.keys[set.clone()].iter().position(|known| known.load(Relaxed) == key.0)?;
        Some(Place(set.start + at))
    }

    /// Gives a new key a place, unless it would be refused there.
    #[cold]
    fn place(&self, key: Key, rule: Rule, now_ns: u64) -> Result<Place, u64> {
        let set = self.set(key);
        let _alone = lock(&self.placing[set.start / WAYS % LOCKS]);
        if let Some(place) = self.find(key) {
            return Ok(place);
        }
        let full_at = |at: &usize| self.full_at_ns[*at].load(Relaxed);
        let fullest = set.clone().find(|&at| self.keys[at].load(Relaxed) == NO_KEY);
        let at = fullest.or_else(|| set.clone().min_by_key(full_at)).unwrap_or(set.start);
        charged(full_at(&at), rule, now_ns)?;
        self.keys[at].store(key.0, Relaxed);
        Ok(Place(at))
    }
}

/// When a bucket will be full after one more request.
#[inline]
fn charged(full_at_ns: u64, rule: Rule, now_ns: u64) -> Result<u64, u64> {
    let next = full_at_ns.max(now_ns).saturating_add(rule.interval_ns);
    let latest = now_ns.saturating_add(rule.depth_ns);
    if next > latest { Err(next - latest) } else { Ok(next) }
}
