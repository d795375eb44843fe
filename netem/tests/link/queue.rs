//! The bottleneck: rate, queue, marks and the MTU.

use lftp_netem::{packet::Packet, record::PacketOutcome};
use proptest::prelude::*;

use super::{at, link, number, packet, records, run, steady};

const MS: u64 = 1_000_000;

proptest! {
    #[test]
    fn the_rate_is_met_to_the_nanosecond(
        bps in prop_oneof![1_000u64..1_000_000, 1_000_000u64..400_000_000_000],
        sizes in prop::collection::vec(36u64..1500, 1..200),
    ) {
        let mut link = link(&format!("rate = '{bps}bit'\nqueue = '1000p'"));
        let packets = sizes.iter().map(|bytes| (at(0), packet(0, *bytes)));
        let out = run(&mut link, packets);
        let mut bytes = 0;
        for ((due, _), size) in out.iter().zip(&sizes) {
            bytes += u128::from(*size);
            let exact = bytes * 8_000_000_000 / u128::from(bps);
            prop_assert_eq!(u128::from(due.as_nanos()), exact);
        }
    }
}

#[test]
fn ten_gigabits_per_second_are_ten() {
    let mut link = link("rate = '10gbit'\nqueue = '1000p'");
    link.keep_records(false);
    // 1228 bytes take 982.4 ns; one is sent every 982 ns, so the queue never runs empty.
    let packets = (0..1_000_000).map(|index| (at(index * 982), packet(index, 1228)));
    let out = run(&mut link, packets);
    assert_eq!(link.counters().queue_drops, 0);
    assert_eq!(out.last().unwrap().0, at(982_400_000));
}

#[test]
fn an_idle_bottleneck_owes_nothing() {
    let mut link = link("rate = '3gbit'");
    let out = run(&mut link, steady(10, MS));
    // 1000 bytes take 2666.67 ns.
    assert!(
        (0..)
            .zip(&out)
            .all(|(index, (due, _))| *due == at(index * MS + 2666))
    );
}

/// Returns how many of a hundred packets of 1000 bytes, sent at once, get through.
fn through(network: &str) -> u64 {
    let mut link = link(network);
    run(&mut link, steady(100, 0));
    let counters = link.counters();
    assert_eq!(counters.delivered + counters.queue_drops, 100);
    counters.delivered
}

#[test]
fn the_queue_holds_what_it_should_however_that_is_said() {
    assert_eq!(through("rate = '8mbit'\nqueue = '7p'"), 7);
    assert_eq!(through("rate = '8mbit'\nqueue = '7kB'"), 7);
    assert_eq!(through("rate = '8mbit'\nqueue = '6999B'"), 6);
    assert_eq!(through("rate = '8mbit'\nqueue = '7ms'"), 7);
    assert_eq!(
        through("rate = '8mbit'\nqueue = '0.5bdp'\ndelay = '20ms'"),
        20
    );
    assert_eq!(
        through("rate = '8mbit'\n[forward]\ndelay = '5ms'\n[reverse]\ndelay = '7ms'"),
        12,
        "one bandwidth-delay product unless told otherwise, over both delays"
    );
}

#[test]
fn a_short_link_has_room_for_a_few_packets_all_the_same() {
    assert_eq!(through("rate = '8mbit'"), 6);
}

#[test]
fn a_packet_larger_than_the_queue_passes_when_nothing_waits() {
    let mut link = link("rate = '8mbit'\nqueue = '100B'");
    assert_eq!(run(&mut link, steady(5, 2 * MS)).len(), 5);
}

#[test]
fn a_lost_packet_has_used_its_share_of_the_rate_or_not_as_its_position_says() {
    let last = |position: &str| {
        let mut link = link(&format!(
            "rate = '8mbit'\nqueue = '1000p'\nloss = '100%'\nloss_position = '{position}'"
        ));
        run(&mut link, steady(10, 0));
        records(&mut link).last().unwrap().departed_at
    };
    assert_eq!(last("after-queue"), at(10 * MS));
    assert_eq!(last("before-queue"), at(0));
}

#[test]
fn capable_packets_are_marked_from_the_threshold_on_and_others_never() {
    let mut link = link("rate = '8mbit'\nqueue = '10p'\necn_threshold = '4p'");
    let packets = (0..10).map(|index| {
        let Packet {
            source,
            destination,
            payload,
            ..
        } = packet(index, 1000);
        (
            at(0),
            Packet::new(source, destination, (index % 4) as u8, payload),
        )
    });
    let out = run(&mut link, packets);
    let marks: Vec<u8> = out.iter().map(|(_, packet)| packet.ecn).collect();
    assert_eq!(marks, [0, 1, 2, 3, 0, 3, 3, 3, 0, 3]);
    assert_eq!(link.counters().ce_marked, 3);
}

#[test]
fn packets_above_the_mtu_are_dropped_with_their_own_outcome() {
    let mut link = link("mtu = '1280B'");
    let sizes = [1280, 1281, 100].into_iter().zip(0..);
    let out = run(
        &mut link,
        sizes.map(|(bytes, index)| (at(0), packet(index, bytes))),
    );
    let got: Vec<_> = out.iter().map(|(_, packet)| number(packet)).collect();
    assert_eq!(got, [0, 2]);
    let outcomes: Vec<_> = records(&mut link)
        .iter()
        .map(|record| record.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [
            PacketOutcome::Delivered,
            PacketOutcome::MtuDrop,
            PacketOutcome::Delivered
        ]
    );
}

#[test]
fn ipv6_weighs_twenty_bytes_more() {
    let address = "[::1]:5".parse().unwrap();
    let mut link = link("rate = '8mbit'");
    let out = run(
        &mut link,
        [(at(0), Packet::new(address, address, 0, vec![0; 952]))],
    );
    assert_eq!(out[0].0, at(MS));
}

#[test]
fn the_queue_is_reported_as_each_packet_found_it() {
    let mut link = link("rate = '8mbit'\nqueue = '10p'");
    run(&mut link, steady(3, MS / 4));
    let found: Vec<_> = records(&mut link)
        .iter()
        .map(|record| record.queue_bytes)
        .collect();
    assert_eq!(found, [0, 1000, 2000]);
    assert_eq!(link.counters().peak_queue_bytes, 3000);
}
