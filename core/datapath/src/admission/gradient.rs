//! How many calls a backend may have under way, found from how long they take.
//!
//! A server that is not overloaded answers as fast as it can; once calls wait in it, they take longer, and more of them
//! under way make nothing faster. So the latency without a queue, the *baseline*, is compared with the present one
//! (`gradient = tolerance x baseline / latency`): while calls take no longer than the tolerance allows, the limit grows by
//! its square root wherever it is in use, else it shrinks in proportion. It settles where calls take `tolerance` times the
//! baseline, with the server never idle. That much is the law of Envoy's gradient controller and of Netflix's
//! concurrency-limits, and both get into trouble with the baseline:
//!
//! - Envoy measures it each minute by letting only three calls through, which refuses healthy traffic;
//! - "gradient 2" takes a long average of the latency itself, so that an overload that lasts becomes the standard and the
//!   limit climbs (Netflix/concurrency-limits#134, #137).
//!
//! Here an ordinary window confirms the baseline while the limit is not in use, and nothing is measured then. Only where
//! calls are slow *and* it matters - the limit is reached, or they stay slow window after window - is the cause found out by
//! a trial: the limit goes to three quarters of `throughput x baseline`, which by Little's law is what the server can work
//! on at once, and once the queue is gone calls are timed. If they are as fast as the baseline says, it was a queue, and the
//! limit is set from what was learnt. If they are as slow as before, the server itself became slower, and that is the new
//! baseline. One that was too high, because the first calls already met a queue, comes down by a quarter with each trial.
//! A trial costs a quarter of the throughput for a few round trips. They are 1 s apart at first, and up to 30 s while they
//! find nothing new.
//!
//! Means are compared, not medians: Little's law is about means, and a mixture of fast and slow methods has a mean that
//! stays, while its median jumps between them.

/// The defaults: minimum and maximum are Envoy's (3, 1000), initial limit and tolerance those of gradient 2 (20, 1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub minimum: u32,
    pub maximum: u32,
    pub initial: u32,
    /// What a call may take, in hundredths of the baseline.
    pub tolerance_percent: u32,
}

/// A call that is not under way any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    pub took_ns: u64,
    /// False: its deadline ended it, so it would have taken longer.
    pub answered: bool,
}

const SECOND: u64 = 1_000_000_000;
/// A window is at least so long, and twice as long as a call takes: shorter ones would judge a limit by calls that were let
/// in under the one before.
const SHORTEST_WINDOW_NS: u64 = SECOND / 10;
const FEWEST_CALLS: u64 = 50;
/// Without a call for so long a window begins anew.
const SILENCE_NS: u64 = SECOND;
/// ... and a trial is given up.
const LONG_SILENCE_NS: u64 = 30 * SECOND;
const FEWEST_IN_TRIAL: u64 = 30;
const FIRST_TRIAL_NS: u64 = SECOND;
const LONGEST_BETWEEN_TRIALS_NS: u64 = 30 * SECOND;
/// A trial takes a few round trips; between two are at least so many.
const ROUNDS_BETWEEN_TRIALS: f64 = 20.0;
/// Slow windows in a row that are no coincidence, though the limit is not in use.
const SLOW_WINDOWS: u32 = 3;
/// ... that ask for a trial wherever the limit is.
const MANY_SLOW_WINDOWS: u32 = 5;
/// Of what the server can work on at once.
const TRIAL_SHARE: f64 = 0.75;
/// A baseline that differs by less is the same.
const SAME: f64 = 0.2;
/// The weight of one window in the baseline.
const WEIGHT: f64 = 0.1;

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    began_ns: u64,
    answered: u64,
    expired: u64,
    sum_ns: f64,
    peak: u32,
}

impl Window {
    fn new(began_ns: u64) -> Window {
        Window { began_ns, ..Window::default() }
    }

    fn count(&self) -> u64 {
        self.answered + self.expired
    }

    fn mean_ns(&self) -> f64 {
        self.sum_ns / self.count().max(1) as f64
    }
}

#[derive(Debug, Clone, Copy)]
struct Trial {
    window: Window,
    /// Answers a second before it began.
    throughput: f64,
    former_limit: f64,
}

#[derive(Debug, Clone)]
pub struct Gradient {
    settings: Settings,
    limit: f64,
    /// 0: not known yet.
    baseline_ns: f64,
    window: Window,
    trial: Option<Trial>,
    last_ns: u64,
    last_mean_ns: f64,
    slow_windows: u32,
    last_trial_ns: u64,
    between_trials_ns: u64,
}

impl Gradient {
    pub fn new(settings: Settings) -> Gradient {
        let mut gradient = Gradient {
            settings,
            limit: 0.0,
            baseline_ns: 0.0,
            window: Window::default(),
            trial: None,
            last_ns: 0,
            last_mean_ns: 0.0,
            slow_windows: 0,
            last_trial_ns: 0,
            between_trials_ns: FIRST_TRIAL_NS,
        };
        gradient.set(f64::from(settings.initial));
        gradient
    }

    /// Between the minimum and the maximum.
    pub fn limit(&self) -> u32 {
        self.limit as u32
    }

    /// What a call takes without a queue, as far as is known; 0: it is not.
    pub fn baseline_ns(&self) -> u64 {
        self.baseline_ns as u64
    }

    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Takes calls that ended by `now_ns`, and the most that were under way at once since the last report.
    pub fn report(&mut self, now_ns: u64, finished: &[Finished], peak: u32) {
        let silent_ns = now_ns.saturating_sub(self.last_ns);
        if silent_ns > SILENCE_NS.max((4.0 * self.last_mean_ns) as u64) {
            let longest = finished.iter().map(|call| call.took_ns).max().unwrap_or(0);
            self.window = Window::new(now_ns.saturating_sub(longest));
        }
        if self.last_ns == 0 {
            self.last_trial_ns = now_ns;
        }
        self.last_ns = self.last_ns.max(now_ns);
        self.window.peak = self.window.peak.max(peak);
        let slow_ns = self.tolerance() * self.baseline_ns;
        for call in finished {
            // Of a call that was not answered only this is known: it took at least so long.
            let tells = call.answered || (self.baseline_ns > 0.0 && call.took_ns as f64 > slow_ns);
            if !tells {
                continue;
            }
            add(&mut self.window, call);
            if let Some(trial) = &mut self.trial
                && now_ns >= trial.window.began_ns
            {
                add(&mut trial.window, call);
            }
        }
        match self.trial {
            Some(trial) if silent_ns > LONG_SILENCE_NS => self.end_trial(now_ns, trial.former_limit),
            Some(trial) => self.judge_trial(now_ns, trial),
            None => self.judge_window(now_ns),
        }
    }

    fn judge_window(&mut self, now_ns: u64) {
        let window = self.window;
        let elapsed_ns = now_ns.saturating_sub(window.began_ns);
        let mean_ns = window.mean_ns();
        if window.count() < FEWEST_CALLS || elapsed_ns < SHORTEST_WINDOW_NS.max((2.0 * mean_ns) as u64) {
            return;
        }
        self.window = Window::new(now_ns);
        self.last_mean_ns = mean_ns;
        if self.baseline_ns == 0.0 {
            self.baseline_ns = mean_ns;
        }
        let in_use = window.peak >= self.limit() / 2;
        let gradient = self.tolerance() * self.baseline_ns / mean_ns.max(1.0);
        if gradient >= 1.0 {
            self.slow_windows = 0;
            if mean_ns < self.baseline_ns || !in_use {
                self.baseline_ns += WEIGHT * (mean_ns - self.baseline_ns);
            }
            if in_use {
                self.set(self.limit + self.limit.sqrt());
            }
            return;
        }
        self.slow_windows += 1;
        let since_ns = now_ns.saturating_sub(self.last_trial_ns);
        let rested = since_ns >= FIRST_TRIAL_NS.max((ROUNDS_BETWEEN_TRIALS * mean_ns) as u64);
        let reached = rested && window.peak >= self.limit() && since_ns >= self.between_trials_ns;
        let lasts = rested && self.slow_windows >= MANY_SLOW_WINDOWS;
        if in_use || self.slow_windows >= SLOW_WINDOWS {
            // Never far above what is in use: a limit that nothing reaches limits nothing.
            self.set(self.limit.min(2.0 * f64::from(window.peak)) * gradient.max(0.5));
        }
        if reached || lasts {
            let throughput = window.answered as f64 * SECOND as f64 / elapsed_ns as f64;
            // Until then the calls that are under way have ended. All that end later count: those that also began later
            // would be the quick ones.
            let window = Window::new(now_ns.saturating_add((2.0 * mean_ns) as u64));
            self.trial = Some(Trial { window, throughput, former_limit: self.limit });
            let at_once = throughput * self.baseline_ns / SECOND as f64;
            self.set((TRIAL_SHARE * at_once).min(self.limit));
        }
    }

    fn judge_trial(&mut self, now_ns: u64, trial: Trial) {
        let elapsed_ns = now_ns.saturating_sub(trial.window.began_ns);
        let long_enough = elapsed_ns >= SHORTEST_WINDOW_NS.max((2.0 * trial.window.mean_ns()) as u64);
        if trial.window.answered < FEWEST_IN_TRIAL || !long_enough {
            return;
        }
        let (former_ns, measured_ns) = (self.baseline_ns, trial.window.mean_ns());
        let change = (measured_ns - former_ns) / former_ns.max(1.0);
        self.baseline_ns = measured_ns;
        self.last_mean_ns = measured_ns;
        self.between_trials_ns = match change.abs() < SAME {
            true => (2 * self.between_trials_ns).min(LONGEST_BETWEEN_TRIALS_NS),
            false => FIRST_TRIAL_NS,
        };
        let at_once = trial.throughput * measured_ns / SECOND as f64;
        let was_queue = measured_ns <= self.tolerance() * former_ns;
        let limit = if was_queue { trial.former_limit.min(self.tolerance() * at_once) } else { trial.former_limit };
        self.end_trial(now_ns, limit.max(self.limit));
    }

    fn end_trial(&mut self, now_ns: u64, limit: f64) {
        self.trial = None;
        self.last_trial_ns = now_ns;
        self.slow_windows = 0;
        self.window = Window::new(now_ns);
        self.set(limit);
    }

    fn tolerance(&self) -> f64 {
        f64::from(self.settings.tolerance_percent) / 100.0
    }

    fn set(&mut self, limit: f64) {
        let minimum = f64::from(self.settings.minimum.max(1));
        self.limit = limit.min(f64::from(self.settings.maximum)).max(minimum);
    }
}

fn add(window: &mut Window, call: &Finished) {
    window.answered += u64::from(call.answered);
    window.expired += u64::from(!call.answered);
    window.sum_ns += call.took_ns as f64;
}
