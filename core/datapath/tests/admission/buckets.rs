use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tidegate_datapath::admission::buckets::{Buckets, Rule};

const SECOND: u64 = 1_000_000_000;

fn rule(interval_ns: u64, burst: u64) -> Rule {
    Rule { interval_ns, depth_ns: interval_ns * burst }
}

#[test]
fn a_burst_then_the_rate() {
    let (buckets, rule) = (Buckets::new(10), rule(SECOND / 10, 5));
    let key = buckets.key(Some(b"alice"));
    let passed = |now_ns: u64, tries: usize| (0..tries).filter(|_| buckets.charge(key, rule, now_ns).is_ok()).count();
    assert_eq!(passed(SECOND, 9), 5);
    assert_eq!(buckets.charge(key, rule, SECOND), Err(SECOND / 10));
    assert_eq!(passed(SECOND + SECOND / 10, 9), 1);
    assert_eq!(passed(2 * SECOND, 9), 5, "never more than the burst");
    assert_eq!(passed(60 * SECOND, 9), 5);
}

#[test]
fn keys_do_not_disturb_each_other() {
    let (buckets, rule) = (Buckets::new(10), rule(SECOND, 2));
    for name in [&b"alice"[..], b"bob"] {
        let key = buckets.key(Some(name));
        assert_eq!((0..5).filter(|_| buckets.charge(key, rule, SECOND).is_ok()).count(), 2);
    }
    assert_eq!((0..5).filter(|_| buckets.charge(buckets.key(None), rule, SECOND).is_ok()).count(), 2);
    assert_eq!(buckets.in_use(SECOND), 3);
    assert_eq!(buckets.in_use(60 * SECOND), 0);
}

#[test]
fn as_many_keys_as_promised_have_buckets_of_their_own() {
    let (buckets, rule) = (Buckets::new(10_000), rule(3600 * SECOND, 2));
    let mut refused = 0;
    for _ in 0..2 {
        for name in 0u32..10_000 {
            let key = buckets.key(Some(&name.to_le_bytes()));
            refused += usize::from(buckets.charge(key, rule, SECOND).is_err());
        }
    }
    assert!(refused <= 20, "{refused}");
}

#[test]
fn a_flood_of_keys_gets_no_more_than_the_table_has_places() {
    let (buckets, rule) = (Buckets::new(100), rule(3600 * SECOND, 3));
    let key = |number: u32| buckets.key(Some(&number.to_le_bytes()));
    let passed = (0..1_000_000).filter(|&number| buckets.charge(key(number), rule, SECOND).is_ok()).count();
    assert!((300..=256 * 3).contains(&passed), "{passed}");
    // Whoever had a bucket has no fresh one now.
    let again = (0..1_000).filter(|&number| buckets.charge(key(number), rule, SECOND).is_ok()).count();
    assert_eq!(again, 0);
    // What was owed is paid in time.
    assert!(buckets.charge(key(5), rule, SECOND + 3 * 3600 * SECOND).is_ok());
}

#[test]
fn many_threads_get_what_one_would() {
    let (buckets, rule) = (Arc::new(Buckets::new(10)), rule(3600 * SECOND, 100));
    let passed = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (buckets, passed) = (buckets.clone(), passed.clone());
            std::thread::spawn(move || {
                for number in 0u32..1_000 {
                    let key = buckets.key(Some(&(number % 5).to_le_bytes()));
                    passed.fetch_add(usize::from(buckets.charge(key, rule, SECOND).is_ok()), Relaxed);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(passed.load(Relaxed), 5 * 100);
}

proptest! {
    /// In any stretch of time no more than the burst and what the rate gives; a refused request passes when it was told to.
    #[test]
    fn never_more_than_the_limit(
        interval_ns in 1u64..SECOND, burst in 1u64..20, gaps in proptest::collection::vec(0u64..2 * SECOND, 1..200)
    ) {
        let (buckets, rule) = (Buckets::new(1), rule(interval_ns, burst));
        let key = buckets.key(None);
        let (mut now_ns, mut passed) = (SECOND, Vec::new());
        for gap in gaps {
            now_ns += gap;
            match buckets.charge(key, rule, now_ns) {
                Ok(_) => passed.push(now_ns),
                Err(wait_ns) => {
                    prop_assert!(wait_ns > 0);
                    prop_assert!(buckets.charge(key, rule, now_ns + wait_ns - 1).is_err());
                    now_ns += wait_ns;
                    prop_assert!(buckets.charge(key, rule, now_ns).is_ok());
                    passed.push(now_ns);
                }
            }
        }
        for (at, from) in passed.iter().enumerate() {
            for (to, until) in passed.iter().enumerate().skip(at) {
                let most = burst + (until - from) / interval_ns;
                prop_assert!(((to - at) as u64) < most, "{} in {} ns", to - at + 1, until - from);
            }
        }
    }

    /// A charge that is taken back was never made.
    #[test]
    fn refunds(interval_ns in 1u64..SECOND, burst in 1u64..20, times in 0usize..50) {
        let (buckets, rule) = (Buckets::new(1), rule(interval_ns, burst));
        let key = buckets.key(Some(b"x"));
        for _ in 0..times {
            let place = buckets.charge(key, rule, SECOND).unwrap();
            buckets.refund(place, rule);
        }
        prop_assert_eq!((0..100).filter(|_| buckets.charge(key, rule, SECOND).is_ok()).count() as u64, burst);
    }
}
