//! Random impairments happen as often as they should: within the interval that a million packets
//! leave with probability 99.9 %.

use lftp_netem::{link::Link, record::Fate};

use super::{link, number, packet, records, run, steady};

const PACKETS: u64 = 1_000_000;

/// The two-sided 99.9 % point of the normal distribution.
const Z: f64 = 3.2905;

pub(crate) fn share_is(count: u64, of: u64, probability: f64) {
    let mean = of as f64 * probability;
    let half_width = Z * (mean * (1.0 - probability)).sqrt();
    let difference = (count as f64 - mean).abs();
    assert!(
        difference <= half_width,
        "{count} of {of}, expected {mean} ± {half_width}"
    );
}

/// Small packets, a microsecond apart, without records.
fn million(network: &str) -> Link {
    let mut link = link(network);
    link.set_recording(false);
    for index in 0..PACKETS {
        let now = super::at(index * 1000);
        while let Some(due) = link.next_wakeup().filter(|due| *due <= now) {
            while link.pop(due).is_some() {}
        }
        link.push(now, packet(index, 40));
    }
    while let Some(due) = link.next_wakeup() {
        while link.pop(due).is_some() {}
    }
    link
}

#[test]
fn independent_loss_is_as_frequent_as_asked() {
    for (text, probability) in [("0.1%", 0.001), ("10%", 0.1), ("50%", 0.5)] {
        let link = million(&format!("loss = '{text}'"));
        share_is(link.counters().lost_wire, PACKETS, probability);
    }
}

#[test]
fn certain_loss_loses_everything() {
    assert_eq!(million("loss = '100%'").counters().delivered, 0);
}

#[test]
fn duplicates_are_as_frequent_as_asked() {
    let link = million("duplicate = '3%'");
    let counters = link.counters();
    share_is(counters.duplicated, PACKETS, 0.03);
    assert_eq!(counters.delivered, PACKETS + counters.duplicated);
}

#[test]
fn corruption_is_as_frequent_as_asked_and_flips_one_bit() {
    let mut link = link("corrupt = '2%'");
    let sent = |index| packet(index, 28 + 16);
    let out = run(
        &mut link,
        (0..200_000).map(|index| (super::at(index), sent(index))),
    );
    let mut hits = [0; 16 * 8];
    let mut corrupted = 0;
    for (index, (_, got)) in (0..).zip(&out) {
        let want = sent(index).payload;
        let differ = want.iter().zip(&got.payload).map(|(a, b)| a ^ b);
        let flipped: Vec<_> = (0..).zip(differ).filter(|(_, bits)| *bits != 0).collect();
        if let [(byte, bits)] = flipped[..] {
            assert_eq!(bits.count_ones(), 1);
            hits[byte * 8 + bits.trailing_zeros() as usize] += 1;
            corrupted += 1;
        } else {
            assert!(flipped.is_empty());
        }
    }
    assert_eq!(corrupted, link.counters().corrupted);
    share_is(corrupted, 200_000, 0.02);
    assert!(
        hits.iter().all(|hits| *hits > 0),
        "every bit is hit at some time"
    );
}

#[test]
fn late_packets_are_as_frequent_as_asked() {
    let link = million("delay = '1ms'\nreorder = { probability = '5%', delay = '0.5ms' }");
    // Only what nothing overtakes, the last 500 packets, is late and yet in order.
    share_is(link.counters().reordered, PACKETS - 500, 0.05);
}

/// Mean loss and mean burst of a chain that loses everything in its bad state.
fn bursts_are(network: &str, mean: f64, burst: f64) {
    let mut link = link(network);
    run(
        &mut link,
        (0..PACKETS).map(|index| (super::at(index), packet(index, 40))),
    );
    let records = records(&mut link);
    let lost: Vec<bool> = {
        let mut lost = vec![false; PACKETS as usize];
        let gone = records
            .iter()
            .filter(|record| record.fate == Fate::LostBurst);
        gone.for_each(|record| lost[record.index as usize] = true);
        lost
    };
    let total = lost.iter().filter(|lost| **lost).count() as f64;
    let starts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
    // Lengths are geometric: their variance is burst² - burst.
    let half_width = Z * ((burst * burst - burst) / starts).sqrt();
    assert!(
        (total / starts - burst).abs() <= half_width,
        "{} for {burst}",
        total / starts
    );
    // A correlated sum: the variance of a two-state chain's occupation grows by
    // (1 + memory) / (1 - memory), where memory = 1 - p - r.
    let (to_good, to_bad) = (1.0 / burst, mean / (1.0 - mean) / burst);
    let memory = 1.0 - to_good - to_bad;
    let variance = mean * (1.0 - mean) * (1.0 + memory) / (1.0 - memory);
    let half_width = Z * (variance / PACKETS as f64).sqrt();
    let share = total / PACKETS as f64;
    assert!(
        (share - mean).abs() <= half_width,
        "{share} for {mean} ± {half_width}"
    );
}

#[test]
fn bursts_have_the_mean_and_the_length_asked_for() {
    let model = "loss = { model = 'gilbert-elliott', ";
    bursts_are(
        &format!("{model} mean = '3%', burst = '10p' }}"),
        0.03,
        10.0,
    );
    bursts_are(
        &format!("{model} mean = '20%', burst = '2.5p' }}"),
        0.2,
        2.5,
    );
    bursts_are(&format!("{model} p = '1%', r = '25%' }}"), 0.01 / 0.26, 4.0);
}

#[test]
fn the_full_chain_loses_what_its_formula_says() {
    let link = million(
        "loss = { model = 'gilbert-elliott', p = '2%', r = '30%', 1-h = '40%', 1-k = '1%' }",
    );
    let counters = link.counters();
    let (good, bad) = (0.3 / 0.32, 0.02 / 0.32);
    let memory = 1.0 - 0.32;
    // The extra variance comes from the state alone.
    let spread = (0.4f64 - 0.01).powi(2) * good * bad * 2.0 * memory / (1.0 - memory);
    let mean = good * 0.01 + bad * 0.4;
    let half_width = Z * ((mean * (1.0 - mean) + spread) / PACKETS as f64).sqrt();
    let share = counters.lost() as f64 / PACKETS as f64;
    assert!(
        (share - mean).abs() <= half_width,
        "{share} for {mean} ± {half_width}"
    );
    assert!(counters.lost_wire > 0 && counters.lost_burst > 0);
}

fn delays_ns(network: &str) -> Vec<f64> {
    let mut link = link(network);
    run(&mut link, steady(300_000, 1000));
    let delays = records(&mut link)
        .into_iter()
        .filter_map(|record| record.delay_ns());
    delays.map(|ns| ns as f64).collect()
}

/// Mean and variance of samples, against what they should be; `kurtosis` of the distribution.
fn moments_are(samples: &[f64], mean: f64, sigma: f64, kurtosis: f64) {
    let count = samples.len() as f64;
    let found = samples.iter().sum::<f64>() / count;
    assert!(
        (found - mean).abs() <= Z * sigma / count.sqrt(),
        "mean {found} for {mean}"
    );
    let squares = samples.iter().map(|sample| (sample - mean).powi(2));
    let found = squares.sum::<f64>() / count / (sigma * sigma);
    let half_width = Z * ((kurtosis - 1.0) / count).sqrt();
    assert!(
        (found - 1.0).abs() <= half_width,
        "variance {found} of what it should be"
    );
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

#[test]
fn numbers_survive() {
    let out = run(&mut link("delay = '1ms'"), steady(100, 10));
    let numbers: Vec<u64> = out.iter().map(|(_, packet)| number(packet)).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}
