//! The sender's recovery from losses, spurious losses, silence and black holes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::pair::{CLIENT, Datagram, Network, Pair, SERVER, noise};
use crate::wire::Frame;
use crate::{Config, Congestion, Recovery};

fn with(congestion: Congestion) -> Config {
    Config {
        congestion,
        ..Config::default()
    }
}

fn window(pair: &Pair) -> u64 {
    pair.sides[CLIENT].stats().congestion_window_bytes
}

/// Runs until one more packet is declared lost; gives the window just before.
fn window_before_loss(pair: &mut Pair) -> u64 {
    let lost = pair.sides[CLIENT].stats().packets_lost;
    let before = Cell::new(0);
    let is_lost = |pair: &Pair| {
        let is_lost = pair.sides[CLIENT].stats().packets_lost > lost;
        before.set(if is_lost { before.get() } else { window(pair) });
        is_lost
    };
    assert!(pair.run(5, is_lost));
    before.get()
}

fn is_data(datagram: &Datagram) -> bool {
    datagram.from == CLIENT && datagram.has_frame(|frame| matches!(frame, Frame::Stream { .. }))
}

/// A connection in the middle of a long stream.
fn busy(config: &Config, network: &Network) -> Pair {
    let network = Network {
        rate: Some(5_000_000),
        ..network.clone()
    };
    let mut pair = Pair::connected_with(1, config, &network);
    pair.send(CLIENT, &noise(1, 4 << 20));
    pair.pass(Duration::from_millis(250));
    assert!(!pair.sides[CLIENT].was_finished);
    pair
}

/// Loses the next data packet, for the test to deliver when it likes.
fn hold_next(pair: &mut Pair) -> Rc<RefCell<Option<Datagram>>> {
    let held = Rc::new(RefCell::new(None));
    let inside = Rc::clone(&held);
    pair.lose_if = Box::new(move |datagram| {
        let take = inside.borrow().is_none() && is_data(datagram);
        if take {
            *inside.borrow_mut() = Some(datagram.clone());
        }
        take
    });
    held
}

#[test]
fn a_probe_timeout_does_not_collapse_the_window() {
    for congestion in [Congestion::NewReno, Congestion::Cubic, Congestion::Fathom] {
        let mut pair = busy(&with(congestion), &Network::clean());
        pair.networks
            .iter_mut()
            .for_each(|network| network.loss = 1.0);
        let timeouts = pair.sides[CLIENT].stats().probe_timeouts;
        // What was still on its way when the network went dark may change it.
        pair.pass(Duration::from_millis(60));
        assert_eq!(pair.sides[CLIENT].stats().probe_timeouts, timeouts);
        let before = window(&pair);
        pair.run(10, |pair| {
            pair.sides[CLIENT].stats().probe_timeouts >= timeouts + 2
        });
        assert_eq!(pair.sides[CLIENT].stats().probe_timeouts, timeouts + 2);
        assert_eq!(window(&pair), before, "{congestion}");
    }
}

#[test]
fn a_lost_tail_is_retransmitted_within_a_few_round_trips() {
    let mut pair = Pair::connected(1, &Network::clean());
    let mut lost = 0;
    pair.lose_if = Box::new(move |datagram| {
        lost += u32::from(is_data(datagram));
        is_data(datagram) && (3..=4).contains(&lost)
    });
    let begin = pair.now;
    pair.send(CLIENT, &noise(1, 5_000));
    assert!(pair.run(2, |pair| pair.sides[CLIENT].was_finished));
    let took = pair.now.saturating_since(begin);
    assert!(took < Duration::from_millis(400), "{took:?}");
}

#[test]
fn one_lost_packet_is_one_retransmission() {
    for congestion in Congestion::ALL {
        let mut pair = busy(&with(congestion), &Network::clean());
        hold_next(&mut pair);
        assert!(pair.run(60, |pair| pair.sides[CLIENT].was_finished));
        let stats = pair.sides[CLIENT].stats();
        let counts = (
            stats.packets_lost,
            stats.packets_retransmitted,
            stats.spurious_losses,
        );
        assert_eq!(counts, (1, 1, 0), "{congestion}");
        assert_eq!(stats.bytes_in_flight, 0);
    }
}

#[test]
fn reordering_costs_few_retransmissions_once_it_is_known() {
    let jittery = Network {
        jitter: Duration::from_millis(8),
        ..Network::clean()
    };
    let mut pair = busy(&with(Congestion::Fathom), &jittery);
    assert!(pair.run(60, |pair| pair.sides[CLIENT].was_finished));
    let stats = pair.sides[CLIENT].stats();
    assert!(
        stats.packets_retransmitted * 50 < stats.packets_sent,
        "{stats:?}"
    );
    assert_eq!(
        stats.packets_lost, stats.spurious_losses,
        "nothing was lost"
    );
}

#[test]
fn the_reduction_after_a_spurious_loss_is_undone() {
    for congestion in [Congestion::NewReno, Congestion::Cubic] {
        let mut pair = busy(&with(congestion), &Network::clean());
        let held = hold_next(&mut pair);
        let before = window_before_loss(&mut pair);
        assert!(window(&pair) < before, "{congestion}");
        let late = held.borrow().clone().unwrap();
        pair.deliver(&late);
        assert!(pair.run(5, |pair| pair.sides[CLIENT].stats().spurious_losses == 1));
        assert!(
            window(&pair) >= before,
            "{congestion}: {before} to {}",
            window(&pair)
        );
    }
}

#[test]
fn a_spurious_loss_of_an_earlier_episode_does_not_undo_the_present_reduction() {
    for congestion in [Congestion::NewReno, Congestion::Cubic] {
        let mut pair = busy(&with(congestion), &Network::clean());
        let held = hold_next(&mut pair);
        assert!(pair.run(5, |pair| pair.sides[CLIENT].stats().packets_lost == 1));
        let late = held.borrow().clone().unwrap();
        pair.pass(Duration::from_millis(60));
        hold_next(&mut pair);
        assert!(pair.run(5, |pair| pair.sides[CLIENT].stats().packets_lost == 2));
        let after = window(&pair);
        pair.deliver(&late);
        assert!(pair.run(5, |pair| pair.sides[CLIENT].stats().spurious_losses == 1));
        assert!(
            window(&pair) < after + after / 5,
            "{congestion}: {after} to {}",
            window(&pair)
        );
    }
}

#[test]
fn a_path_that_drops_large_datagrams_gets_small_ones() {
    for congestion in Congestion::ALL {
        let narrow = Network {
            max_bytes: 1_300,
            ..Network::clean()
        };
        let mut pair = Pair::connected_with(1, &with(congestion), &narrow);
        pair.send(CLIENT, &noise(1, 200_000));
        assert!(
            pair.run(30, |pair| pair.sides[CLIENT].was_finished),
            "{congestion}"
        );
        assert!(pair.sides[SERVER].incoming == noise(1, 200_000));
    }
}

#[test]
fn a_path_that_carries_large_datagrams_again_gets_them_again() {
    let narrow = Network {
        max_bytes: 1_300,
        ..Network::clean()
    };
    let mut pair = Pair::connected_with(1, &with(Congestion::Cubic), &narrow);
    pair.sides[CLIENT].outgoing = noise(1, 200_000);
    pair.pass(Duration::from_secs(5));
    let size = |pair: &Pair| pair.sides[CLIENT].connection().unwrap().mss();
    assert_eq!(size(&pair), 1200);
    pair.networks
        .iter_mut()
        .for_each(|network| network.max_bytes = usize::MAX);
    pair.pass(Duration::from_secs(10));
    pair.send(CLIENT, &noise(1, 200_000));
    assert!(pair.run(10, |pair| pair.sides[CLIENT].was_finished));
    assert_eq!(size(&pair), 1472);
}

#[test]
fn ecn_is_disabled_on_a_path_that_clears_marks() {
    let bleached = Network {
        carries_ecn: false,
        ..Network::clean()
    };
    let pair = busy(&with(Congestion::Fathom), &bleached);
    assert!(!pair.sides[CLIENT].connection().unwrap().is_ecn_enabled());
    let pair = busy(&with(Congestion::Fathom), &Network::clean());
    assert!(pair.sides[CLIENT].connection().unwrap().is_ecn_enabled());
}

#[test]
fn go_back_n_falls_silent_once_its_fin_is_acknowledged() {
    let config = Config {
        recovery: Recovery::GoBackN,
        receive_window_bytes: 20_000,
        max_receive_window_bytes: 20_000,
        ..Config::default()
    };
    let mut pair = Pair::connected_with(1, &config, &Network::clean());
    pair.send(CLIENT, &noise(1, 10));
    assert!(pair.run(2, |pair| pair.sides[CLIENT].was_finished));
    let mut lost = 0;
    pair.lose_if = Box::new(move |datagram| {
        let update = datagram.from == CLIENT
            && datagram.has_frame(|frame| matches!(frame, Frame::Rwnd { .. }));
        lost += u32::from(update);
        update && lost <= 3
    });
    pair.send(SERVER, &noise(2, 200_000));
    assert!(pair.run(100, |pair| pair.sides[SERVER].was_finished));
    let sent = pair.sides[CLIENT].stats().packets_sent;
    pair.pass(Duration::from_secs(20));
    let idle = pair.sides[CLIENT].stats().packets_sent - sent;
    assert!(
        sent < 1_000 && idle < 10,
        "{sent} packets, then {idle} with nothing to say"
    );
}

#[test]
fn a_transfer_resumes_soon_after_a_blackout() {
    for congestion in Congestion::ALL {
        let mut pair = busy(&with(congestion), &Network::clean());
        pair.networks
            .iter_mut()
            .for_each(|network| network.loss = 1.0);
        pair.pass(Duration::from_secs(20));
        pair.networks
            .iter_mut()
            .for_each(|network| network.loss = 0.0);
        let received = pair.sides[SERVER].incoming.len();
        // A probe every half second finds the path again.
        let found = |pair: &Pair| pair.sides[SERVER].incoming.len() > received;
        assert!(pair.run(4, found), "{congestion}");
        assert!(
            pair.run(60, |pair| pair.sides[CLIENT].was_finished),
            "{congestion}"
        );
    }
}

/// Each lost acknowledgement cost a probe, and each probe up to half a second.
#[test]
fn a_burst_that_loses_a_dozen_acknowledgements_costs_a_few_probes() {
    let mut pair = Pair::connected(1, &Network::clean());
    let eaten = Cell::new(0);
    pair.lose_if = Box::new(move |datagram| {
        let eat = datagram.from == SERVER && eaten.get() < 12;
        eaten.set(eaten.get() + u32::from(eat));
        eat
    });
    pair.send(CLIENT, &noise(1, 100));
    assert!(pair.run(2, |pair| pair.sides[CLIENT].was_finished));
    let stats = pair.sides[CLIENT].stats();
    assert!(stats.probe_timeouts <= 3, "{stats:?}");
}

#[test]
fn every_probe_timeout_carries_the_oldest_data_again() {
    let mut pair = Pair::connected(1, &Network::clean());
    pair.lose_if = Box::new(|_| true);
    let words = noise(1, 100);
    pair.send(CLIENT, &words);
    pair.pass(Duration::from_secs(8));
    let stats = pair.sides[CLIENT].stats();
    assert!(stats.probe_timeouts > 4, "{stats:?}");
    let copies = stats.bytes_retransmitted / words.len() as u64;
    assert_eq!(copies, stats.probe_timeouts);
}

#[test]
fn on_a_lossy_path_the_end_of_a_stream_is_retransmitted_before_any_timeout() {
    let mut pair = Pair::connected(1, &Network::clean());
    let words = noise(1, 300_000);
    let end = words.len() as u64;
    let dropped = Cell::new((0, false));
    pair.lose_if = Box::new(move |datagram| {
        let (early, last) = dropped.get();
        let is_last = datagram.has_frame(
            |frame| matches!(frame, Frame::Stream { offset, data, .. } if offset + data.len() as u64 == end),
        );
        let lose = is_data(datagram) && ((is_last && !last) || early < 2);
        if lose {
            dropped.set((early + 1, last || is_last));
        }
        lose
    });
    pair.send(CLIENT, &words);
    let whole = |pair: &Pair| pair.sides[SERVER].incoming.len() == words.len();
    assert!(pair.run(5, whole));
    let stats = pair.sides[CLIENT].stats();
    assert_eq!(stats.probe_timeouts, 0, "{stats:?}");
}
