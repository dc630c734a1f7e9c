use super::server::{DEFAULTS, MILLISECOND, SECOND, Service, World};
use proptest::prelude::*;
use tidegate_datapath::admission::gradient::{Finished, Gradient, Settings};

const SERVERS: [(usize, u64); 4] =
    [(4, 20 * MILLISECOND), (10, 10 * MILLISECOND), (100, 50 * MILLISECOND), (16, 500 * MILLISECOND)];

#[test]
fn an_overloaded_server_stays_busy_and_its_calls_quick() {
    for (slots, service_ns) in SERVERS {
        for service in [Service::Fixed, Service::Random, Service::Mixed] {
            let mut world = World::new(slots, service_ns, service, DEFAULTS);
            let capacity = world.capacity();
            // From its first call on three times what it can take.
            world.run(60.0, 3.0 * capacity);
            let seen = world.run(60.0, 3.0 * capacity);
            let goodput = seen.took_ns.len() as f64 / 60.0 / capacity;
            let mean_ns = seen.took_ns.iter().sum::<u64>() / seen.took_ns.len() as u64;
            let what = format!("{slots} of {service_ns} ns, {service:?}");
            assert!(goodput >= 0.9, "{what}: {goodput}");
            assert!(mean_ns < 3 * service_ns, "{what}: {mean_ns} ns");
            assert!(seen.greatest_limit as usize <= 5 * slots, "{what}: {}", seen.greatest_limit);
        }
    }
}

#[test]
fn after_an_overload_nobody_is_refused() {
    for service in [Service::Fixed, Service::Random, Service::Mixed] {
        let mut world = World::new(20, 10 * MILLISECOND, service, DEFAULTS);
        let capacity = world.capacity();
        world.run(30.0, 0.5 * capacity);
        world.run(60.0, 3.0 * capacity);
        world.run(1.0, 0.5 * capacity);
        let seen = world.run(60.0, 0.5 * capacity);
        let share = seen.refused as f64 / seen.offered as f64;
        assert!(share < 0.001, "{service:?}: {share}");
    }
}

#[test]
fn healthy_traffic_is_not_disturbed() {
    for (slots, service_ns) in SERVERS {
        for service in [Service::Fixed, Service::Random, Service::Mixed] {
            let mut world = World::new(slots, service_ns, service, DEFAULTS);
            let calls_per_second = 0.4 * world.capacity();
            world.run(10.0, calls_per_second);
            let seen = world.run(600.0, calls_per_second);
            let share = seen.refused as f64 / seen.offered as f64;
            assert!(share < 0.001, "{slots} of {service_ns} ns, {service:?}: {share}");
        }
    }
}

#[test]
fn a_server_that_becomes_slower_or_faster_is_found_out() {
    let mut world = World::new(20, 10 * MILLISECOND, Service::Random, DEFAULTS);
    for service_ns in [10, 40, 5, 100].map(|ms| ms * MILLISECOND) {
        world.service_ns = service_ns;
        let load = 3.0 * world.capacity();
        world.run(90.0, load);
        let seen = world.run(30.0, load);
        let goodput = seen.took_ns.len() as f64 / 30.0 / world.capacity();
        assert!(goodput >= 0.9, "{service_ns}: {goodput}");
        assert!(seen.percentile_ns(50) < 3 * service_ns, "{service_ns}: {}", seen.percentile_ns(50));
    }
}

#[test]
fn a_server_of_twice_the_size_is_found_out() {
    let mut world = World::new(10, 10 * MILLISECOND, Service::Random, DEFAULTS);
    world.run(30.0, 3.0 * world.capacity());
    world.slots = 40;
    let load = 3.0 * world.capacity();
    world.run(10.0, load);
    let seen = world.run(30.0, load);
    let goodput = seen.took_ns.len() as f64 / 30.0 / world.capacity();
    assert!(goodput >= 0.9, "{goodput}");
}

#[test]
fn nothing_changes_while_nothing_comes() {
    let mut world = World::new(10, 10 * MILLISECOND, Service::Fixed, DEFAULTS);
    world.run(30.0, 2.0 * world.capacity());
    world.run(1.0, 0.001);
    let (limit, baseline_ns) = (world.gradient.limit(), world.gradient.baseline_ns());
    for _ in 0..100 {
        world.run(3600.0, 0.001);
    }
    assert_eq!((world.gradient.limit(), world.gradient.baseline_ns()), (limit, baseline_ns));
}

#[test]
fn an_app_that_answers_nobody_in_time_is_given_little() {
    let mut gradient = Gradient::new(DEFAULTS);
    let mut now_ns = SECOND;
    let mut feed = |gradient: &mut Gradient, took_ns: u64, answered: bool| {
        for _ in 0..2_000 {
            now_ns += took_ns / u64::from(gradient.limit());
            let limit = gradient.limit();
            gradient.report(now_ns, &[Finished { took_ns, answered }], limit);
        }
    };
    feed(&mut gradient, 10 * MILLISECOND, true);
    assert!(gradient.limit() > DEFAULTS.initial);
    feed(&mut gradient, 5 * SECOND, false);
    assert_eq!(gradient.limit(), DEFAULTS.minimum);
}

proptest! {
    #[test]
    fn the_limit_keeps_its_bounds(
        minimum in 1u32..50, more in 0u32..50, even_more in 0u32..500, tolerance_percent in 105u32..1000,
        reports in proptest::collection::vec(
            (0u64..5 * SECOND, proptest::collection::vec((0u64..u64::MAX, any::<bool>()), 0..60), any::<u32>()), 0..60,
        ),
    ) {
        let (initial, maximum) = (minimum + more, minimum + more + even_more);
        let mut gradient = Gradient::new(Settings { minimum, maximum, initial, tolerance_percent });
        let mut now_ns = 0;
        for (gap_ns, calls, peak) in reports {
            now_ns += gap_ns;
            let calls: Vec<_> = calls.into_iter().map(|(took_ns, answered)| Finished { took_ns, answered }).collect();
            gradient.report(now_ns, &calls, peak);
            prop_assert!((minimum..=maximum).contains(&gradient.limit()));
        }
    }
}
