//! How a pool's choice follows what is reported of its endpoints, with the time as an argument.

use super::{Pool, Tallies};
use crate::balance::spread::Health::{self, Healthy, Unhealthy};
use crate::snapshot::document::Document;
use crate::snapshot::{Address, Endpoint, Snapshot};
use serde_json::{Value, json};
use std::sync::Arc;

const WINDOW_MS: u64 = 10_000;
const BEGIN_MS: u64 = 1_000;

fn address(number: u16) -> Address {
    Address::Tcp(([10, 0, 0, 1], number).into())
}

fn endpoint(number: u16) -> Endpoint {
    Endpoint { address: address(number), weight: 1, priority: 0, distance: 0 }
}

/// A pool of the endpoints 1 to `count`, which are there from the beginning, the last of them in the first slot.
fn pool(balance: Value, count: u16) -> Pool {
    let endpoints: Vec<Value> = (1..=count).map(|number| json!({"address": format!("10.0.0.1:{number}")})).collect();
    let backends = json!([{"name": "app", "endpoints": endpoints, "balance": balance}]);
    let document = json!({"version": "1", "listeners": [], "backends": backends, "routes": []});
    let document: Document = serde_json::from_value(document).unwrap();
    let snapshot = Snapshot::compile(document, None).unwrap();
    Pool::new(snapshot.backends[0].clone(), 7, Arc::new(Tallies::default()), Arc::default(), BEGIN_MS)
}

fn warming() -> Value {
    json!({"slow_start": {"window_ms": WINDOW_MS, "aggression_percent": 100, "min_weight_percent": 10}})
}

/// How often each endpoint is picked at a moment.
fn picked(pool: &mut Pool, picks: u32, now_ms: u64) -> Vec<u32> {
    let mut counts = vec![0; pool.endpoints.len()];
    for number in 0..picks {
        let random = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if let Some(at) = pool.choice(now_ms).0.pick(random, 0, |_| 0) {
            counts[at as usize] += 1;
        }
    }
    counts
}

fn say(pool: &mut Pool, number: u16, health: Health, now_ms: u64) {
    pool.set_health(&[(address(number), health)], now_ms);
}

#[test]
fn the_first_endpoints_have_their_whole_share_at_once() {
    let mut pool = pool(warming(), 4);
    assert_eq!(picked(&mut pool, 100, BEGIN_MS), [25; 4]);
}

#[test]
fn a_new_endpoint_gets_more_with_time_and_then_as_much_as_others() {
    let mut pool = pool(warming(), 3);
    pool.change_endpoints(&[endpoint(4)], &[], BEGIN_MS + 100);
    // Three of weight 100 and one of 10, 50 and 95.
    for (age, round, part) in [(0, 310, 10), (5_000, 350, 50), (9_999, 395, 95)] {
        let counts = picked(&mut pool, round, BEGIN_MS + 100 + age);
        assert_eq!(counts, [100, 100, 100, part], "after {age} ms");
    }
    for round in 0..3 {
        assert_eq!(picked(&mut pool, 40, BEGIN_MS + 100 + WINDOW_MS + WINDOW_MS / 20 + round), [10; 4]);
    }
}

#[test]
fn who_serves_again_begins_slowly_too() {
    let mut pool = pool(warming(), 4);
    say(&mut pool, 4, Unhealthy, BEGIN_MS);
    assert_eq!(picked(&mut pool, 30, BEGIN_MS + 1), [0, 10, 10, 10]);
    say(&mut pool, 4, Health::Unknown, BEGIN_MS + 60_000);
    assert_eq!(picked(&mut pool, 310, BEGIN_MS + 60_000), [10, 100, 100, 100]);
    // And who was gone.
    pool.change_endpoints(&[], &[address(4)], BEGIN_MS + 120_000);
    pool.change_endpoints(&[endpoint(4)], &[], BEGIN_MS + 130_000);
    assert_eq!(picked(&mut pool, 310, BEGIN_MS + 130_000), [10, 100, 100, 100]);
}

#[test]
fn the_choice_is_made_anew_in_steps_and_only_in_a_window() {
    let mut pool = pool(warming(), 3);
    pool.change_endpoints(&[endpoint(4)], &[], BEGIN_MS);
    let (mut made, mut due) = (0, 0);
    for now_ms in BEGIN_MS..BEGIN_MS + 3 * WINDOW_MS {
        pool.choice(now_ms);
        made += u32::from(pool.due_ms() != due);
        due = pool.due_ms();
    }
    assert_eq!((made, due), (21, u64::MAX), "once for the change, and twenty steps");
}

#[test]
fn an_endpoint_of_little_weight_is_picked_even_when_few_requests_come() {
    let mut pool = pool(warming(), 9);
    pool.change_endpoints(&[endpoint(10)], &[], BEGIN_MS);
    // Five requests in each step: less than a tenth of a round.
    let picks: u32 = (0..20).map(|step| picked(&mut pool, 5, BEGIN_MS + step * 500)[9]).sum();
    assert!((1..=20).contains(&picks), "{picks} of 100, where its part is about five");
}

#[test]
fn without_slow_start_a_new_endpoint_has_its_share() {
    let mut pool = pool(json!({}), 3);
    pool.change_endpoints(&[endpoint(4)], &[], BEGIN_MS);
    assert_eq!(picked(&mut pool, 40, BEGIN_MS), [10; 4]);
    assert_eq!(pool.due_ms(), u64::MAX);
}

#[test]
fn the_near_come_first() {
    let mut pool = pool(json!({}), 0);
    let far = (3..=4).map(|number| Endpoint { distance: 1, ..endpoint(number) });
    let reported: Vec<Endpoint> = (1..=2).map(endpoint).chain(far).collect();
    pool.set_endpoints(&reported, BEGIN_MS);
    assert_eq!(picked(&mut pool, 100, BEGIN_MS), [0, 0, 50, 50]);
    for number in 1..=4 {
        say(&mut pool, number, if number == 1 { Unhealthy } else { Healthy }, BEGIN_MS);
    }
    let counts = picked(&mut pool, 10_000, BEGIN_MS);
    assert!(counts[3] == 0 && (6_900..7_100).contains(&counts[2]), "{counts:?}");
    let shares: Vec<f64> = pool.shares(BEGIN_MS).into_iter().map(|(_, share)| share).collect();
    assert_eq!(shares, [0.15, 0.15, 0.7, 0.0]);
}
