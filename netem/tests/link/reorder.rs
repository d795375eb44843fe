//! Packets held back, and packets sent ahead.

use lftp_netem::profile::NetworkProfile;

use super::{
    at, link, number, packet, records, run,
    statistics::{HITS, PACKETS, follows, hits, million, share_is},
    steady,
};

const MS: u64 = 1_000_000;

#[test]
fn with_certainty_one_packet_of_every_gap_goes_ahead() {
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
    let share = ahead.iter().filter(|hit| **hit).count() as f64 / HITS as f64;
    assert!((share - 0.2).abs() < 0.006, "{share}");
}

#[test]
fn a_packet_ahead_leaves_the_bottleneck_like_any_other() {
    let network = "rate = '8mbit'\ndelay = '10ms'\nreorder = { probability = '100%', gap = 3 }";
    let out = run(
        &mut link(network),
        (0..3).map(|index| (at(0), packet(index, 1000))),
    );
    let order: Vec<u64> = out.iter().map(|(_, packet)| number(packet)).collect();
    assert_eq!(order, [2, 0, 1]);
    assert_eq!(out[0].0.as_nanos(), 3_000_000);
}

#[test]
fn a_late_packet_comes_exactly_so_much_later() {
    let network = "delay = '1ms'\nreorder = { probability = '20%', delay = '10ms' }";
    let mut link = link(network);
    run(&mut link, steady(1000, MS));
    let records = records(&mut link);
    let delays: Vec<_> = records
        .iter()
        .filter_map(|record| record.delay_ns())
        .collect();
    assert!(delays.iter().all(|delay| [MS, 11 * MS].contains(delay)));
    let late = delays.iter().filter(|delay| **delay > MS).count() as u64;
    assert!((150..250).contains(&late), "{late}");
    // All but the last few are overtaken.
    assert!(link.counters().reordered.abs_diff(late) <= 10);
}

#[test]
fn late_packets_are_as_frequent_as_asked() {
    let link = million("delay = '1ms'\nreorder = { probability = '5%', delay = '0.5ms' }");
    // Only what nothing overtakes, the last 500 packets, is late and yet in order.
    share_is(link.counters().reordered, PACKETS - 500, 0.05);
}

#[test]
fn correlations_and_gaps_that_cannot_be_are_refused() {
    for (network, words) in [
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
