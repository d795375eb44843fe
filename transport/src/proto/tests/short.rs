//! Short transfers: the cost of the first round trips, and of the last one.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::pair::{CLIENT, Network, Pair, SERVER, noise};
use crate::Config;
use crate::proto::Event;
use crate::wire::Frame;

const ROUND: Duration = Duration::from_millis(40);

/// A connection whose first datagram, the SYN, is lost, and how long it takes.
fn without_first_syn(config: Config) -> Pair {
    let configs = [config, Config::default()];
    let mut pair = Pair::new(1, configs, std::array::from_fn(|_| Network::clean()));
    let mut is_lost = false;
    pair.lose_if = Box::new(move |_| !std::mem::replace(&mut is_lost, true));
    assert!(pair.run(5, |pair| {
        pair.sides[CLIENT].has_event(Event::Established)
    }));
    pair
}

#[test]
fn a_lost_syn_costs_little_more_than_a_short_round_trip() {
    let pair = without_first_syn(Config::default());
    let took = pair.now.saturating_since(crate::Time::ZERO);
    assert_eq!(took, Duration::from_millis(50) + ROUND);
    let stats = pair.sides[CLIENT].stats();
    assert_eq!((stats.rtt_samples, stats.smoothed_rtt), (0, took));
}

#[test]
fn a_lost_syn_is_retransmitted_after_a_known_round_trip() {
    let config = Config {
        initial_rtt: Some(ROUND),
        ..Config::default()
    };
    let pair = without_first_syn(config);
    let took = pair.now.saturating_since(crate::Time::ZERO);
    assert_eq!(took, ROUND * 3 / 2 + ROUND);
    assert_eq!(pair.sides[CLIENT].stats().smoothed_rtt, ROUND);
}

#[test]
fn a_short_message_before_a_file_does_not_keep_the_window_from_growing() {
    let mut pair = Pair::connected(1, &Network::clean());
    let before = pair.sides[CLIENT].stats().packets_sent;
    pair.send(CLIENT, &noise(1, 100));
    pair.sides[CLIENT].finishes = false;
    pair.pass(Duration::ZERO);
    pair.send(CLIENT, &noise(1, 1 << 20));
    pair.pass(ROUND * 2 - Duration::from_millis(1));
    let sent = pair.sides[CLIENT].stats().packets_sent - before;
    assert!(sent > 3 * 32, "a window and twice as much: {sent}");
}

#[test]
fn on_a_lossy_path_the_last_packet_is_retransmitted_several_times_a_round_trip() {
    let mut pair = Pair::connected(1, &Network::clean());
    let words = noise(1, 300_000);
    let end = words.len() as u64;
    let lost_ends = Rc::new(Cell::new(0));
    let (inside, mut lost) = (Rc::clone(&lost_ends), 0);
    pair.lose_if = Box::new(move |datagram| {
        let is_last = datagram.has_frame(
            |frame| matches!(frame, Frame::Stream { offset, data, .. } if offset + data.len() as u64 == end),
        );
        let is_data = datagram.has_frame(|frame| matches!(frame, Frame::Stream { .. }));
        inside.set(inside.get() + u32::from(is_last));
        let lose = (is_last && inside.get() <= 4) || (is_data && !is_last && lost < 2);
        lost += u32::from(lose);
        lose
    });
    pair.send(CLIENT, &words);
    assert!(pair.run(5, |_| lost_ends.get() == 1));
    let begin = pair.now;
    assert!(pair.run(5, |pair| pair.sides[SERVER].incoming.len() == words.len()));
    let took = pair.now.saturating_since(begin);
    assert!(took <= ROUND * 5 / 2, "{took:?}");
}
