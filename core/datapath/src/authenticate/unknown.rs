use super::keys::KeySet;
use std::collections::VecDeque;

/// Seconds between two fetches of one provider that requests ask for.
pub const FETCH_INTERVAL: u64 = 10;
/// Seconds for which a key id stays known to be unknown. With [`FETCH_INTERVAL`] it bounds how many are remembered, too.
pub const REMEMBERED: u64 = 120;
/// Longer key ids are never asked for.
pub const MAX_KEY_ID_BYTES: usize = 256;

/// The fetches of one provider that requests asked for, and the key ids that they were in vain for.
///
/// Anyone can write a token with a key id of their own making. So a provider is asked at most once per
/// [`FETCH_INTERVAL`], and the key id that a fetch was for and did not bring is not asked for again while it is
/// remembered. Only that one: a key id that came up while the fetch was under way may be newer than its answer.
#[derive(Default)]
pub(super) struct UnknownKeys {
    asked_at: Option<u64>,
    asked_for: Option<String>,
    under_way: bool,
    /// With the time of the fetch that did not bring them, oldest first.
    absent: VecDeque<(String, u64)>,
}

impl UnknownKeys {
    /// Whether a request that needs `key_id` gains anything by waiting for keys.
    pub(super) fn is_worth_waiting(&self, key_id: Option<&str>, now: u64) -> bool {
        let hopeless = key_id.is_some_and(|key_id| key_id.len() > MAX_KEY_ID_BYTES || self.remembers(key_id, now));
        !hopeless && (self.under_way || self.may_ask(now))
    }

    /// Whether to fetch now; true is said once, and noted.
    pub(super) fn ask(&mut self, key_id: Option<&str>, now: u64) -> bool {
        if !self.is_worth_waiting(key_id, now) || !self.may_ask(now) {
            return false;
        }
        self.asked_at = Some(now);
        self.asked_for = key_id.map(str::to_owned);
        self.under_way = true;
        true
    }

    pub(super) fn answered(&mut self, keys: &KeySet, now: u64) {
        self.under_way = false;
        self.absent.retain(|(_, since)| is_recent(*since, now));
        if let Some(key_id) = self.asked_for.take().filter(|key_id| !keys.contains(key_id)) {
            self.absent.push_back((key_id, now));
        }
    }

    /// The next unknown key id may be asked for at once.
    pub(super) fn forget_asking(&mut self) {
        self.asked_at = None;
    }

    pub(super) fn failed(&mut self) {
        self.under_way = false;
        self.asked_for = None;
    }

    pub(super) fn len(&self) -> usize {
        self.absent.len()
    }

    /// A clock that was set back counts as time gone by: it must not stop fetches for hours.
    fn may_ask(&self, now: u64) -> bool {
        self.asked_at.is_none_or(|asked_at| now < asked_at || now - asked_at >= FETCH_INTERVAL)
    }

    fn remembers(&self, key_id: &str, now: u64) -> bool {
        self.absent.iter().any(|(absent, since)| absent == key_id && is_recent(*since, now))
    }
}

fn is_recent(since: u64, now: u64) -> bool {
    since <= now && now - since < REMEMBERED
}
