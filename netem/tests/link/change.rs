//! A link whose profile is changed while packets are on it.

use lftp_netem::{
    Direction,
    link::Link,
    packet::Packet,
    profile::{DirectionProfile, NetworkProfile},
};

use crate::{at, packet};

const MS: u64 = 1_000_000;

fn link(network: &str) -> Link {
    Link::new(&forward(network), 1, Direction::Forward)
}

fn forward(network: &str) -> DirectionProfile {
    NetworkProfile::from_toml_str(network).unwrap().forward()
}

/// Returns the time at which each packet comes out, until none is left.
fn departures(link: &mut Link) -> Vec<u64> {
    let mut out = Vec::new();
    while let Some(due) = link.next_wakeup() {
        while link.pop(due).is_some() {
            out.push(due.as_nanos());
        }
    }
    out
}

#[test]
fn what_is_on_the_wire_arrives_as_it_would_have_and_what_comes_after_takes_the_new_delay() {
    let mut link = link("delay = '20ms'");
    link.push(at(0), packet(0, 1000));
    link.set_profile(at(5 * MS), &forward("delay = '1ms'"));
    link.push(at(5 * MS), packet(1, 1000));
    assert_eq!(departures(&mut link), [6 * MS, 20 * MS]);
}

#[test]
fn a_packet_half_sent_is_finished_at_the_new_rate_and_the_queue_with_it() {
    // 1000 bytes take 1 ms at 8 Mbit/s, and 2 ms at half of it.
    let mut link = link("rate = '8mbit'\nqueue = '100p'");
    for number in 0..3 {
        link.push(at(0), packet(number, 1000));
    }
    link.set_profile(at(MS / 2), &forward("rate = '4mbit'\nqueue = '1p'"));
    assert_eq!(departures(&mut link), [3 * MS / 2, 7 * MS / 2, 11 * MS / 2]);
}

#[test]
fn without_a_rate_queued_packets_go_at_once_and_are_accounted_for() {
    for (before, after) in [
        ("rate = '1mbit'\nqueue = '100p'", ""),
        ("rate = '1mbit'\nqueue = '100p'\nburst = '1500B'", ""),
        (
            "rate = '1mbit'\nqueue = '100p'",
            "rate = '8mbit'\nburst = '1500B'\nqueue = '100p'",
        ),
        (
            "mahimahi = '1000'\nqueue = '100p'",
            "rate = '8mbit'\nqueue = '100p'",
        ),
    ] {
        let mut link = link(before);
        for number in 0..10 {
            link.push(at(0), packet(number, 1000));
        }
        link.set_profile(at(MS), &forward(after));
        let out = departures(&mut link);
        assert_eq!(out.len(), 10, "{before}");
        assert!(out.iter().all(|ns| *ns <= 12 * MS), "{before}: {out:?}");
        assert_eq!(link.inside_packets(), 0);
    }
}

#[test]
fn loss_queue_limit_and_mtu_hold_from_the_moment_they_are_given() {
    let mut link = link("rate = '8mbit'\nqueue = '100p'");
    link.push(at(0), packet(0, 1000));
    link.set_profile(
        at(0),
        &forward("rate = '8mbit'\nqueue = '2p'\nmtu = '1200B'"),
    );
    link.push(at(0), packet(1, 1300));
    for number in 2..5 {
        link.push(at(0), packet(number, 1000));
    }
    link.set_profile(at(10 * MS), &forward("loss = '100%'"));
    link.push(at(10 * MS), packet(5, 1000));
    let counters = link.counters();
    assert_eq!(
        (counters.mtu_drops, counters.queue_drops, counters.lost_wire),
        (1, 2, 1)
    );
}

#[test]
fn a_schedule_counts_from_the_change() {
    let mut link = link("");
    let steps = "delay = '1ms'\n[[schedule]]\nat = '10ms'\ndelay = '5ms'";
    link.set_profile(at(100 * MS), &forward(steps));
    link.push(at(105 * MS), packet(0, 100));
    link.push(at(110 * MS), packet(1, 100));
    assert_eq!(departures(&mut link), [106 * MS, 115 * MS]);
}

#[test]
fn a_whole_ip_packet_weighs_what_it_is_and_is_kept_with_its_record_if_asked() {
    let mut link = link("delay = '1ms'");
    link.keep_records(true);
    link.keep_payloads(true);
    let address = "10.0.0.1:0".parse().unwrap();
    link.push(at(0), Packet::whole_ip(address, address, 2, vec![7; 40]));
    let out = link.pop(at(MS)).unwrap();
    assert_eq!((out.payload.len(), out.whole, out.ecn), (40, true, 2));
    let mut records = Vec::new();
    link.take_records(&mut records);
    assert_eq!(records[0].link_bytes, 40);
    assert_eq!(*records[0].contents, [7; 40]);
}

#[test]
fn what_waits_in_one_discipline_goes_on_waiting_in_the_next() {
    let disciplines = ["drop-tail", "fq-codel", "dualpi2", "codel"];
    for before in disciplines {
        for after in disciplines {
            let network =
                |discipline| format!("rate = '8mbit'\nqueue = '100p'\ndiscipline = '{discipline}'");
            let mut link = link(&network(before));
            for number in 0..10 {
                link.push(at(0), packet(number, 1000));
            }
            link.set_profile(at(MS / 2), &forward(&network(after)));
            let every_ms: Vec<u64> = (1..=10).map(|number| number * MS).collect();
            assert_eq!(departures(&mut link), every_ms, "{before} to {after}");
        }
    }
}
