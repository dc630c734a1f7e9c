use tidegate_datapath::admission::rate_limit::{Applied, charge_all, compile, select};
use tidegate_datapath::snapshot::document;

const SECOND: u64 = 1_000_000_000;

fn definition(name: &str, requests: u64, period_ms: u64, burst: u32) -> document::RateLimit {
    document::RateLimit { name: name.to_owned(), key: None, requests, period_ms, burst, max_keys: 10 }
}

fn limits(definitions: &[document::RateLimit], former: &[Applied]) -> Vec<Applied> {
    let mut faults = Vec::new();
    let (limits, _) = compile(definitions, former, &mut faults);
    assert_eq!(faults, [""; 0]);
    limits
}

fn passed(limits: &[Applied], tries: usize) -> usize {
    let key = |applied: &Applied| applied.limit.key(None);
    (0..tries).filter(|_| charge_all(limits.iter(), key, SECOND).is_ok()).count()
}

#[test]
fn none_is_charged_when_one_refuses() {
    let both = limits(&[definition("wide", 1, 3_600_000, 10), definition("narrow", 1, 3_600_000, 4)], &[]);
    assert_eq!(passed(&both, 20), 4);
    assert_eq!(passed(&both[..1], 20), 6, "the wide one was charged for four");
    assert_eq!((both[0].limit.refused(), both[1].limit.refused()), (14, 16));
    let refusal = charge_all(both.iter(), |applied| applied.limit.key(None), SECOND).unwrap_err();
    assert_eq!((&*refusal.limit, refusal.wait_ns), ("wide", 3_600 * SECOND));
}

#[test]
fn buckets_outlive_a_snapshot_that_defines_the_limit_the_same() {
    let before = limits(&[definition("one", 1, 3_600_000, 3)], &[]);
    assert_eq!(passed(&before, 9), 3);
    let same = limits(&[definition("other", 1, 1, 1), definition("one", 1, 3_600_000, 3)], &before);
    assert_eq!(passed(&same[1..], 9), 0);
    let another = limits(&[definition("one", 1, 3_600_000, 5)], &same);
    assert_eq!(passed(&another, 9), 5);
}

#[test]
fn what_is_wrong_is_said_all_at_once() {
    let mut faults = Vec::new();
    let bad = [
        definition("a", 0, 1_000, 1),
        definition("a", 1_000_000_001, 1_000, 0),
        definition("b", 1, 86_400_000, u32::MAX),
        document::RateLimit { max_keys: 0, ..definition("c", 1, 1_000, 1) },
    ];
    let (known, _) = compile(&bad, &[], &mut faults);
    select(&known, &["x".to_owned()], "routes[0]", &mut faults);
    let places: Vec<&str> = faults.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    let requests_of_a = ["rate_limits[0].requests", "rate_limits[0].burst"];
    let of_second = ["rate_limits[1].name", "rate_limits[1].requests", "rate_limits[1].burst"];
    let others = ["rate_limits[2].burst", "rate_limits[3].max_keys", "routes[0].rate_limits[0]"];
    assert_eq!(places, [&requests_of_a[..], &of_second, &others].concat());
}
