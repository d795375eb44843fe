//! Duplication, corruption, truncation and reordering with correlation and gaps.

use lftp_netem::profile::NetworkProfile;

use super::{link, number, packet, records, run, statistics::share_is, steady};

const PACKETS: u64 = 300_000;

/// Of each packet: did this happen to it?
fn hits(network: &str, is: fn(&lftp_netem::record::PacketRecord) -> bool) -> Vec<bool> {
    let mut link = link(network);
    run(&mut link, steady(PACKETS, 1000));
    let mut hits = vec![false; PACKETS as usize];
    for record in records(&mut link).iter().filter(|record| is(record)) {
        hits[record.index as usize] = true;
    }
    hits
}

/// After one that was hit, the next is with this probability.
fn follows(hits: &[bool], probability: f64) {
    let after = hits.windows(2).filter(|pair| pair[0]);
    let both = after.clone().filter(|pair| pair[1]).count() as u64;
    share_is(both, after.count() as u64, probability);
}

#[test]
fn what_happens_to_one_packet_is_likely_of_the_next() {
    let duplicated = hits(
        "duplicate = '10%'\nduplicate_correlation = '40%'",
        |record| record.duplicate,
    );
    follows(&duplicated, 0.1 + 0.4 * 0.9);
    let corrupted = hits("corrupt = '5%'\ncorrupt_correlation = '60%'", |record| {
        record.corrupted
    });
    follows(&corrupted, 0.05 + 0.6 * 0.95);
    let share = corrupted.iter().filter(|hit| **hit).count() as f64 / PACKETS as f64;
    assert!((share - 0.05).abs() < 0.004, "{share}");
}

#[test]
fn truncation_is_as_frequent_as_asked_and_takes_at_least_a_byte() {
    let mut link = link("truncate = '4%'");
    let out = run(
        &mut link,
        (0..PACKETS).map(|index| (super::at(index), packet(index, 68))),
    );
    let cut: Vec<usize> = out
        .iter()
        .map(|(_, packet)| packet.payload.len())
        .filter(|bytes| *bytes < 40)
        .collect();
    share_is(cut.len() as u64, PACKETS, 0.04);
    assert_eq!(link.counters().truncated, cut.len() as u64);
    for bytes in [0, 39] {
        let count = cut.iter().filter(|cut| **cut == bytes).count() as u64;
        share_is(count, cut.len() as u64, 1.0 / 40.0);
    }
}

#[test]
fn every_gapth_packet_goes_ahead() {
    let network = "delay = '10ms'\nreorder = { probability = '100%', gap = 5 }";
    let mut link = link(network);
    run(&mut link, steady(20, 1000));
    let records = records(&mut link);
    let ahead: Vec<u64> = records
        .iter()
        .filter(|record| record.delay_ns() == Some(0))
        .map(|record| record.index)
        .collect();
    assert_eq!(ahead, [4, 9, 14, 19]);
}

#[test]
fn packets_ahead_are_as_frequent_as_asked_and_in_runs() {
    let ahead = hits(
        "delay = '10ms'\nreorder = { probability = '20%', correlation = '50%' }",
        |record| record.delay_ns() == Some(0),
    );
    follows(&ahead, 0.6);
    let share = ahead.iter().filter(|hit| **hit).count() as f64 / PACKETS as f64;
    assert!((share - 0.2).abs() < 0.006, "{share}");
}

#[test]
fn a_packet_ahead_leaves_the_bottleneck_like_any_other() {
    let network = "rate = '8mbit'\ndelay = '10ms'\nreorder = { probability = '100%', gap = 3 }";
    let out = run(
        &mut link(network),
        (0..3).map(|index| (super::at(0), packet(index, 1000))),
    );
    let order: Vec<u64> = out.iter().map(|(_, packet)| number(packet)).collect();
    assert_eq!(order, [2, 0, 1]);
    assert_eq!(out[0].0.as_nanos(), 3_000_000);
}

#[test]
fn correlations_and_gaps_that_cannot_be_are_refused() {
    for (network, words) in [
        ("duplicate_correlation = '100%'", "duplicate_correlation"),
        (
            "reorder = { probability = '1%', correlation = '100%' }",
            "reorder's correlation",
        ),
        ("reorder = { probability = '1%', gap = 0 }", "1 or more"),
        ("reorder = { delay = '1ms' }", "probability"),
    ] {
        let error = NetworkProfile::from_toml_str(network)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}
