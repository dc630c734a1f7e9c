//! The calls that each backend has under way, counted over all workers, and how many may be.

use super::gradient::{Finished, Gradient, Settings};
use crate::shared::lock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

const NO_LIMIT: u32 = u32::MAX;

/// One backend's. Calls are counted from where they are let in to their response's header fields.
#[derive(Debug)]
pub struct Limiter {
    under_way: AtomicU32,
    limit: AtomicU32,
    refused: AtomicU64,
    gradient: Mutex<Option<Gradient>>,
}

impl Default for Limiter {
    fn default() -> Self {
        Limiter {
            under_way: AtomicU32::new(0),
            limit: AtomicU32::new(NO_LIMIT),
            refused: AtomicU64::new(0),
            gradient: Mutex::default(),
        }
    }
}

impl Limiter {
    /// Limits by these settings from now on; `None`: not at all. The same settings as before change nothing.
    pub fn configure(&self, settings: Option<Settings>) {
        let mut gradient = lock(&self.gradient);
        if gradient.as_ref().map(Gradient::settings) != settings {
            *gradient = settings.map(Gradient::new);
            self.limit.store(gradient.as_ref().map_or(NO_LIMIT, Gradient::limit), Relaxed);
        }
    }

    /// Counts a call; the number under way with it, or the limit as an error when it is reached.
    #[inline]
    pub fn enter(&self) -> Result<u32, u32> {
        let limit = self.limit.load(Relaxed);
        let before = self.under_way.fetch_add(1, Relaxed);
        if before < limit {
            return Ok(before + 1);
        }
        self.under_way.fetch_sub(1, Relaxed);
        self.refused.fetch_add(1, Relaxed);
        Err(limit)
    }

    /// A call that was let in is not under way any more.
    #[inline]
    pub fn leave(&self) {
        self.under_way.fetch_sub(1, Relaxed);
    }

    /// See `Gradient::report`.
    pub fn report(&self, now_ns: u64, finished: &[Finished], peak: u32) {
        if let Some(gradient) = &mut *lock(&self.gradient) {
            gradient.report(now_ns, finished, peak);
            self.limit.store(gradient.limit(), Relaxed);
        }
    }

    pub fn under_way(&self) -> u32 {
        self.under_way.load(Relaxed)
    }

    /// `None`: there is none now.
    pub fn limit(&self) -> Option<u32> {
        Some(self.limit.load(Relaxed)).filter(|&limit| limit != NO_LIMIT)
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

/// The process's limiters, by the names of the backends that ever had one.
#[derive(Debug, Default)]
pub struct Limiters(Mutex<BTreeMap<String, Arc<Limiter>>>);

impl Limiters {
    /// A backend's; `settings` None makes none where there is none.
    pub fn of(&self, backend: &str, settings: Option<Settings>) -> Option<Arc<Limiter>> {
        let mut known = lock(&self.0);
        if settings.is_some() && !known.contains_key(backend) {
            known.insert(backend.to_owned(), Arc::default());
        }
        let limiter = known.get(backend)?;
        limiter.configure(settings);
        Some(limiter.clone())
    }

    pub fn all(&self) -> Vec<(String, Arc<Limiter>)> {
        lock(&self.0).iter().map(|(name, limiter)| (name.clone(), limiter.clone())).collect()
    }
}
