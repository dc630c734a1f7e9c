//! Calls served per method and per address, and those that are open.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tidegate_bench::{ECHO, FEED, HEALTH_CHECK};

#[derive(Default)]
pub(crate) struct Counts {
    echo: AtomicU64,
    feed: AtomicU64,
    health: AtomicU64,
    other: AtomicU64,
    open: AtomicU64,
    dying: AtomicBool,
    addresses: Mutex<BTreeMap<SocketAddr, u64>>,
}

#[derive(Serialize)]
pub(crate) struct CountsView {
    echo: u64,
    feed: u64,
    health: u64,
    other: u64,
}

impl Counts {
    /// `address` is where the call's connection was accepted; checks of health are not counted there.
    pub(crate) fn served(&self, path: &str, address: Option<SocketAddr>) {
        let counter = match path {
            ECHO => &self.echo,
            FEED => &self.feed,
            HEALTH_CHECK => &self.health,
            _ => &self.other,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if let Some(address) = address.filter(|_| path != HEALTH_CHECK) {
            *self.addresses.lock().unwrap_or_else(PoisonError::into_inner).entry(address).or_default() += 1;
        }
    }

    /// A call that counts as open as long as the guard lives.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// From now on no call is answered any more.
    pub(crate) fn begin_to_die(&self) {
        self.dying.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_dying(&self) -> bool {
        self.dying.load(Ordering::Relaxed)
    }

    pub(crate) fn opened(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(crate) fn addresses(&self) -> BTreeMap<SocketAddr, u64> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn view(&self) -> CountsView {
        CountsView {
            echo: self.echo.load(Ordering::Relaxed),
            feed: self.feed.load(Ordering::Relaxed),
            health: self.health.load(Ordering::Relaxed),
            other: self.other.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn reset(&self) {
        for counter in [&self.echo, &self.feed, &self.health, &self.other] {
            counter.store(0, Ordering::Relaxed);
        }
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

pub(crate) struct Open(Arc<Counts>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
