use super::run;

/// Seeds of the property below; `cargo xtask faults` runs as many as are wanted.
const SEEDS: u64 = 40;

#[test]
fn the_file_arrives_whatever_goes_wrong() {
    for seed in 0..SEEDS {
        let outcome = run(seed).expect("a world");
        assert_eq!(
            outcome.failure, None,
            "again: cargo xtask faults --seeds {seed}"
        );
    }
}

#[test]
fn a_seed_goes_wrong_in_the_same_way_again() {
    for seed in 1_000..1_004 {
        let (first, second) = (run(seed).expect("a world"), run(seed).expect("a world"));
        assert_eq!(first.counts, second.counts, "seed {seed}");
    }
}
