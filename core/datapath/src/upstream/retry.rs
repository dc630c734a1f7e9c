//! Whether a request is sent again: the pure decision.
//!
//! A request that provably did not reach the application (no connection, a refused stream) is *transparent* to it, in
//! gRPC's word (proposal A6): it is sent again at once and takes nothing from the budget. Whatever else is sent again may
//! be acted on twice, so it happens only on conditions that the policy names, within the budget, and after a back-off with
//! full jitter, so that requests which failed together do not come back together. A server may say itself when it wants
//! the request again, or that it does not (`grpc-retry-pushback-ms`).

use crate::snapshot::document::{Retry, RetryOn};
use std::fmt::Debug;

/// How an attempt ended without anything that the client could see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Connect,
    RefusedStream,
    Reset,
    PerTryTimeout,
    /// Response headers. `grpc` is 255 where they carry no status.
    Status {
        http: u16,
        grpc: u8,
    },
}

/// What of a policy made a request be sent again; the words of the counter `retries_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    ConnectFailure,
    RefusedStream,
    Reset,
    PerTryTimeout,
    GatewayError,
    HttpStatus,
    GrpcStatus,
}

impl Condition {
    /// The application never saw the request.
    pub(crate) fn is_transparent(self) -> bool {
        matches!(self, Condition::ConnectFailure | Condition::RefusedStream)
    }
}

/// A request is to be sent again after `delay_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Again {
    pub(crate) condition: Condition,
    pub(crate) delay_ms: u64,
}

/// What a server says about being asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushback {
    Silent,
    After(u64),
    Never,
}

/// A server that wants more time than this is not waited for.
const LONGEST_PUSHBACK_MS: u64 = 60_000;

impl Pushback {
    /// Of the header's value; what is no number of milliseconds, a negative one too, means never (proposal A6).
    pub(crate) fn parse(value: Option<&[u8]>) -> Pushback {
        let Some(value) = value else { return Pushback::Silent };
        if value.is_empty() || value.len() > 9 || !value.iter().all(u8::is_ascii_digit) {
            return Pushback::Never;
        }
        let ms = value.iter().fold(0, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        if ms <= LONGEST_PUSHBACK_MS { Pushback::After(ms) } else { Pushback::Never }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) attempts: u32,
    connect_failure: bool,
    refused_stream: bool,
    reset: bool,
    gateway_error: bool,
    http: Box<[u16]>,
    /// One bit for each gRPC status.
    grpc: u32,
    back_off_ms: u64,
    max_back_off_ms: u64,
    /// 0: none.
    pub(crate) per_try_timeout_ms: u64,
    /// 0: no hedging.
    pub(crate) hedge_delay_ms: u64,
}

impl Policy {
    /// Faults go to `faults` as `path.field: message`.
    pub(crate) fn compile(retry: &Retry, path: &str, faults: &mut Vec<String>) -> Policy {
        for status in retry.http_statuses.iter().filter(|status| !(300..=599).contains(*status)) {
            faults.push(format!("{path}.http_statuses: {status} is no status of a failure: 300 to 599"));
        }
        for status in retry.grpc_statuses.iter().filter(|status| !(1..=16).contains(*status)) {
            faults.push(format!("{path}.grpc_statuses: {status} is no status of a failure: 1 to 16"));
        }
        let on = |condition| retry.on.contains(&condition);
        Policy {
            attempts: retry.attempts,
            connect_failure: on(RetryOn::ConnectFailure),
            refused_stream: on(RetryOn::RefusedStream),
            reset: on(RetryOn::Reset),
            gateway_error: on(RetryOn::GatewayError),
            http: retry.http_statuses.as_slice().into(),
            grpc: retry.grpc_statuses.iter().fold(0, |bits, &status| bits | 1u32.wrapping_shl(status.into())),
            back_off_ms: retry.back_off_ms.max(1),
            max_back_off_ms: retry.max_back_off_ms.max(retry.back_off_ms).max(1),
            per_try_timeout_ms: retry.per_try_timeout_ms,
            hedge_delay_ms: retry.hedge.map_or(0, |hedge| hedge.delay_ms.max(1)),
        }
    }

    /// Whether it needs to know of an exchange more than that it failed before it reached the application.
    pub(crate) fn watches(&self) -> bool {
        let conditions = self.reset || self.gateway_error || self.grpc != 0 || !self.http.is_empty();
        self.per_try_timeout_ms > 0 || self.attempts > 0 && (conditions || self.hedge_delay_ms > 0)
    }

    /// What of the policy a failure falls under.
    pub(crate) fn condition(&self, failure: Failure) -> Option<Condition> {
        match failure {
            Failure::Connect => self.connect_failure.then_some(Condition::ConnectFailure),
            Failure::RefusedStream => self.refused_stream.then_some(Condition::RefusedStream),
            Failure::Reset => self.reset.then_some(Condition::Reset),
            Failure::PerTryTimeout => (self.per_try_timeout_ms > 0).then_some(Condition::PerTryTimeout),
            Failure::Status { http: 502..=504, .. } if self.gateway_error => Some(Condition::GatewayError),
            Failure::Status { http, .. } if self.http.contains(&http) => Some(Condition::HttpStatus),
            Failure::Status { http: 200, grpc: grpc @ 1..=16 } => {
                (self.grpc >> grpc & 1 == 1).then_some(Condition::GrpcStatus)
            }
            Failure::Status { .. } => None,
        }
    }

    /// Whether a request that was sent again `attempts` times already is sent once more. `random` is evenly distributed.
    pub(crate) fn decide(&self, failure: Failure, attempts: u32, pushback: Pushback, random: u64) -> Option<Again> {
        let condition = self.condition(failure)?;
        if attempts >= self.attempts {
            return None;
        }
        let delay_ms = match pushback {
            _ if condition.is_transparent() => 0,
            Pushback::Never => return None,
            Pushback::After(ms) => ms,
            Pushback::Silent => self.back_off(attempts, random),
        };
        Some(Again { condition, delay_ms })
    }

    /// Full jitter: a random part of what doubles each time, in milliseconds.
    pub(crate) fn back_off(&self, attempts: u32, random: u64) -> u64 {
        let grown = self.back_off_ms.saturating_mul(1 << attempts.min(30)).min(self.max_back_off_ms);
        random % grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(retry: Retry) -> Policy {
        let mut faults = Vec::new();
        let policy = Policy::compile(&retry, "retry", &mut faults);
        assert!(faults.is_empty(), "{faults:?}");
        policy
    }

    fn any_failure() -> impl Strategy<Value = Failure> {
        prop_oneof![
            Just(Failure::Connect),
            Just(Failure::RefusedStream),
            Just(Failure::Reset),
            Just(Failure::PerTryTimeout),
            (prop_oneof![Just(200u16), 100u16..600], prop_oneof![0u8..17, Just(255)])
                .prop_map(|(http, grpc)| Failure::Status { http, grpc }),
        ]
    }

    fn any_retry() -> impl Strategy<Value = Retry> {
        let conditions = proptest::sample::subsequence(
            vec![RetryOn::ConnectFailure, RetryOn::RefusedStream, RetryOn::Reset, RetryOn::GatewayError],
            0..=4,
        );
        let statuses = (proptest::collection::vec(300u16..600, 0..4), proptest::collection::vec(1u8..17, 0..6));
        (0u32..6, conditions, statuses, (0u64..200, 0u64..2_000), 0u64..2).prop_map(
            |(attempts, on, (http_statuses, grpc_statuses), (back_off_ms, max_back_off_ms), per_try_timeout_ms)| {
                Retry {
                    attempts,
                    on,
                    http_statuses,
                    grpc_statuses,
                    back_off_ms,
                    max_back_off_ms,
                    per_try_timeout_ms,
                    hedge: None,
                }
            },
        )
    }

    /// What the policy says in words, once more.
    fn names(retry: &Retry, failure: Failure) -> bool {
        match failure {
            Failure::Connect => retry.on.contains(&RetryOn::ConnectFailure),
            Failure::RefusedStream => retry.on.contains(&RetryOn::RefusedStream),
            Failure::Reset => retry.on.contains(&RetryOn::Reset),
            Failure::PerTryTimeout => retry.per_try_timeout_ms > 0,
            Failure::Status { http, grpc } => {
                retry.http_statuses.contains(&http)
                    || (502..=504).contains(&http) && retry.on.contains(&RetryOn::GatewayError)
                    || http == 200 && retry.grpc_statuses.contains(&grpc)
            }
        }
    }

    proptest! {
        #[test]
        fn only_what_the_policy_names_and_never_more_often(
            retry in any_retry(), failure in any_failure(), made in 0u32..8, random: u64,
        ) {
            let again = policy(retry.clone()).decide(failure, made, Pushback::Silent, random);
            prop_assert_eq!(again.is_some(), names(&retry, failure) && made < retry.attempts);
            if let Some(again) = again {
                let transparent = matches!(failure, Failure::Connect | Failure::RefusedStream);
                let window = (retry.back_off_ms.max(1) << made).min(retry.max_back_off_ms.max(retry.back_off_ms).max(1));
                prop_assert_eq!(again.condition.is_transparent(), transparent);
                prop_assert!(again.delay_ms < window && (!transparent || again.delay_ms == 0));
            }
        }

        #[test]
        fn a_server_has_the_last_word(retry in any_retry(), failure in any_failure(), made in 0u32..8, random: u64, ms in 0u64..60_001) {
            let policy = policy(retry);
            let silent = policy.decide(failure, made, Pushback::Silent, random);
            let asked = policy.decide(failure, made, Pushback::After(ms), random);
            let refused = policy.decide(failure, made, Pushback::Never, random);
            prop_assert_eq!(silent.is_some(), asked.is_some(), "pushback permits nothing by itself");
            if let (Some(silent), Some(asked)) = (silent, asked) {
                let transparent = silent.condition.is_transparent();
                prop_assert_eq!(asked.delay_ms, if transparent { 0 } else { ms });
                prop_assert_eq!(refused.is_some(), transparent);
            }
        }

        #[test]
        fn pushback_is_a_number_or_a_refusal(value in proptest::collection::vec(any::<u8>(), 0..12)) {
            let number = std::str::from_utf8(&value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let expected = match number.and_then(|text| text.parse().ok()) {
                Some(ms @ 0..=60_000) if value.len() <= 9 => Pushback::After(ms),
                _ => Pushback::Never,
            };
            prop_assert_eq!(Pushback::parse(Some(&value)), expected);
        }
    }

    #[test]
    fn pushback_as_servers_write_it() {
        for (value, expected) in [
            (&b"0"[..], Pushback::After(0)),
            (b"1500", Pushback::After(1500)),
            (b"-1", Pushback::Never),
            (b"", Pushback::Never),
            (b"soon", Pushback::Never),
            (b"60001", Pushback::Never),
            (b"99999999999999999999", Pushback::Never),
        ] {
            assert_eq!(Pushback::parse(Some(value)), expected, "{value:?}");
        }
        assert_eq!(Pushback::parse(None), Pushback::Silent);
    }

    #[test]
    fn back_off_fills_its_window() {
        let policy = policy(Retry::default());
        for (attempts, window) in [(0, 25), (1, 50), (2, 100), (3, 200), (4, 250), (40, 250)] {
            assert_eq!(policy.back_off(attempts, window - 1), window - 1);
            assert_eq!(policy.back_off(attempts, window), 0);
        }
    }

    #[test]
    fn a_default_policy_watches_nothing() {
        assert!(!policy(Retry::default()).watches());
        assert!(policy(Retry { per_try_timeout_ms: 5, attempts: 0, ..Retry::default() }).watches());
        assert!(policy(Retry { grpc_statuses: vec![14], ..Retry::default() }).watches());
        assert!(!policy(Retry { grpc_statuses: vec![14], attempts: 0, ..Retry::default() }).watches());
    }

    #[test]
    fn statuses_of_successes_are_refused() {
        let mut faults = Vec::new();
        let retry = Retry { http_statuses: vec![200, 503], grpc_statuses: vec![0, 14, 17], ..Retry::default() };
        Policy::compile(&retry, "backends[0].retry", &mut faults);
        assert_eq!(faults.len(), 3, "{faults:?}");
    }
}
