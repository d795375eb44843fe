//! A peer that asks for more acknowledgements than it pays for in bytes.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::pair::{CLIENT, Network, Pair, SERVER};
use crate::proto::MAX_AMPLIFICATION;
use crate::wire::{Header, encode};

/// The most that the server may have sent without data by now.
fn most(pair: &Pair) -> u64 {
    let stats = pair.sides[SERVER].stats();
    // Its own probes are beside this: none of its packets is acknowledged.
    let probes = stats.probe_timeouts * 2 * 1_472;
    4_096 + probes + MAX_AMPLIFICATION * stats.bytes_received
}

/// Counts the bytes that the server sends from now on, none of which arrive: the client would
/// end a connection that acknowledges what it has not sent.
fn count_replies(pair: &mut Pair) -> Rc<Cell<u64>> {
    let replies = Rc::new(Cell::new(0));
    let inside = Rc::clone(&replies);
    pair.lose_if = Box::new(move |datagram| {
        if datagram.from == SERVER {
            inside.set(inside.get() + datagram.bytes.len() as u64);
        }
        true
    });
    replies
}

/// Sends the server a packet with this number as its client could.
fn forge(pair: &mut Pair, packet_number: u64, frames: &[u8]) {
    let destination = pair.sides[SERVER].id.unwrap().0;
    let header = Header::Data {
        destination,
        phase: false,
        packet_number,
    };
    pair.forge(CLIENT, &header, frames);
}

#[test]
fn pings_with_wide_gaps_in_their_numbers_are_not_amplified() {
    let mut pair = Pair::connected(1, &Network::clean());
    let replies = count_replies(&mut pair);
    let mut pings = Vec::new();
    (0..32).for_each(|_| encode::ping(&mut pings));
    for number in 0..2_000 {
        forge(&mut pair, (1 << 32) + (number << 16), &pings);
        pair.pass(Duration::from_millis(1));
    }
    let (sent, most) = (replies.get(), most(&pair));
    println!("{sent} bytes sent, at most {most}");
    assert!((1..=most).contains(&sent), "{sent} bytes, at most {most}");
}

#[test]
fn questions_for_the_window_are_not_amplified() {
    let mut pair = Pair::connected(1, &Network::clean());
    let replies = count_replies(&mut pair);
    for number in 0..2_000 {
        let mut question = Vec::new();
        encode::rwnd_check(&mut question, number);
        forge(&mut pair, (1 << 32) + (number << 16), &question);
        pair.pass(Duration::from_millis(1));
    }
    let (sent, most) = (replies.get(), most(&pair));
    assert!((1..=most).contains(&sent), "{sent} bytes, at most {most}");
}

#[test]
fn no_packets_without_data_are_amplified() {
    for seed in 0..100 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut pair = Pair::connected(seed, &Network::clean());
        let replies = count_replies(&mut pair);
        let mut number = 1_u64 << rng.random_range(5..40);
        for _ in 0..300 {
            let mut frames = Vec::new();
            for _ in 0..rng.random_range(1..40) {
                match rng.random_range(0..6) {
                    0 => encode::rwnd_check(&mut frames, 0),
                    1 => encode::challenge(&mut frames, 7),
                    _ => encode::ping(&mut frames),
                }
            }
            number += 1_u64 << rng.random_range(0..20);
            forge(&mut pair, number, &frames);
            if rng.random() {
                pair.pass(Duration::from_micros(rng.random_range(0..20_000)));
            }
        }
        pair.pass(Duration::from_millis(20));
        let (sent, most) = (replies.get(), most(&pair));
        assert!(sent <= most, "seed {seed}: {sent} bytes, at most {most}");
    }
}

#[test]
fn a_peer_that_sends_the_smallest_packets_is_still_answered() {
    let mut pair = Pair::connected(1, &Network::clean());
    let replies = count_replies(&mut pair);
    let (mut ping, mut before) = (Vec::new(), 0);
    encode::ping(&mut ping);
    // The first credit is long gone at the end.
    for number in 0..2_000 {
        forge(&mut pair, 10 + 2 * number, &ping);
        if number % 4 == 3 {
            pair.pass(Duration::from_millis(30));
            assert!(replies.get() > before, "after packet {number}");
            before = replies.get();
        }
    }
}
