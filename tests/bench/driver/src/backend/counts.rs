//! Calls served per method.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tidegate_bench::{ECHO, FEED, HEALTH_CHECK};

#[derive(Default)]
pub(crate) struct Counts {
    echo: AtomicU64,
    feed: AtomicU64,
    health: AtomicU64,
    other: AtomicU64,
}

#[derive(Serialize)]
pub(crate) struct CountsView {
    echo: u64,
    feed: u64,
    health: u64,
    other: u64,
}

impl Counts {
    pub(crate) fn served(&self, path: &str) {
        let counter = match path {
            ECHO => &self.echo,
            FEED => &self.feed,
            HEALTH_CHECK => &self.health,
            _ => &self.other,
        };
        counter.fetch_add(1, Ordering::Relaxed);
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
    }
}
