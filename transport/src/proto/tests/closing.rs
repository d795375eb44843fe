//! FIN, reset, silence: how connections end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::pair::{CLIENT, Network, Pair, SERVER, noise};
use crate::Config;
use crate::proto::{ConnectionError, Event};
use crate::wire::Frame;

fn is_forgotten(pair: &Pair) -> bool {
    pair.sides
        .iter()
        .all(|side| side.endpoint.connection_count() == 0)
}

fn reset(pair: &mut Pair, side: usize, reason: u32) {
    let id = pair.sides[side].id.unwrap();
    pair.sides[side].endpoint.reset(pair.now, id, reason);
}

#[test]
fn both_fins_arrive_and_both_sides_forget_even_under_loss() {
    for seed in 0..300 {
        let mut pair = Pair::connected(seed, &Network::lossy(0.1));
        let (up, down) = (noise(seed, 3_000), noise(seed + 1, 20_000));
        pair.send(CLIENT, &up);
        pair.send(SERVER, &down);
        pair.sides
            .iter_mut()
            .for_each(|side| side.leaves_when_done = true);
        assert!(pair.run(200, is_forgotten), "seed {seed}");
        assert!(pair.sides[SERVER].incoming == up && pair.sides[CLIENT].incoming == down);
        let finished = pair.sides.each_ref().map(|side| side.was_finished);
        assert_eq!(finished, [true, true], "seed {seed} at {:?}", pair.now);
    }
}

#[test]
fn an_empty_stream_has_a_fin_as_well() {
    let mut pair = Pair::connected(1, &Network::clean());
    pair.send(CLIENT, &noise(1, 0));
    pair.send(SERVER, &noise(1, 0));
    assert!(pair.run(1, |pair| {
        pair.sides
            .iter()
            .all(|side| side.was_read_out && side.was_finished)
    }));
}

#[test]
fn one_direction_finishes_long_before_the_other() {
    let mut pair = Pair::connected(1, &Network::clean());
    pair.send(CLIENT, &noise(1, 10));
    assert!(pair.run(1, |pair| pair.sides[SERVER].was_read_out));
    pair.pass(Duration::from_secs(20));
    pair.send(SERVER, &noise(1, 100_000));
    assert!(pair.run(5, |pair| pair.sides[CLIENT].was_read_out));
}

#[test]
fn finished_means_that_every_byte_has_arrived_not_only_the_fin() {
    let mut pair = Pair::connected(1, &Network::clean());
    let mut lost = 0;
    pair.lose_if = Box::new(move |datagram| {
        let first = datagram.has_frame(|frame| matches!(frame, Frame::Stream { offset: 0, .. }));
        lost += u32::from(first);
        first && lost <= 4
    });
    pair.send(CLIENT, &noise(1, 5_000));
    pair.sides[CLIENT].leaves_when_done = true;
    pair.sides[SERVER].finishes = true;
    let checked = |pair: &Pair| {
        let whole = pair.sides[SERVER].incoming.len() == 5_000;
        assert!(
            whole || !pair.sides[CLIENT].was_finished,
            "finished at {:?}",
            pair.now
        );
        whole
    };
    assert!(pair.run(10, checked));
}

#[test]
fn a_reset_ends_both_directions_with_its_reason() {
    let mut pair = Pair::connected(1, &Network::clean());
    reset(&mut pair, CLIENT, 77);
    assert!(pair.run(1, |pair| pair.sides[SERVER].has_event(Event::Closed)));
    assert_eq!(
        pair.sides[SERVER].error(),
        Some(ConnectionError::Reset { reason: 77 })
    );
    assert_eq!(pair.sides[CLIENT].error(), Some(ConnectionError::Closed));
}

#[test]
fn a_lost_reset_reaches_a_peer_that_only_receives() {
    let mut pair = Pair::connected(1, &Network::clean());
    pair.pass(Duration::from_secs(1));
    let mut seen = 0;
    pair.lose_if = Box::new(move |datagram| {
        let is_reset = datagram.has_frame(|frame| matches!(frame, Frame::Reset { .. }));
        seen += u32::from(is_reset);
        is_reset && seen == 1
    });
    reset(&mut pair, CLIENT, 5);
    assert!(pair.run(1, |pair| pair.sides[SERVER].error().is_some()));
    assert_eq!(
        pair.sides[SERVER].error(),
        Some(ConnectionError::Reset { reason: 5 })
    );
}

#[test]
fn a_peer_that_keeps_sending_is_told_of_the_reset_again() {
    let mut pair = Pair::connected(1, &Network::clean());
    pair.send(SERVER, &noise(1, 1 << 20));
    pair.pass(Duration::from_millis(100));
    pair.networks[CLIENT].loss = 0.5;
    reset(&mut pair, CLIENT, 6);
    assert!(pair.run(1, |pair| pair.sides[SERVER].error().is_some()));
    assert_eq!(
        pair.sides[SERVER].error(),
        Some(ConnectionError::Reset { reason: 6 })
    );
}

#[test]
fn two_sides_that_reset_at_once_do_not_answer_each_other_for_ever() {
    let mut pair = Pair::connected(1, &Network::clean());
    let resets = Rc::new(Cell::new(0));
    let inside = Rc::clone(&resets);
    pair.lose_if = Box::new(move |datagram| {
        let is_reset = datagram.has_frame(|frame| matches!(frame, Frame::Reset { .. }));
        inside.set(inside.get() + u32::from(is_reset));
        false
    });
    reset(&mut pair, CLIENT, 1);
    reset(&mut pair, SERVER, 2);
    pair.pass(Duration::from_secs(5));
    assert_eq!(resets.get(), 2, "one each");
    let errors = pair.sides.each_ref().map(|side| side.error());
    assert_eq!(errors, [Some(ConnectionError::Closed); 2]);
}

#[test]
fn abandoning_an_unfinished_connection_resets_it_with_reason_0() {
    let mut pair = Pair::connected(1, &Network::clean());
    pair.send(CLIENT, &noise(1, 1 << 20));
    pair.pass(Duration::from_millis(100));
    let id = pair.sides[CLIENT].id.unwrap();
    pair.sides[CLIENT].endpoint.abandon(pair.now, id);
    assert!(pair.run(1, |pair| pair.sides[SERVER].error().is_some()));
    assert_eq!(
        pair.sides[SERVER].error(),
        Some(ConnectionError::Reset { reason: 0 })
    );
    assert!(
        pair.run(5, |pair| pair.sides[CLIENT].endpoint.connection_count()
            == 0)
    );
}

#[test]
fn silence_ends_a_connection_after_the_idle_timeout() {
    let mut pair = Pair::connected(1, &Network::clean());
    pair.pass(Duration::from_secs(1));
    pair.networks
        .iter_mut()
        .for_each(|network| network.loss = 1.0);
    pair.sides[CLIENT].outgoing = noise(1, 1_000);
    let begin = pair.now;
    assert!(pair.run(31, |pair| {
        pair.sides.iter().all(|side| side.error().is_some())
    }));
    let errors = pair.sides.each_ref().map(|side| side.error());
    assert_eq!(errors, [Some(ConnectionError::TimedOut); 2]);
    let silent = pair.now.saturating_since(begin);
    assert!((28..31).contains(&silent.as_secs()), "{silent:?}");
    assert!(pair.sides.iter().all(|side| side.has_event(Event::Closed)));
}

#[test]
fn keep_alives_hold_an_idle_connection_open_even_under_loss() {
    let config = Config {
        keep_alive: Some(Duration::from_secs(5)),
        ..Config::default()
    };
    let mut pair = Pair::connected_with(1, &config, &Network::lossy(0.3));
    pair.pass(Duration::from_secs(3_600));
    assert!(pair.sides.iter().all(|side| side.error().is_none()));
    let sent = pair.sides[CLIENT].stats().packets_sent;
    assert!((400..8_000).contains(&sent), "{sent} packets in an hour");
}

#[test]
fn without_keep_alives_an_idle_connection_sends_nothing_and_ends() {
    let mut pair = Pair::connected(1, &Network::clean());
    pair.pass(Duration::from_secs(5));
    let sent = pair.sides.each_ref().map(|side| side.stats().packets_sent);
    pair.pass(Duration::from_secs(40));
    let errors = pair.sides.each_ref().map(|side| side.error());
    assert_eq!(errors, [Some(ConnectionError::TimedOut); 2]);
    assert_eq!(
        pair.sides.each_ref().map(|side| side.stats().packets_sent),
        sent
    );
}
