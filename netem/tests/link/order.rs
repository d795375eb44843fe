//! The order in which packets come out.

use proptest::prelude::*;

use super::{at, link, number, packet, run, seeded, steady};

const MS: u64 = 1_000_000;

fn order(network: &str, seed: u64) -> Vec<u64> {
    let out = run(&mut seeded(network, seed), steady(300, MS / 10));
    assert!(out.is_sorted_by_key(|(due, _)| *due));
    out.iter().map(|(_, packet)| number(packet)).collect()
}

proptest! {
    #[test]
    fn without_reordering_packets_keep_their_order(
        jitter in 0u64..50,
        normal: bool,
        rate in prop::option::of(1u64..100),
        duplicates: bool,
        seed: u64,
    ) {
        let mut network = "delay = '20ms'\njitter_reorder = false\n".to_owned();
        network += &format!("jitter = '{jitter}ms'\n");
        if normal {
            network += "jitter_distribution = 'normal'\n";
        }
        if duplicates {
            network += "duplicate = '30%'\n";
        }
        if let Some(rate) = rate {
            network += &format!("rate = '{rate}mbit'\n");
        }
        network += "[[schedule]]\nat = '10ms'\ndelay = '1ms'\n";
        prop_assert!(order(&network, seed).is_sorted());
    }
}

#[test]
fn jitter_reorders_as_netem_does_unless_told_otherwise() {
    assert!(!order("delay = '20ms'\njitter = '5ms'", 1).is_sorted());
}

#[test]
fn of_two_packets_due_at_once_the_first_to_enter_leaves_first() {
    let mut link = link("delay = '10ms'\n[[schedule]]\nat = '5ms'\ndelay = '5ms'");
    let sends = [
        (at(0), packet(0, 100)),
        (at(5 * MS), packet(1, 100)),
        (at(5 * MS), packet(2, 100)),
    ];
    let out = run(&mut link, sends);
    let got: Vec<_> = out
        .iter()
        .map(|(due, packet)| (*due, number(packet)))
        .collect();
    assert_eq!(got, [(at(10 * MS), 0), (at(10 * MS), 1), (at(10 * MS), 2)]);
}

#[test]
fn a_link_without_impairments_forwards_at_once() {
    let mut link = link("");
    link.push(at(7), packet(3, 100));
    assert_eq!(link.next_wakeup(), Some(at(7)));
    assert_eq!(number(&link.pop(at(7)).unwrap()), 3);
    assert_eq!(link.next_wakeup(), None);
}

#[test]
fn payloads_come_out_unchanged_and_in_order() {
    let out = run(&mut link("delay = '1ms'"), steady(100, 10));
    let numbers: Vec<u64> = out.iter().map(|(_, packet)| number(packet)).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
}
