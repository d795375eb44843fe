//! Jitter of every distribution, with and without memory.

use lftp_netem::profile::NetworkProfile;

use super::{
    at, link, packet, records, run,
    statistics::{delays_ns, moments_are, share_is},
    steady,
};

const PACKETS: u64 = 200_000;

/// Delays in packet order, in nanoseconds.
fn delays(network: &str) -> Vec<f64> {
    let mut link = link(network);
    run(&mut link, steady(PACKETS, 1000));
    let mut records = records(&mut link);
    records.sort_by_key(|record| record.index);
    records
        .iter()
        .filter_map(|record| record.delay_ns())
        .map(|ns| ns as f64)
        .collect()
}

/// Kolmogorov and Smirnov's test at 99.9 %.
fn distribution_is(mut samples: Vec<f64>, share_below: impl Fn(f64) -> f64) {
    samples.sort_by(f64::total_cmp);
    let count = samples.len() as f64;
    let distance = samples.iter().enumerate().map(|(rank, sample)| {
        let share = share_below(*sample);
        let rank = rank as f64;
        (share - rank / count)
            .abs()
            .max((share - (rank + 1.0) / count).abs())
    });
    let distance = distance.fold(0.0, f64::max);
    assert!(
        distance <= 1.9495 / count.sqrt(),
        "{distance} with {count} samples"
    );
}

fn uniform(ns: f64) -> f64 {
    ((ns - 14e6) / 12e6).clamp(0.0, 1.0)
}

fn normal(ns: f64) -> f64 {
    0.5 * libm::erfc(-(ns - 20e6) / 3e6 / std::f64::consts::SQRT_2)
}

fn pareto(ns: f64) -> f64 {
    let x = (ns - 20e6) / 6e6 * 0.75 + 1.5;
    if ns >= 20e6 + 6e6 * 3.9998 {
        1.0
    } else {
        1.0 - x.max(1.0).powi(-3)
    }
}

const UNIFORM: &str = "delay = '20ms'\njitter = '6ms'";

const NORMAL: &str = "delay = '20ms'\njitter = '3ms'\njitter_distribution = 'normal'";

const PARETO: &str = "delay = '20ms'\njitter = '6ms'\njitter_distribution = 'pareto'";

#[test]
fn each_distribution_is_the_one_asked_for() {
    distribution_is(delays(UNIFORM), uniform);
    distribution_is(delays(NORMAL), normal);
    let samples = delays(PARETO);
    let cut = samples.iter().filter(|ns| **ns > 43.99e6).count() as u64;
    // One in 91 would be beyond 4: P(x > 4.5) = 4.5^-3.
    share_is(cut, PACKETS, 4.5f64.powi(-3));
    assert!(samples.iter().all(|ns| (16e6..=44e6).contains(ns)));
    distribution_is(
        samples.into_iter().filter(|ns| *ns < 43.99e6).collect(),
        |ns| pareto(ns) / (1.0 - 4.5f64.powi(-3)),
    );
}

#[test]
fn memory_correlates_neighbours_and_keeps_the_distribution() {
    for (network, below) in [
        (UNIFORM, &uniform as &dyn Fn(f64) -> f64),
        (NORMAL, &normal),
    ] {
        let samples = delays(&format!("{network}\njitter_correlation = '80%'"));
        let count = samples.len() as f64;
        let mean = samples.iter().sum::<f64>() / count;
        let variance = samples.iter().map(|ns| (ns - mean).powi(2)).sum::<f64>() / count;
        let pairs = samples
            .windows(2)
            .map(|pair| (pair[0] - mean) * (pair[1] - mean));
        let correlation = pairs.sum::<f64>() / count / variance;
        assert!((correlation - 0.8).abs() < 0.02, "{correlation}");
        // Far enough apart they are independent.
        distribution_is(samples.into_iter().step_by(50).collect(), below);
    }
}

#[test]
fn a_table_is_sampled_evenly() {
    let samples =
        delays("delay = '20ms'\njitter = '4ms'\njitter_table = '''-8192 0 # no\n4096 4096'''");
    for (ns, share) in [(16e6, 0.25), (20e6, 0.25), (22e6, 0.5)] {
        let count = samples.iter().filter(|sample| **sample == ns).count() as u64;
        share_is(count, PACKETS, share);
    }
}

#[test]
fn jitter_in_order_reorders_nothing_and_is_never_early() {
    for distribution in ["pareto", "normal"] {
        let mut link = link(&format!(
            "rate = '1gbit'\ndelay = '5ms'\njitter = '2ms'\n\
             jitter_distribution = '{distribution}'\n\
             jitter_correlation = '50%'\njitter_reorder = false"
        ));
        run(
            &mut link,
            (0..10_000).map(|index| (at(index * 700), packet(index, 40))),
        );
        assert_eq!(link.counters().reordered, 0);
        assert_eq!(link.counters().delivered, 10_000);
    }
}

#[test]
fn impossible_jitter_is_refused() {
    for (network, words) in [
        ("jitter_table = ''", "-8192 0 8192"),
        ("jitter_table = '1 99999'", "99999"),
        ("jitter_table = 5", "jitter table"),
        ("jitter_distribution = 'table'", "jitter_table"),
        ("jitter_correlation = '100%'", "less"),
        ("jitter_distribution = 'poisson'", "pareto"),
    ] {
        let error = NetworkProfile::from_toml_str(network)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn uniform_jitter_is_uniform() {
    let delays = delays_ns("delay = '20ms'\njitter = '6ms'");
    assert!(delays.iter().all(|ns| (14e6..=26e6).contains(ns)));
    moments_are(&delays, 20e6, 6e6 / 3f64.sqrt(), 1.8);
}

#[test]
fn normal_jitter_is_normal() {
    let delays = delays_ns("delay = '50ms'\njitter = '5ms'\njitter_distribution = 'normal'");
    moments_are(&delays, 50e6, 5e6, 3.0);
    let within = delays.iter().filter(|ns| (**ns - 50e6).abs() < 5e6).count();
    share_is(within as u64, delays.len() as u64, 0.682_689_5);
    let beyond = delays
        .iter()
        .filter(|ns| (**ns - 50e6).abs() > 15e6)
        .count();
    share_is(beyond as u64, delays.len() as u64, 0.002_699_8);
}
