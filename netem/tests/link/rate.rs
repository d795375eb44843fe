//! Overhead, cells, token buckets and traces of delivery opportunities.

use lftp_netem::{Time, profile::NetworkProfile};
use proptest::prelude::*;

use super::{at, link, packet, run};

const MS: u64 = 1_000_000;

/// Returns the times at which packets of these sizes come out, if all are pushed at `start`.
fn times(network: &str, start: u64, sizes: &[u64]) -> Vec<u64> {
    let packets = (0..)
        .zip(sizes)
        .map(|(number, bytes)| (at(start), packet(number, *bytes)));
    let out = run(&mut link(network), packets);
    out.iter().map(|(time, _)| time.as_nanos()).collect()
}

#[test]
fn overhead_counts_for_the_rate() {
    // 1000 bytes and 24 more at a byte a microsecond.
    assert_eq!(
        times("rate = '8mbit'\noverhead = '24B'", 0, &[1000, 76]),
        [1_024_000, 1_124_000]
    );
}

#[test]
fn overhead_may_be_negative_but_no_packet_weighs_less_than_nothing() {
    assert_eq!(
        times("rate = '8mbit'\noverhead = '-14B'", 0, &[1000, 114]),
        [986_000, 1_086_000]
    );
    assert_eq!(
        times("rate = '8mbit'\noverhead = '-500B'", 5, &[100, 600]),
        [5, 100_005]
    );
}

#[test]
fn a_cell_is_sent_whole() {
    // 1000 + 8 bytes are 21 cells of 53.
    let atm = "rate = '8mbit'\noverhead = '8B'\ncell = '48B'\ncell_overhead = '5B'";
    assert_eq!(times(atm, 0, &[1000]), [21 * 53 * 1000]);
}

#[test]
fn a_full_bucket_goes_at_once_and_then_the_rate_holds() {
    let network = "rate = '8mbit'\nburst = '3000B'\nqueue = '100p'";
    let out = times(network, 5 * MS, &[1000; 5]);
    assert_eq!(out, [5 * MS, 5 * MS, 5 * MS, 6 * MS, 7 * MS]);
}

#[test]
fn a_bucket_fills_no_further_than_its_size() {
    let network = "rate = '8mbit'\nburst = '2000B'\nqueue = '100p'";
    let late = times(network, 3_600_000 * MS, &[1000; 3]);
    assert_eq!(late[2] - late[1], MS);
}

#[test]
fn a_burst_goes_at_the_peak_rate() {
    let network = "rate = '8mbit'\nburst = '3000B'\npeak_rate = '80mbit'\nqueue = '100p'";
    let out = times(network, 0, &[1000; 5]);
    assert_eq!(out, [MS / 10, 2 * MS / 10, 3 * MS / 10, MS, 2 * MS]);
}

/// Found by a network at random, where it made work out of nothing.
#[test]
fn a_phase_may_start_while_only_the_bucket_holds_a_packet_up() {
    let network = "rate = '8mbit'\nburst = '1500B'\npeak_rate = '80mbit'\nqueue = '100p'";
    let steady = times(network, 0, &[1000; 4]);
    let changed = times(
        &format!("{network}\nschedule = [{{ at = '1200us', loss = '0%' }}]"),
        0,
        &[1000; 4],
    );
    assert_eq!(changed, steady);
    assert_eq!(steady[3] - steady[2], MS);
}

proptest! {
    /// In no interval does more leave a bucket than it holds and the rate gives.
    #[test]
    fn a_bucket_never_gives_more_than_it_has(
        gaps in proptest::collection::vec(0u64..3_000_000, 1..60),
        burst in 1500u64..10_000,
    ) {
        let network = format!("rate = '8mbit'\nburst = '{burst}B'\nqueue = '1000p'");
        let mut now = 0;
        let packets: Vec<_> = (0..).zip(&gaps).map(|(number, gap)| {
            now += gap;
            (at(now), packet(number, 1000))
        }).collect();
        let out: Vec<u64> =
            run(&mut link(&network), packets).iter().map(|(time, _)| time.as_nanos()).collect();
        prop_assert_eq!(out.len(), gaps.len());
        for first in 0..out.len() {
            for last in first..out.len() {
                let sent = 1000 * (last - first + 1) as u64;
                prop_assert!(sent <= burst + (out[last] - out[first]) / 1000 + 1);
            }
        }
    }
}

fn mahimahi(trace: &str, start: u64, sizes: &[u64]) -> Vec<u64> {
    let network = format!("mahimahi = '{trace}'\nqueue = '1000p'");
    times(&network, start, sizes)
        .iter()
        .map(|ns| ns / MS)
        .collect()
}

#[test]
fn a_full_packet_takes_an_opportunity() {
    assert_eq!(mahimahi("1 3 3 10", 0, &[1500; 6]), [1, 3, 3, 10, 11, 13]);
}

#[test]
fn a_packet_spans_opportunities_and_leaves_at_its_last_byte() {
    // With mahimahi's header 1000 are 1004: 500 of the first are left.
    assert_eq!(mahimahi("1 3 5", 0, &[1000, 1000, 496, 1500]), [1, 3, 3, 5]);
}

#[test]
fn a_packet_cannot_use_the_opportunity_of_its_own_millisecond() {
    assert_eq!(mahimahi("1 3 5", 3 * MS, &[1500]), [5]);
    assert_eq!(mahimahi("1 3 5", 3 * MS - 1, &[1500]), [3]);
    assert_eq!(mahimahi("1 3 5", 5 * MS + MS / 2, &[1500]), [6]);
}

#[test]
fn the_rest_of_an_opportunity_is_lost_when_no_packet_waits() {
    let mut link = link("mahimahi = '1 3 5'\nqueue = '10p'");
    let packets = [(at(0), packet(0, 100)), (at(MS), packet(1, 1500))];
    let out: Vec<Time> = run(&mut link, packets)
        .into_iter()
        .map(|(time, _)| time)
        .collect();
    assert_eq!(out, [at(MS), at(3 * MS)]);
}

#[test]
fn a_trace_of_one_is_twelve_megabits() {
    let out = mahimahi("1", 0, &[1500; 1000]);
    assert_eq!(out[999], 1000);
    let network = NetworkProfile::from_toml_str("mahimahi = '1'").unwrap();
    assert_eq!(network.forward().rate_bps(), Some(12_000_000));
    // 0 to 4 is five opportunities in 4 ms: 15 Mbit/s, as in mahimahi.
    let network = NetworkProfile::from_toml_str("mahimahi = '0 1 2 3 4'").unwrap();
    assert_eq!(network.forward().rate_bps(), Some(15_000_000));
}

#[test]
fn impossible_shapers_are_refused() {
    for (network, words) in [
        ("peak_rate = '1mbit'", "needs a burst"),
        ("burst = '3000B'", "needs a rate"),
        (
            "rate = '8mbit'\nburst = '3000B'\npeak_rate = '8mbit'",
            "above the rate",
        ),
        ("rate = '8mbit'\nburst = '1000B'", "at least a packet"),
        ("rate = '8mbit'\ncell = '0B'", "48B"),
        ("rate = '8mbit'\ncell_overhead = '5B'", "needs a cell"),
        ("rate = '8mbit'\noverhead = -14", "-14B"),
        ("rate = '8mbit'\noverhead = '-3GB'", "above the limit"),
        ("mahimahi = '3 2'", "ascending"),
        ("mahimahi = '0'", "above 0"),
        ("mahimahi = 'x'", "milliseconds"),
        ("rate = '8mbit'\nmahimahi = '1'", "no rate"),
    ] {
        let error = NetworkProfile::from_toml_str(network)
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
}
