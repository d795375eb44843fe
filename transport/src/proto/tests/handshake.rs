//! SYN, SYN/ACK, ACK: retransmitted, refused, bounded, forgotten.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::pair::{CLIENT, Network, Pair, SERVER, noise};
use crate::crypto::noise::{Initiator, Responder};
use crate::proto::connection::{answer_payload, read_answer, syn_payload};
use crate::proto::{ConnectionError, Event, Refusal};
use crate::wire::Header;
use crate::{Cipher, Config, Identity, Time};

fn unconnected(server: Config) -> Pair {
    let networks = [Network::clean(), Network::clean()];
    Pair::new(1, [Config::default(), server], networks)
}

/// A client that the test plays itself.
fn other_client(source: u32) -> Initiator {
    let identity = Identity::from_secret([source as u8; 32]);
    let seed = Zeroizing::new([source as u8 + 1; 32]);
    Initiator::new(&identity, &seed, &syn_payload(&Config::default()))
}

/// Its SYN.
fn syn(source: u32) -> Vec<u8> {
    let other = other_client(source);
    let mut bytes = Vec::new();
    Header::Syn {
        source,
        cookie: None,
        noise: other.first(),
    }
    .encode(&mut bytes);
    bytes
}

/// Counts the packets that `is` selects, and loses none.
fn count(pair: &mut Pair, is: impl Fn(&Header<'_>) -> bool + 'static) -> Rc<Cell<u32>> {
    let counter = Rc::new(Cell::new(0));
    let inside = Rc::clone(&counter);
    pair.lose_if = Box::new(move |datagram| {
        let counts = datagram.parse().is_some_and(|(header, _)| is(&header));
        inside.set(inside.get() + u32::from(counts));
        false
    });
    counter
}

#[test]
fn a_handshake_gets_through_loss() {
    for seed in 0..200 {
        let pair = Pair::connected(seed, &Network::lossy(0.3));
        assert!(
            pair.sides.iter().all(|side| side.error().is_none()),
            "seed {seed}"
        );
    }
}

#[test]
fn a_handshake_takes_one_round_trip_and_shows_it() {
    let pair = Pair::connected(1, &Network::clean());
    assert_eq!(pair.now, Time::ZERO + Duration::from_millis(60));
    for side in &pair.sides {
        assert_eq!(side.stats().smoothed_rtt, Duration::from_millis(40));
    }
}

#[test]
fn without_an_answer_the_client_times_out_after_its_retransmissions() {
    let networks = [Network::lossy(1.0), Network::clean()];
    let mut pair = Pair::new(1, [Config::default(), Config::default()], networks);
    assert!(pair.run(60, |pair| pair.sides[CLIENT].error().is_some()));
    assert_eq!(pair.sides[CLIENT].error(), Some(ConnectionError::TimedOut));
    assert_eq!(
        pair.sides[CLIENT].stats().packets_sent,
        21,
        "one and twenty retransmissions"
    );
    // Two short waits, three of 200 ms, three that double and thirteen of 3 s, each waited to
    // its end.
    let waits = 50 + 100 + 200 * (3 + 2 + 4 + 8) + 3_000 * 13;
    assert_eq!(pair.now, Time::ZERO + Duration::from_millis(waits));
    let id = pair.sides[CLIENT].id.unwrap();
    assert!(!pair.sides[CLIENT].endpoint.is_established(id));
}

#[test]
fn a_handshake_is_not_cut_short_by_the_idle_timeout() {
    let config = Config {
        idle_timeout: Duration::from_millis(500),
        ..Config::default()
    };
    let blind = Network {
        blackouts: vec![(Duration::ZERO, Duration::from_secs(4))],
        ..Network::clean()
    };
    let mut pair = Pair::new(1, [config.clone(), config], [blind.clone(), blind]);
    assert!(pair.run(10, Pair::is_connected));
}

#[test]
fn the_clients_last_handshake_message_is_repeated_when_it_is_lost() {
    let mut pair = unconnected(Config::default());
    let mut lost = 0;
    pair.lose_if = Box::new(move |datagram| {
        let third = matches!(datagram.parse(), Some((Header::Ack { .. }, _)));
        lost += u32::from(third);
        third && lost <= 3
    });
    pair.send(CLIENT, &noise(1, 100));
    assert!(pair.run(5, |pair| pair.sides[SERVER].incoming.len() == 100));
}

#[test]
fn a_connection_is_refused_where_no_listener_is() {
    let mut pair = unconnected(Config::default());
    pair.sides[SERVER].endpoint.set_listening(false);
    assert!(pair.run(1, |pair| pair.sides[CLIENT].error().is_some()));
    let refused = ConnectionError::Refused(Refusal::NotListening);
    assert_eq!(pair.sides[CLIENT].error(), Some(refused));
    let id = pair.sides[CLIENT].id.unwrap();
    assert!(
        !pair.sides[CLIENT].endpoint.is_established(id),
        "refused is not established"
    );
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 0);
}

#[test]
fn beyond_the_listen_limit_a_connection_is_refused_and_the_others_continue() {
    let mut pair = unconnected(Config {
        listen_limit: 1,
        ..Config::default()
    });
    assert!(pair.run(1, Pair::is_connected));
    let second = pair.connect();
    assert!(pair.run(1, |pair| {
        pair.sides[CLIENT].endpoint.error(second).is_some()
    }));
    let refused = ConnectionError::Refused(Refusal::ListenLimit);
    assert_eq!(pair.sides[CLIENT].endpoint.error(second), Some(refused));
    pair.send(CLIENT, &noise(1, 5_000));
    assert!(pair.run(2, |pair| pair.sides[CLIENT].was_finished));
    // Its place is free again once the first one has gone.
    for side in [CLIENT, SERVER] {
        let id = pair.sides[side].id.unwrap();
        pair.sides[side].endpoint.abandon(pair.now, id);
    }
    assert!(
        pair.run(5, |pair| pair.sides[SERVER].endpoint.connection_count()
            == 0)
    );
    let third = pair.connect();
    assert!(pair.run(1, |pair| pair.sides[CLIENT].endpoint.is_established(third)));
}

#[test]
fn half_open_connections_are_bounded_and_expire() {
    let mut pair = unconnected(Config {
        half_open_limit: 5,
        ..Config::default()
    });
    pair.networks[SERVER].loss = 1.0;
    for source in 100..200 {
        pair.inject(CLIENT, syn(source));
        assert!(pair.sides[SERVER].endpoint.half_open_count() <= 5);
    }
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 5);
    pair.pass(Duration::from_secs(46));
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 0);
    assert_eq!(pair.sides[SERVER].endpoint.connection_count(), 0);
}

#[test]
fn every_repeated_syn_is_answered_and_silence_brings_a_few_retransmissions() {
    let mut pair = unconnected(Config::default());
    pair.networks[CLIENT].loss = 1.0;
    let answers = count(&mut pair, |header| matches!(header, Header::SynAck { .. }));
    for _ in 0..20 {
        pair.inject(CLIENT, syn(100));
    }
    assert_eq!(answers.get(), 20);
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 1);
    pair.pass(Duration::from_secs(60));
    assert_eq!(answers.get(), 40, "and twenty retransmissions");
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 0);
}

#[test]
fn a_late_copy_of_the_syn_opens_no_second_connection() {
    let network = Network {
        duplicate: 1.0,
        jitter: Duration::from_millis(500),
        ..Network::clean()
    };
    for seed in 0..50 {
        let mut pair = Pair::connected(seed, &network);
        pair.pass(Duration::from_secs(2));
        assert_eq!(pair.sides[SERVER].endpoint.connection_count(), 1);
        assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 0);
        let accepted = |event: &&Event| matches!(event, Event::Accepted(_));
        assert_eq!(pair.sides[SERVER].events.iter().filter(accepted).count(), 1);
    }
}

#[test]
fn only_the_genuine_last_handshake_message_opens_a_connection() {
    let mut pair = unconnected(Config::default());
    let answer = Rc::new(Cell::new(Vec::new()));
    let inside = Rc::clone(&answer);
    pair.lose_if = Box::new(move |datagram| {
        if let Some((Header::SynAck { noise, .. }, _)) = datagram.parse() {
            inside.set(noise.to_vec());
        }
        true
    });
    pair.inject(CLIENT, syn(100));
    let mut other = other_client(100);
    let (payload, _) = other.read_second(&answer.take()).unwrap();
    let (destination, _, _) = read_answer(&payload).unwrap();
    let finish = other.complete().unwrap().handshake_finish;
    let ack = |finish: &[u8; 64]| {
        let mut bytes = Vec::new();
        Header::Ack {
            destination,
            handshake_finish: finish,
            packet_number: 0,
        }
        .encode(&mut bytes);
        bytes
    };
    pair.inject(CLIENT, vec![0x34; 60]);
    // A wrong key, a wrong payload: Noise stops at another place each time.
    for at in [0, 31, 47, 48, 63] {
        let mut wrong = finish;
        wrong[at] ^= 1;
        pair.inject(CLIENT, ack(&wrong));
        assert_eq!(pair.sides[SERVER].endpoint.connection_count(), 0);
    }
    pair.inject(CLIENT, ack(&finish));
    assert_eq!(pair.sides[SERVER].endpoint.connection_count(), 1);
}

#[test]
fn answers_that_do_not_belong_to_the_clients_syn_change_nothing() {
    let mut pair = unconnected(Config::default());
    let destination = pair.sides[CLIENT].id.unwrap().0;
    pair.settle();
    let refuse = Header::Refuse {
        destination,
        echo: 5,
        reason: 1,
    };
    pair.forge(SERVER, &refuse, &[]);
    let cookie = Header::Cookie {
        destination,
        echo: 5,
        cookie: &[7; 40],
    };
    pair.forge(SERVER, &cookie, &[]);
    // Another client's answer, and one of random bytes.
    let identity = Identity::from_secret([1; 32]);
    let seed = || Zeroizing::new([2; 32]);
    let payload = answer_payload(
        &Config::default(),
        9,
        &[0; 16],
        8 << 20,
        Cipher::ChaCha20Poly1305,
    );
    let other = Responder::new(&identity, seed(), other_client(1).first(), payload).unwrap();
    for noise in [other.second(), &[3; 140], &[]] {
        pair.forge(SERVER, &Header::SynAck { destination, noise }, &[]);
    }
    assert_eq!(pair.sides[CLIENT].error(), None);
    assert!(!pair.sides[CLIENT].has_event(Event::Established));
    assert_eq!(pair.sides[CLIENT].endpoint.dropped_datagrams(), 5);
    assert!(pair.run(1, Pair::is_connected));
}
