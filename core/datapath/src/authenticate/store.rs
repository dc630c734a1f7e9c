use super::keys::KeySet;
use super::provider::Provider;
use super::unknown::UnknownKeys;
pub use super::unknown::{FETCH_INTERVAL, MAX_KEY_ID_BYTES, REMEMBERED};
use arc_swap::{ArcSwap, Guard};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is known of a provider's keys.
pub(super) enum KeyState {
    /// The first fetch has not come to an end.
    NotFetched,
    /// No fetch has succeeded yet, or the keys grew too old to be trusted.
    Failed,
    Ready(KeySet),
}

/// A state and the generation under which tokens are verified with it.
pub(super) struct PublishedKeys {
    pub(super) generation: u64,
    pub(super) state: KeyState,
}

/// Generations are never used twice in a process, so that one of a former snapshot cannot be taken for a present one.
static NEXT_GENERATION: AtomicU64 = AtomicU64::new(1);

struct ProviderKeys {
    id: String,
    issuer: String,
    published: ArcSwap<PublishedKeys>,
    /// That of `published`, at the price of a load: the worker's cache asks on every request.
    generation: AtomicU64,
    /// Also held while `published` is replaced.
    unknown: Mutex<UnknownKeys>,
}

impl ProviderKeys {
    fn new(id: &str, issuer: &str) -> ProviderKeys {
        let generation = NEXT_GENERATION.fetch_add(1, Ordering::Relaxed);
        ProviderKeys {
            id: id.to_owned(),
            issuer: issuer.to_owned(),
            published: ArcSwap::from_pointee(PublishedKeys { generation, state: KeyState::NotFetched }),
            generation: AtomicU64::new(generation),
            unknown: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, UnknownKeys> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, generation: u64, state: KeyState) {
        self.published.store(Arc::new(PublishedKeys { generation, state }));
        self.generation.store(generation, Ordering::Release);
    }

    fn publish_anew(&self, state: KeyState) {
        self.publish(NEXT_GENERATION.fetch_add(1, Ordering::Relaxed), state);
    }
}

/// The keys of all providers, shared by all workers; each provider's keys are replaced in one step.
///
/// A provider is named by its place in the snapshot. Its generation changes whenever a token that was good may no
/// longer be: a key is gone or replaced. New keys beside the old ones leave it alone, so that a rotation does not make
/// every token be verified again.
#[derive(Default)]
pub struct KeyStore {
    providers: Box<[Arc<ProviderKeys>]>,
}

impl KeyStore {
    /// A store for a snapshot's providers. Those that `former` has under the same id and issuer keep their keys, and share
    /// them with it: what is set on one store is seen by the other.
    pub fn new(providers: &[Provider], former: Option<&KeyStore>) -> KeyStore {
        let carried = |provider: &Provider| {
            former?.providers.iter().find(|keys| keys.id == provider.id && keys.issuer == provider.issuer).cloned()
        };
        let keys = |provider: &Provider| {
            carried(provider).unwrap_or_else(|| Arc::new(ProviderKeys::new(&provider.id, &provider.issuer)))
        };
        KeyStore { providers: providers.iter().map(keys).collect() }
    }

    pub fn index_of(&self, provider_id: &str) -> Option<usize> {
        self.providers.iter().position(|keys| keys.id == provider_id)
    }

    pub fn provider_id(&self, provider: usize) -> Option<&str> {
        self.providers.get(provider).map(|keys| keys.id.as_str())
    }

    /// 0, which no keys have, for a provider that does not exist.
    pub fn generation(&self, provider: usize) -> u64 {
        self.providers.get(provider).map_or(0, |keys| keys.generation.load(Ordering::Acquire))
    }

    pub(super) fn keys(&self, provider: usize) -> Option<Guard<Arc<PublishedKeys>>> {
        self.providers.get(provider).map(|keys| keys.published.load())
    }

    /// How many keys a provider has; `None` before its first fetch succeeded and after its keys were dropped.
    pub fn usable_keys(&self, provider: usize) -> Option<usize> {
        match &self.keys(provider)?.state {
            KeyState::Ready(keys) => Some(keys.len()),
            KeyState::NotFetched | KeyState::Failed => None,
        }
    }

    /// Replaces a provider's keys.
    pub fn set(&self, provider: usize, keys: KeySet, now: u64) {
        let Some(target) = self.providers.get(provider) else { return };
        let mut unknown = target.lock();
        let former = target.published.load_full();
        unknown.answered(&keys, now);
        if !matches!(former.state, KeyState::Ready(_)) {
            // What was asked for were any keys at all.
            unknown.forget_asking();
        }
        match &former.state {
            KeyState::Ready(old) if keys.includes(old) => target.publish(former.generation, KeyState::Ready(keys)),
            _ => target.publish_anew(KeyState::Ready(keys)),
        }
    }

    /// Says that a fetch failed. Keys at hand stay; without any, requests are refused until a later fetch succeeds.
    pub fn fail(&self, provider: usize) {
        let Some(target) = self.providers.get(provider) else { return };
        let mut unknown = target.lock();
        unknown.failed();
        if matches!(target.published.load().state, KeyState::NotFetched) {
            target.publish_anew(KeyState::Failed);
        }
    }

    /// Forgets a provider's keys and all tokens that they verified.
    pub fn drop_keys(&self, provider: usize) {
        let Some(target) = self.providers.get(provider) else { return };
        let _unknown = target.lock();
        target.publish_anew(KeyState::Failed);
    }

    /// Whether a request that needs `key_id` (or any key) gains anything by waiting.
    pub fn is_worth_waiting(&self, provider: usize, key_id: Option<&str>, now: u64) -> bool {
        self.providers.get(provider).is_some_and(|keys| keys.lock().is_worth_waiting(key_id, now))
    }

    /// Whether to raise a wanted event for a request that begins to wait: at most one per provider and
    /// [`FETCH_INTERVAL`], none for key ids that a fetch did not bring.
    pub fn ask(&self, provider: usize, key_id: Option<&str>, now: u64) -> bool {
        self.providers.get(provider).is_some_and(|keys| keys.lock().ask(key_id, now))
    }

    /// Key ids that are remembered as unknown.
    pub fn remembered(&self, provider: usize) -> usize {
        self.providers.get(provider).map_or(0, |keys| keys.lock().len())
    }
}
