//! Picks endpoints, to be counted under callgrind: `pick POLICY ENDPOINTS PICKS`.

#![allow(clippy::disallowed_macros)]

use std::hint::black_box;
use tidegate_datapath::balance::Policy;
use tidegate_datapath::balance::priority::Rules;
use tidegate_datapath::balance::spread::{Health, Member, Spread};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, policy, endpoints, picks] = arguments.as_slice() else {
        return Err("usage: pick POLICY ENDPOINTS PICKS".into());
    };
    let policy = match policy.as_str() {
        "round-robin" | "weighted" => Policy::RoundRobin,
        "least-request" => Policy::LeastRequest,
        "random" => Policy::Random,
        "ring-hash" => Policy::RingHash,
        "maglev" => Policy::Maglev,
        _ => return Err("no such policy".into()),
    };
    let (endpoints, picks): (u32, u64) = (endpoints.parse()?, picks.parse()?);
    let weighted = arguments[1] == "weighted";
    let names: Vec<String> = (0..endpoints).map(|at| format!("10.0.{}.{}:50051", at / 256, at % 256)).collect();
    let members: Vec<Member> = (0..endpoints)
        .zip(&names)
        .map(|(slot, name)| Member {
            slot,
            weight: if weighted { 1 + slot % 4 } else { 1 },
            priority: 0,
            health: Health::Healthy,
            name: name.as_bytes(),
        })
        .collect();
    let mut spread = Spread::new(policy, Rules::default(), &members, 0);
    let mut random = 1u64;
    for _ in 0..picks {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        black_box(spread.pick(random, random ^ random >> 29, |slot| slot & 7));
    }
    Ok(())
}
