use tidegate_datapath::access_log::Sampler;

#[test]
fn so_many_successes_a_second_and_every_failure() {
    let mut sampler = Sampler::new(2);
    let admitted = |sampler: &mut Sampler, second: u64, failed| sampler.admit(second * 1_000_000_000 + 7, failed);
    let first: Vec<bool> = (0..4).map(|_| admitted(&mut sampler, 5, false)).collect();
    assert_eq!(first, [true, true, false, false]);
    assert!(admitted(&mut sampler, 5, true));
    assert!(admitted(&mut sampler, 6, false));
    assert_eq!(sampler.passed_over(), 2);
    let mut unlimited = Sampler::new(0);
    assert!((0..10_000).all(|_| admitted(&mut unlimited, 5, false)));
}
