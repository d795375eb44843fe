//! A peer that lies, and a network that changes bytes: an error with a name, never a panic.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::pair::{CLIENT, Network, Pair, SERVER, noise};
use crate::Config;
use crate::proto::ConnectionError;
use crate::proto::connection::PROTOCOL_RESET;
use crate::wire::{Frame, Header, encode};

/// The header of the server's packet with this number.
fn from_server(pair: &Pair, packet_number: u64) -> Header<'static> {
    let destination = pair.sides[CLIENT].id.unwrap().0;
    Header::Data {
        destination,
        phase: false,
        packet_number,
    }
}

fn stream(offset: u64, data: &[u8], fin: bool) -> Vec<u8> {
    let mut out = Vec::new();
    encode::stream(&mut out, offset, fin);
    out.extend_from_slice(data);
    out
}

/// Connects, sends the client these frames one a packet, and checks that it ends the
/// connection.
fn is_caught(lies: &[Vec<u8>]) {
    let config = Config {
        receive_window_bytes: 10_000,
        ..Config::default()
    };
    let mut pair = Pair::connected_with(1, &config, &Network::clean());
    // The real server would reject acknowledgements of packets that it never sent.
    pair.lose_if = Box::new(|datagram| {
        datagram.from == CLIENT && !datagram.has_frame(|frame| matches!(frame, Frame::Reset { .. }))
    });
    for (index, lie) in lies.iter().enumerate() {
        assert_eq!(pair.sides[CLIENT].error(), None, "before lie {index}");
        let header = from_server(&pair, 1_000 + index as u64);
        pair.forge(SERVER, &header, lie);
    }
    let error = pair.sides[CLIENT].error();
    assert!(
        matches!(error, Some(ConnectionError::Protocol(_))),
        "{error:?}"
    );
    assert!(
        pair.run(1, |pair| pair.sides[SERVER].error().is_some()),
        "and is told"
    );
    let expected = ConnectionError::Reset {
        reason: PROTOCOL_RESET,
    };
    assert_eq!(pair.sides[SERVER].error(), Some(expected));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_is_caught() {
    let mut lie = Vec::new();
    encode::acked(&mut lie, std::iter::once(0..1_000_000), 0, None, 100);
    is_caught(&[lie]);
}

/// Sends a megabyte and gives the number of the packet after the first one left out, and the
/// pair at that point.
fn until_a_number_is_left_out(seed: u64) -> (Pair, u64) {
    let mut pair = Pair::connected(seed, &Network::clean());
    let numbers = Rc::new(RefCell::new(Vec::new()));
    let inside = Rc::clone(&numbers);
    pair.lose_if = Box::new(move |datagram| {
        if datagram.from == CLIENT
            && let Some((Header::Data { packet_number, .. }, _)) = datagram.parse()
        {
            inside.borrow_mut().push(packet_number);
        }
        false
    });
    pair.send(CLIENT, &noise(seed, 1 << 20));
    let left_out = || {
        let numbers = numbers.borrow();
        let mut pairs = numbers.windows(2);
        pairs.find_map(|pair| (pair[1] > pair[0] + 1).then_some(pair[0] + 1))
    };
    assert!(pair.run(20, |_| left_out().is_some()), "seed {seed}");
    let number = left_out().unwrap();
    (pair, number)
}

#[test]
fn an_acknowledgement_of_a_number_that_was_left_out_is_caught() {
    let mut all = Vec::new();
    for seed in 0..10 {
        let (mut pair, number) = until_a_number_is_left_out(seed);
        all.push(number);
        let mut lie = Vec::new();
        // All that was sent, as if it had arrived.
        encode::acked(&mut lie, std::iter::once(0..number + 2), 0, None, 100);
        let destination = pair.sides[CLIENT].id.unwrap().0;
        let header = Header::Data {
            destination,
            phase: false,
            packet_number: 1 << 20,
        };
        pair.forge(SERVER, &header, &lie);
        let error = pair.sides[CLIENT].error();
        assert!(
            matches!(error, Some(ConnectionError::Protocol(_))),
            "{error:?}"
        );
    }
    all.sort_unstable();
    all.dedup();
    assert!(all.len() >= 8, "they differ: {all:?}");
}

#[test]
fn an_honest_receiver_never_acknowledges_a_number_that_was_left_out() {
    for seed in 0..20 {
        let mut pair = Pair::connected(seed, &Network::lossy(0.1));
        pair.send(CLIENT, &noise(seed, 4 << 20));
        assert!(
            pair.run(60, |pair| pair.sides[CLIENT].was_finished),
            "seed {seed}"
        );
        assert!(pair.sides.iter().all(|side| side.error().is_none()));
    }
}

#[test]
fn data_beyond_the_receive_window_is_caught() {
    is_caught(&[stream(9_999, b"xy", false)]);
    is_caught(&[stream(1 << 61, b"x", false)]);
}

#[test]
fn a_fin_beyond_the_receive_window_is_caught() {
    is_caught(&[stream(10_001, b"", true)]);
}

#[test]
fn a_fin_that_moves_is_caught() {
    is_caught(&[stream(10, b"end", true), stream(10, b"later", true)]);
    is_caught(&[stream(10, b"end", true), stream(5, b"soon", true)]);
}

#[test]
fn a_fin_below_bytes_that_have_arrived_is_caught() {
    is_caught(&[stream(100, b"data", false), stream(50, b"end", true)]);
}

#[test]
fn data_beyond_the_fin_is_caught() {
    is_caught(&[stream(10, b"end", true), stream(13, b"more", false)]);
}

#[test]
fn a_frame_that_cannot_be_parsed_is_caught() {
    is_caught(&[vec![0x77]]);
    is_caught(&[vec![0x02, 5, 0, 1, 1, 3, 0]]);
}

#[test]
fn repeated_data_and_a_repeated_fin_are_accepted() {
    let mut pair = Pair::connected(1, &Network::clean());
    for number in 0..5 {
        let header = from_server(&pair, 1_000 + number);
        pair.forge(SERVER, &header, &stream(0, b"hello", true));
    }
    assert_eq!(pair.sides[CLIENT].error(), None);
    assert!(pair.sides[CLIENT].was_read_out);
    assert_eq!(pair.sides[CLIENT].incoming, b"hello");
}

#[test]
fn no_sequence_of_frames_causes_a_panic() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for seed in 0..300 {
        let mut pair = Pair::connected(seed, &Network::clean());
        pair.send(CLIENT, &noise(seed, 20_000));
        for _ in 0..30 {
            let mut frames = Vec::new();
            for _ in 0..rng.random_range(1..5) {
                // A kind that exists, and small numbers, which mean something more often.
                frames.push(rng.random_range(0..10_u8));
                frames.extend((0..rng.random_range(0..6)).map(|_| rng.random_range(0..0x48_u8)));
            }
            let mut numbers = [0; 1];
            rng.fill_bytes(&mut numbers);
            let header = from_server(&pair, u64::from(numbers[0]));
            pair.forge(SERVER, &header, &frames);
            pair.pass(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_damaged_datagram_never_reaches_the_stream() {
    for seed in 0..20 {
        let network = Network {
            corrupt: 0.3,
            ..Network::clean()
        };
        let configs = [Config::default(), Config::default()];
        let mut pair = Pair::new(seed, configs, [network.clone(), network]);
        // The answer to a damaged connection id would be dropped as well.
        pair.lose_if = Box::new(|datagram| {
            let header = datagram.parse().map(|(header, _)| header);
            matches!(header, Some(Header::StatelessReset { .. }))
        });
        assert!(pair.run(40, Pair::is_connected), "connects");
        // Until then a damaged retransmission of the SYN/ACK may be ignored instead of dropped.
        pair.pass(Duration::from_secs(1));
        let unnoticed_before = unnoticed(&pair);
        pair.send(CLIENT, &noise(seed, 100_000));
        assert!(pair.run(100, |pair| pair.sides[CLIENT].was_finished));
        pair.pass(Duration::from_secs(1));
        assert!(pair.sides[SERVER].incoming == noise(seed, 100_000));
        assert_eq!(
            unnoticed(&pair),
            unnoticed_before,
            "each one is dropped: seed {seed}"
        );
    }
}

/// Damaged datagrams that were delivered and not dropped.
fn unnoticed(pair: &Pair) -> u64 {
    let sides = pair.sides.iter();
    let dropped = sides.map(|side| side.endpoint.dropped_datagrams());
    pair.corrupted() - dropped.sum::<u64>()
}

#[test]
fn a_replayed_recording_changes_nothing() {
    let mut pair = Pair::connected(1, &Network::clean());
    let recorded = Rc::new(RefCell::new(Vec::new()));
    let inside = Rc::clone(&recorded);
    pair.lose_if = Box::new(move |datagram| {
        inside.borrow_mut().push(datagram.clone());
        false
    });
    pair.send(CLIENT, &noise(1, 100_000));
    assert!(pair.run(5, |pair| pair.sides[CLIENT].was_finished));
    pair.lose_if = Box::new(|_| false);
    for datagram in recorded.borrow().iter() {
        pair.deliver(datagram);
    }
    pair.settle();
    assert!(pair.sides.iter().all(|side| side.error().is_none()));
    assert_eq!(pair.sides[SERVER].incoming.len(), 100_000);
    assert!(pair.sides[SERVER].stats().duplicates_received > 60);
    assert_eq!(pair.sides[SERVER].endpoint.connection_count(), 1);
}

#[test]
fn a_packet_from_elsewhere_is_dropped() {
    let mut pair = Pair::connected(1, &Network::clean());
    let header = from_server(&pair, 1_000);
    let sound = pair.sides[SERVER].addr;
    pair.sides[SERVER].addr = SocketAddr::from(([10, 9, 9, 9], 1));
    let before = pair.sides[CLIENT].endpoint.dropped_datagrams();
    pair.forge(SERVER, &header, &stream(0, b"forged", true));
    pair.sides[SERVER].addr = sound;
    assert_eq!(pair.sides[CLIENT].endpoint.dropped_datagrams(), before + 1);
    assert!(pair.sides[CLIENT].incoming.is_empty());
}
