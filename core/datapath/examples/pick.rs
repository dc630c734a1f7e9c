//! Picks endpoints, to be counted under callgrind: `pick POLICY KIND ENDPOINTS PICKS`.
//!
//! KIND is what the policy works with: `plain`; `weights` (four different ones); `zones`, half of the near ones ill;
//! `slow-start`, the endpoints having come at four different times; `bound`, with a bound of 125 % of the average load.

#![allow(clippy::disallowed_macros)]

use std::hint::black_box;
use tidegate_datapath::balance::Policy;
use tidegate_datapath::balance::priority::Rules;
use tidegate_datapath::balance::slow_start::SlowStart;
use tidegate_datapath::balance::spread::{Health, Member, Plan, Spread};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, policy, kind, endpoints, picks] = arguments.as_slice() else {
        return Err("usage: pick POLICY KIND ENDPOINTS PICKS".into());
    };
    let policy = match policy.as_str() {
        "round-robin" => Policy::RoundRobin,
        "least-request" => Policy::LeastRequest,
        "random" => Policy::Random,
        "ring-hash" => Policy::RingHash,
        "maglev" => Policy::Maglev,
        _ => return Err("no such policy".into()),
    };
    let kind = kind.as_str();
    let (endpoints, picks): (u32, u64) = (endpoints.parse()?, picks.parse()?);
    let slow = SlowStart::new(60_000, 100, 10);
    let names: Vec<String> = (0..endpoints).map(|at| format!("10.0.{}.{}:50051", at / 256, at % 256)).collect();
    let members: Vec<Member> = (0..endpoints)
        .zip(&names)
        .map(|(slot, name)| Member {
            slot,
            weight: match kind {
                "weights" => 1 + slot % 4,
                "slow-start" => slow.parts(1, 20_000 * u64::from(slot % 4)),
                _ => 1,
            },
            priority: 0,
            distance: u32::from(kind == "zones" && slot % 4 >= 2),
            health: if kind == "zones" && slot % 4 == 0 { Health::Unhealthy } else { Health::Healthy },
            name: name.as_bytes(),
        })
        .collect();
    let balance_factor = if kind == "bound" { 125 } else { 0 };
    let mut spread = Spread::new(Plan { policy, rules: Rules::default(), balance_factor }, &members, 0);
    // As many as all of them have by `load`, however many they are.
    spread.open = endpoints * 9 / 2;
    let mut random = 1u64;
    for _ in 0..picks {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        black_box(spread.pick(random, random ^ random >> 29, |slot| (slot & 3) * 3));
    }
    Ok(())
}
