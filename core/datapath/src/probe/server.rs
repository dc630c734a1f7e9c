//! What the prober knows of one server.

use super::link::Link;
use super::observation::{Finding, Outcome, Times};
use super::plan::Plan;
use crate::bytes::wheel::Armed;
use crate::snapshot::Address;
use std::sync::atomic::Ordering::Relaxed;

/// Intervals from one Check of a watched server to the next.
pub(super) const ALIVE_ROUNDS: u64 = 5;

/// The streaks that are told although nothing has changed. 1: the first finding was enough.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    pub healthy: u32,
    pub unhealthy: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Until the next round.
    Resting,
    /// Under way; the time of `due_ms` is when it is given up.
    Asking,
    /// `Watch` has answered, and says the next thing when it likes. At `due_ms` it is asked whether it is alive.
    Watching,
    /// That has been asked; the time of `due_ms` is when it is given up.
    Reassuring,
}

impl Phase {
    pub(super) fn is_watching(self) -> bool {
        matches!(self, Phase::Watching | Phase::Reassuring)
    }
}

pub(super) struct Server {
    pub(super) id: u64,
    pub(super) plan: Plan,
    pub(super) address: Address,
    pub(super) thresholds: Thresholds,
    pub(super) link: Option<Link>,
    /// The link has answered before: that it turns out to be gone says nothing about the server.
    pub(super) reused: bool,
    pub(super) phase: Phase,
    pub(super) watches: bool,
    pub(super) round_ms: u64,
    pub(super) times: Times,
    pub(super) due_ms: u64,
    pub(super) armed: Armed,
    pub(super) last: Option<Finding>,
    pub(super) streak: u32,
}

impl Server {
    /// Milliseconds from one round to the next.
    pub(super) fn interval_ms(&self) -> u64 {
        let rests = self.plan.shared.quiet.load(Relaxed) && self.last.as_ref().is_some_and(passes);
        if rests { self.plan.quiet_interval_ms.max(self.plan.interval_ms) } else { self.plan.interval_ms }
    }

    /// The same from one Check beside a Watch to the next.
    pub(super) fn alive_interval_ms(&self) -> u64 {
        self.interval_ms().max(self.plan.interval_ms.saturating_mul(ALIVE_ROUNDS))
    }

    /// `at_ms`, varied by its share of `interval_ms`.
    pub(super) fn varied(&self, at_ms: u64, interval_ms: u64, random: u64) -> u64 {
        let part = interval_ms / 100 * self.plan.jitter_percent + interval_ms % 100 * self.plan.jitter_percent / 100;
        (at_ms + random % (2 * part).max(1)).saturating_sub(part)
    }
}

/// A gRPC server without `grpc.health.v1` passes, as gRPC's own clients have it (gRFC A17): it answers, and cannot say more.
pub(super) fn passes(finding: &Finding) -> bool {
    matches!(finding.outcome, Outcome::Serving | Outcome::Unimplemented)
}
