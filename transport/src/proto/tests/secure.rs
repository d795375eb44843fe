//! Keys and seals: which peers are accepted, what the wire shows, and that nothing forged
//! counts.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::pair::{CLIENT, Network, Pair, SERVER, noise};
use crate::proto::{ConnectionError, Event, Refusal};
use crate::wire::Header;
use crate::{Cipher, Config, Identity, Peer, PeerVerifier, PublicKey, Time};

fn identity(number: u8) -> Identity {
    Identity::from_secret([number; 32])
}

fn with_identity(number: u8) -> Config {
    Config {
        identity: Some(identity(number)),
        ..Config::default()
    }
}

/// Accepts one key.
#[derive(Debug)]
struct Only(PublicKey);

impl PeerVerifier for Only {
    fn verify(&self, peer: &Peer) -> bool {
        peer.key == self.0
    }
}

fn only(number: u8, config: Config) -> Config {
    Config {
        verifier: Some(Arc::new(Only(identity(number).public_key()))),
        ..config
    }
}

fn between(client: Config, server: Config) -> Pair {
    Pair::new(1, [client, server], [Network::clean(), Network::clean()])
}

/// The sender of each datagram, and its bytes.
type Recording = Rc<RefCell<Vec<(usize, Vec<u8>)>>>;

/// Records every datagram from now on, and loses none.
fn record(pair: &mut Pair) -> Recording {
    let all = Rc::new(RefCell::new(Vec::new()));
    let inside = Rc::clone(&all);
    pair.lose_if = Box::new(move |datagram| {
        inside
            .borrow_mut()
            .push((datagram.from, datagram.bytes.clone()));
        false
    });
    all
}

#[test]
fn both_sides_know_each_others_key_and_accept_the_expected_one() {
    let mut pair = between(only(2, with_identity(1)), only(1, with_identity(2)));
    assert!(pair.run(1, Pair::is_connected));
    assert_eq!(pair.now, Time::ZERO + Duration::from_millis(60), "one RTT");
    for (side, peer) in [(CLIENT, 2), (SERVER, 1)] {
        let side = &pair.sides[side];
        let key = side.endpoint.peer_key(side.id.unwrap());
        assert_eq!(key, Some(identity(peer).public_key()));
    }
}

#[test]
fn a_server_with_another_key_is_abandoned_and_told() {
    let mut pair = between(only(3, with_identity(1)), with_identity(2));
    let called = Rc::new(Cell::new(false));
    let inside = Rc::clone(&called);
    pair.lose_if = Box::new(move |datagram| {
        let refusal = matches!(datagram.parse(), Some((Header::Refuse { .. }, _)));
        inside.set(inside.get() || refusal && datagram.from == CLIENT);
        false
    });
    assert!(pair.run(1, |pair| pair.sides[CLIENT].error().is_some()));
    let key = identity(2).public_key();
    let error = ConnectionError::UntrustedPeer { key };
    assert_eq!(pair.sides[CLIENT].error(), Some(error));
    assert!(!pair.sides[CLIENT].has_event(Event::Established));
    pair.pass(Duration::from_millis(50));
    assert!(called.get());
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 0);
    assert_eq!(pair.sides[SERVER].endpoint.connection_count(), 0);
}

#[test]
fn a_client_with_another_key_is_rejected_and_forgotten() {
    let mut pair = between(with_identity(1), only(3, with_identity(2)));
    assert!(pair.run(1, |pair| pair.sides[CLIENT].error().is_some()));
    let error = ConnectionError::Refused(Refusal::UntrustedKey);
    assert_eq!(pair.sides[CLIENT].error(), Some(error));
    assert!(pair.sides[SERVER].id.is_none(), "never accepted");
    pair.pass(Duration::from_secs(2));
    assert_eq!(pair.sides[SERVER].endpoint.connection_count(), 0);
}

#[test]
fn ciphers_are_agreed_on_whatever_each_side_prefers() {
    let (aes, chacha) = (Cipher::Aes128Gcm, Cipher::ChaCha20Poly1305);
    for (client, server) in [(aes, aes), (aes, chacha), (chacha, aes), (chacha, chacha)] {
        let prefers = |cipher| Config {
            cipher: Some(cipher),
            ..Config::default()
        };
        let mut pair = between(prefers(client), prefers(server));
        assert!(pair.run(1, Pair::is_connected));
        pair.send(CLIENT, &noise(1, 50_000));
        assert!(pair.run(5, |pair| pair.sides[CLIENT].was_finished));
        let expected = if (client, server) == (aes, aes) {
            aes
        } else {
            chacha
        };
        for side in &pair.sides {
            assert_eq!(side.connection().unwrap().cipher(), Some(expected));
        }
    }
}

#[test]
fn the_wire_shows_no_stream_bytes_and_no_key() {
    let mut pair = between(with_identity(1), with_identity(2));
    let wire = record(&mut pair);
    let words = b"the quick brown fox jumps over the lazy dog, again and again. ".repeat(500);
    pair.send(CLIENT, &words.clone().into());
    assert!(pair.run(5, |pair| pair.sides[CLIENT].was_finished));
    let keys = [1, 2].map(|number| *identity(number).public_key().as_bytes());
    for (_, bytes) in wire.borrow().iter() {
        assert!(
            bytes
                .windows(8)
                .all(|seen| seen != b"the quic" && seen != b"lazy dog")
        );
        assert!(
            bytes
                .windows(32)
                .all(|seen| seen != keys[0] && seen != keys[1])
        );
    }
}

#[test]
fn any_flipped_bit_of_any_kind_of_datagram_changes_nothing() {
    for kind in [0x31, 0x32, 0x33, 0x34] {
        for bit in 0..8 * 120 {
            let mut pair = between(with_identity(1), with_identity(2));
            let mut flipped = false;
            pair.tamper = Box::new(move |bytes| {
                if !flipped && bytes[0] == kind && bit / 8 < bytes.len() {
                    flipped = true;
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
            });
            pair.send(CLIENT, &noise(1, 5_000));
            pair.send(SERVER, &noise(2, 5_000));
            let whole = |pair: &Pair| {
                pair.sides[SERVER].incoming == noise(1, 5_000)
                    && pair.sides[CLIENT].incoming == noise(2, 5_000)
            };
            assert!(pair.run(5, whole), "kind {kind:#x}, bit {bit}");
            assert!(pair.sides.iter().all(|side| side.error().is_none()));
        }
    }
}

#[test]
fn forged_and_reflected_datagrams_leave_no_trace_but_a_count() {
    let mut pair = Pair::connected(1, &Network::clean());
    let wire = record(&mut pair);
    pair.send(CLIENT, &noise(1, 20_000));
    assert!(pair.run(5, |pair| pair.sides[CLIENT].was_finished));
    pair.pass(Duration::from_secs(1));
    pair.lose_if = Box::new(|_| false);
    let before = pair
        .sides
        .each_ref()
        .map(crate::proto::tests::pair::Side::stats);
    let mut tried = 0;
    for (from, bytes) in wire.borrow().iter() {
        let number = Header::decode(bytes).unwrap().1;
        // Another number, another phase, another text, cut short, and sent back.
        for at in [0, number - 1, number, bytes.len() - 1] {
            let mut forged = bytes.clone();
            forged[at] ^= 8;
            pair.inject(*from, forged);
        }
        pair.inject(*from, bytes[..bytes.len() - 1].to_vec());
        pair.inject(1 - from, bytes.clone());
        tried += 6;
    }
    let after = pair
        .sides
        .each_ref()
        .map(crate::proto::tests::pair::Side::stats);
    assert_eq!(before, after);
    let dropped = pair
        .sides
        .iter()
        .map(|side| side.endpoint.dropped_datagrams());
    assert_eq!(dropped.sum::<u64>(), tried);
}

#[test]
fn a_forged_reset_ends_nothing() {
    let mut pair = Pair::connected(1, &Network::clean());
    for (from, to) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let destination = pair.sides[to].id.unwrap().0;
        for echo in [0, u64::from(destination)] {
            let refuse = Header::Refuse {
                destination,
                echo,
                reason: 1,
            };
            pair.forge(from, &refuse, &[]);
        }
        let mut reset = vec![0x34];
        reset.extend_from_slice(&destination.to_be_bytes());
        reset.extend_from_slice(&[0x20, 0x06, 0x00]);
        reset.extend_from_slice(&[0; 16]);
        pair.inject(from, reset);
        assert_eq!(pair.sides[to].error(), None);
    }
}

#[test]
fn keys_are_updated_in_mid_stream_and_nothing_is_lost() {
    for seed in 0..20 {
        let config = Config {
            key_update_packets: 50,
            ..Config::default()
        };
        let network = Network {
            loss: 0.1,
            duplicate: 0.05,
            jitter: Duration::from_millis(30),
            ..Network::clean()
        };
        let mut pair = Pair::connected_with(seed, &config, &network);
        pair.send(CLIENT, &noise(seed, 2_000_000));
        pair.send(SERVER, &noise(seed + 1, 100_000));
        assert!(pair.run(60, |pair| pair.sides[CLIENT].was_finished
            && pair.sides[SERVER].was_finished));
        assert!(pair.sides[SERVER].incoming == noise(seed, 2_000_000));
        assert!(pair.sides[CLIENT].incoming == noise(seed + 1, 100_000));
        let updates = pair.sides[CLIENT].stats().key_updates;
        assert!(updates >= 5, "seed {seed}: {updates}");
    }
}

#[test]
fn a_client_whose_address_changes_is_followed() {
    for (seed, moves_host) in [(1, false), (2, true), (3, false), (4, true)] {
        let mut pair = Pair::connected(seed, &Network::lossy(0.02));
        pair.networks
            .iter_mut()
            .for_each(|network| network.rate = Some(2_000_000));
        pair.send(CLIENT, &noise(seed, 2_000_000));
        pair.send(SERVER, &noise(seed + 9, 2_000_000));
        pair.pass(Duration::from_millis(500));
        let ip = if moves_host {
            [10, 0, 7, 7]
        } else {
            [10, 0, 0, 1]
        };
        let moved = SocketAddr::from((ip, 40_000));
        pair.sides[CLIENT].addr = moved;
        assert!(pair.run(30, |pair| pair.sides[CLIENT].was_finished
            && pair.sides[SERVER].was_finished));
        let server = &pair.sides[SERVER];
        assert_eq!(server.endpoint.remote(server.id.unwrap()), Some(moved));
        assert_eq!(server.stats().migrations, 1);
        assert!(pair.sides[SERVER].incoming == noise(seed, 2_000_000));
        assert!(pair.sides[CLIENT].incoming == noise(seed + 9, 2_000_000));
    }
}

#[test]
fn an_address_that_does_not_respond_is_not_followed_and_is_sent_little() {
    let mut pair = Pair::connected(1, &Network::clean());
    let sound = pair.sides[CLIENT].addr;
    let spoofed = SocketAddr::from(([10, 9, 9, 9], 7));
    // An attacker forwards one of the client's packets from its own address.
    pair.lose_if = Box::new(|datagram| datagram.from == CLIENT);
    let wire = record(&mut pair);
    pair.send(CLIENT, &noise(1, 5_000));
    pair.pass(Duration::from_millis(1));
    let taken = wire.borrow().last().unwrap().1.clone();
    let came = taken.len() as u64;
    pair.sides[CLIENT].addr = spoofed;
    pair.inject(CLIENT, taken);
    pair.sides[CLIENT].addr = sound;
    pair.pass(Duration::from_secs(10));
    let server = &pair.sides[SERVER];
    assert_eq!(server.endpoint.remote(server.id.unwrap()), Some(sound));
    assert_eq!(server.stats().migrations, 0);
    assert!(pair.bytes_to(spoofed) > 0, "it was asked");
    assert!(pair.bytes_to(spoofed) <= 3 * came);
}
