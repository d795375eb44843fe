//! The receive window: full, asked for, opened again.

use std::time::Duration;

use super::pair::{CLIENT, Network, Pair, SERVER, noise};
use crate::Config;
use crate::wire::Frame;

const WINDOW: usize = 10_000;

fn small_window() -> Config {
    Config {
        receive_window_bytes: WINDOW as u64,
        max_receive_window_bytes: WINDOW as u64,
        ..Config::default()
    }
}

/// A sender with five windows of data and a reader that does not read.
fn stalled(network: &Network) -> Pair {
    let mut pair = Pair::connected_with(1, &small_window(), network);
    pair.sides[SERVER].reads = false;
    pair.send(CLIENT, &noise(1, 5 * WINDOW));
    pair.pass(Duration::from_secs(2));
    pair
}

/// Loses the first `count` packets of `side` with such a frame.
fn lose_first(pair: &mut Pair, side: usize, count: u32, is: impl Fn(&Frame<'_>) -> bool + 'static) {
    let mut seen = 0;
    pair.lose_if = Box::new(move |datagram| {
        let meant = datagram.from == side && datagram.has_frame(&is);
        seen += u32::from(meant);
        meant && seen <= count
    });
}

fn buffered(pair: &Pair) -> u64 {
    pair.sides[SERVER].connection().unwrap().buffered_bytes()
}

#[test]
fn a_reader_that_stands_still_gets_one_window_and_no_byte_more() {
    let mut pair = stalled(&Network::clean());
    assert_eq!(buffered(&pair), WINDOW as u64);
    assert_eq!(pair.sides[CLIENT].stats().rwnd_blocked, 1, "asks for more");
    pair.sides[SERVER].reads = true;
    assert!(pair.run(2, |pair| pair.sides[CLIENT].was_finished));
    assert!(pair.sides[SERVER].incoming == noise(1, 5 * WINDOW));
}

#[test]
fn a_lost_window_update_is_retransmitted() {
    let mut pair = stalled(&Network::clean());
    lose_first(&mut pair, SERVER, 3, |frame| {
        matches!(frame, Frame::Rwnd { .. })
    });
    pair.sides[SERVER].reads = true;
    assert!(pair.run(3, |pair| pair.sides[CLIENT].was_finished));
}

#[test]
fn a_lost_request_for_more_window_is_retransmitted() {
    let mut pair = Pair::connected_with(1, &small_window(), &Network::clean());
    lose_first(&mut pair, CLIENT, 3, |frame| {
        matches!(frame, Frame::RwndCheck { .. })
    });
    pair.send(CLIENT, &noise(1, 5 * WINDOW));
    assert!(pair.run(5, |pair| pair.sides[CLIENT].was_finished));
}

#[test]
fn a_reader_may_pause_for_longer_than_the_idle_timeout() {
    let mut pair = stalled(&Network::lossy(0.1));
    let sent = pair.sides[CLIENT].stats().packets_sent;
    pair.pass(Duration::from_secs(300));
    assert!(
        pair.sides.iter().all(|side| side.error().is_none()),
        "still there"
    );
    let sent = pair.sides[CLIENT].stats().packets_sent - sent;
    assert!(sent < 300, "{sent} packets to ask for window");
    assert_eq!(buffered(&pair), WINDOW as u64);
    pair.sides[SERVER].reads = true;
    assert!(pair.run(10, |pair| pair.sides[CLIENT].was_finished));
    assert!(pair.sides[SERVER].incoming == noise(1, 5 * WINDOW));
}

#[test]
fn a_blocked_sender_whose_peer_has_gone_times_out() {
    let mut pair = stalled(&Network::clean());
    pair.networks[SERVER].loss = 1.0;
    assert!(pair.run(35, |pair| pair.sides[CLIENT].error().is_some()));
}

#[test]
fn the_window_grows_with_the_rate_and_stays_below_its_bound() {
    let config = Config {
        receive_window_bytes: 20_000,
        max_receive_window_bytes: 400_000,
        ..Config::default()
    };
    let mut pair = Pair::connected_with(1, &config, &Network::clean());
    pair.send(CLIENT, &noise(1, 4 << 20));
    assert!(pair.run(60, |pair| pair.sides[CLIENT].was_finished));
    assert_eq!(pair.sides[SERVER].stats().receive_window_bytes, 400_000);
}

#[test]
fn a_window_smaller_than_a_packet_still_moves_the_stream() {
    let config = Config {
        receive_window_bytes: 100,
        max_receive_window_bytes: 100,
        ..Config::default()
    };
    let mut pair = Pair::connected_with(1, &config, &Network::lossy(0.1));
    pair.send(CLIENT, &noise(1, 2_000));
    assert!(pair.run(60, |pair| pair.sides[CLIENT].was_finished));
}

#[test]
fn a_small_send_buffer_is_never_overrun() {
    let config = Config {
        send_buffer_bytes: 3_000,
        ..Config::default()
    };
    let mut pair = Pair::connected_with(1, &config, &Network::lossy(0.1));
    pair.send(CLIENT, &noise(1, 60_000));
    let held = |pair: &Pair| {
        let send = pair.sides[CLIENT].connection().unwrap().send_buffer();
        assert!(send.end() - send.acked_prefix() <= 3_000);
        pair.sides[CLIENT].was_finished
    };
    assert!(pair.run(60, held));
}

#[test]
fn unsent_bytes_have_a_bound_of_their_own() {
    let config = Config {
        unsent_bytes: 3_000,
        ..Config::default()
    };
    let mut pair = Pair::connected_with(1, &config, &Network::lossy(0.1));
    pair.send(CLIENT, &noise(1, 600_000));
    let held = |pair: &Pair| {
        let send = pair.sides[CLIENT].connection().unwrap().send_buffer();
        assert!(send.end() - send.sent() <= 3_000);
        pair.sides[CLIENT].was_finished
    };
    assert!(pair.run(60, held));
}
