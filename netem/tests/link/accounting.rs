//! Every packet is accounted for, impairments do not disturb each other, and a seed gives the same
//! run again.

use std::collections::BTreeMap;

use lftp_netem::{Time, packet::Packet, record::PacketOutcome};
use proptest::prelude::*;

use super::{at, drain, packet, records, run, seeded};

/// Lines of a profile, each there or not.
const LINES: [&str; 12] = [
    "rate = '80mbit'\nqueue = '30p'",
    "delay = '3ms'",
    "jitter = '1ms'",
    "jitter_reorder = false",
    "duplicate = '10%'",
    "corrupt = '10%'",
    "reorder = { probability = '10%', delay = '2ms' }",
    "loss_position = 'before-queue'",
    "truncate = '10%'\njitter_correlation = '60%'\nduplicate_correlation = '50%'",
    "slots = { min = '100us', max = '900us', packets = 3 }",
    "discipline = { name = 'pie', target = '1ms', update = '1ms', burst = '1ms', ecn = true }",
    "[[schedule]]\nat = '5ms'\ndelay = '1ms'\n[[schedule]]\nat = '9ms'\nblackout_until = '10ms'",
];

fn network(lines: u32, loss: &str) -> String {
    let chosen = (0..).zip(LINES).filter(|(bit, _)| lines & (1 << bit) != 0);
    let chosen: Vec<_> = chosen.map(|(_, line)| line).collect();
    format!("loss = {loss}\n{}", chosen.join("\n"))
}

const LOSSES: [&str; 3] = [
    "'0%'",
    "'20%'",
    "{ model = 'gilbert-elliott', mean = '20%', burst = '3p' }",
];

/// Packets of several sizes, some too large, with gaps between them.
fn traffic() -> impl Strategy<Value = Vec<(Time, Packet)>> {
    prop::collection::vec((0u64..200_000, 36u64..1560), 1..300).prop_map(|gaps| {
        let mut now = 0;
        let numbered = (0..).zip(gaps).map(|(index, (gap, bytes))| {
            now += gap;
            (at(now), packet(index, bytes))
        });
        numbered.collect()
    })
}

proptest! {
    #[test]
    fn a_packet_is_delivered_or_lost_or_inside(
        lines in 0u32..1 << LINES.len(),
        loss in prop::sample::select(&LOSSES[..]),
        traffic in traffic(),
        seed: u64,
    ) {
        let mut link = seeded(&network(lines, loss), seed);
        let mut out = Vec::new();
        for (now, packet) in traffic {
            drain(&mut link, now, &mut out);
            link.push(now, packet);
            prop_assert_eq!(out.len() as u64, link.counters().delivered);
        }
        drain(&mut link, Time::MAX, &mut out);
        let counters = link.counters().clone();
        prop_assert_eq!(counters.inside(), 0);
        let made = counters.packets_in + counters.duplicated;
        prop_assert_eq!(made, out.len() as u64 + counters.lost());
        prop_assert_eq!(link.queue_bytes(), 0);
        // The records agree.
        let mut outcomes = BTreeMap::new();
        let records = records(&mut link);
        records.iter().for_each(|record| *outcomes.entry(record.outcome).or_insert(0) += 1);
        let count = |outcome| outcomes.get(&outcome).copied().unwrap_or(0);
        prop_assert_eq!(count(PacketOutcome::Delivered), counters.delivered);
        prop_assert_eq!(count(PacketOutcome::LostWire), counters.lost_wire);
        prop_assert_eq!(count(PacketOutcome::LostBurst), counters.lost_burst);
        prop_assert_eq!(count(PacketOutcome::QueueDrop), counters.queue_drops);
        prop_assert_eq!(count(PacketOutcome::MtuDrop), counters.mtu_drops);
        prop_assert_eq!(count(PacketOutcome::Blackout), counters.blackout_drops);
    }

    #[test]
    fn a_driver_that_calls_late_gets_the_same_packets_with_the_same_records(
        lines in 0u32..1 << LINES.len(),
        traffic in traffic(),
        seed: u64,
    ) {
        let network = network(lines, LOSSES[1]);
        let mut prompt = seeded(&network, seed);
        run(&mut prompt, traffic.clone());
        let mut lazy = seeded(&network, seed);
        for (now, packet) in traffic {
            lazy.push(now, packet);
        }
        while lazy.pop(at(1 << 60)).is_some() {}
        prop_assert_eq!(lazy.counters(), prompt.counters());
        let sorted = |link| {
            let mut records = records(link);
            records.sort_by_key(|record| (record.index, record.duplicate));
            records
        };
        prop_assert_eq!(sorted(&mut lazy), sorted(&mut prompt));
    }

    #[test]
    fn what_is_lost_on_the_wire_does_not_depend_on_other_impairments(
        lines in 0u32..1 << LINES.len(),
        loss in prop::sample::select(&LOSSES[1..]),
        traffic in traffic(),
        seed: u64,
    ) {
        let wire = |network: &str| {
            let mut link = seeded(network, seed);
            run(&mut link, traffic.clone());
            let originals = records(&mut link).into_iter().filter(|record| !record.duplicate);
            originals.map(|record| (record.index, record.outcome)).collect::<BTreeMap<_, _>>()
        };
        let alone = wire(&network(0, loss));
        for (index, outcome) in wire(&network(lines, loss)) {
            // A packet that was dropped before the wire was never there to be lost.
            let seen = matches!(outcome, PacketOutcome::Delivered | PacketOutcome::LostWire | PacketOutcome::LostBurst);
            if seen {
                prop_assert_eq!(outcome, alone[&index], "packet {}", index);
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_run_and_another_gives_another(seed: u64) {
        let network = network(0b111_0111, LOSSES[1]);
        let story = |seed| {
            let mut link = seeded(&network, seed);
            let out = run(&mut link, super::steady(500, 50_000));
            (out, records(&mut link))
        };
        let first = story(seed);
        prop_assert_eq!(&first, &story(seed));
        prop_assert_ne!(&first, &story(seed ^ 1));
    }
}

#[test]
fn the_two_directions_do_not_lose_the_same_packets() {
    use lftp_netem::{Direction, link::Link, profile::NetworkProfile};
    let profile = NetworkProfile::from_toml_str("loss = '50%'").unwrap();
    let lost = |direction| {
        let mut link = Link::new(&profile.forward(), 1, direction);
        let out = run(&mut link, super::steady(100, 1));
        out.iter()
            .map(|(_, packet)| super::number(packet))
            .collect::<Vec<_>>()
    };
    assert_ne!(lost(Direction::Forward), lost(Direction::Reverse));
}

#[test]
fn a_record_is_a_line_of_csv() {
    use lftp_netem::record::PacketRecord;
    let mut link = seeded("rate = '8mbit'\ndelay = '1ms'", 1);
    run(&mut link, super::steady(1, 1));
    let mut line = Vec::new();
    records(&mut link)[0].write_csv(&mut line).unwrap();
    let line = String::from_utf8(line).unwrap();
    assert_eq!(
        line,
        "0,2000000,forward,0,10.0.0.1:9,10.0.0.2:9,1000,972,delivered,2000000,0,0,0,0\n"
    );
    let columns = |text: &str| text.split(',').count();
    assert_eq!(columns(&line), columns(PacketRecord::CSV_HEADER));
}
