//! Floods from forged addresses: bounded memory, little sent, honest clients served.

use std::net::SocketAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::pair::{CLIENT, Network, Pair, SERVER, noise};
use crate::crypto::noise::Initiator;
use crate::proto::connection::syn_payload;
use crate::proto::{ConnectionError, Refusal};
use crate::wire::{COOKIE_BYTES, Header};
use crate::{Config, Identity, Time};

pub(super) fn syn(number: u32, cookie: Option<&[u8; COOKIE_BYTES]>) -> Vec<u8> {
    let mut secret = [0; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    let seed = Zeroizing::new(secret);
    let client = Initiator::new(
        &Identity::from_secret(secret),
        &seed,
        &syn_payload(&Config::default()),
    );
    let mut bytes = Vec::new();
    Header::Syn {
        source: number + 1,
        cookie,
        noise: client.first(),
    }
    .encode(&mut bytes);
    bytes
}

/// An address in 10.64.0.0/10.
fn address(number: u32) -> SocketAddr {
    SocketAddr::from((
        [
            10,
            64 | (number >> 16) as u8,
            (number >> 8) as u8,
            number as u8,
        ],
        5,
    ))
}

pub(super) fn unconnected(server: Config) -> Pair {
    let networks = [Network::clean(), Network::clean()];
    Pair::new(1, [Config::default(), server], networks)
}

/// Hands the server datagrams as if they came from `addr`.
pub(super) fn inject_from(pair: &mut Pair, addr: SocketAddr, bytes: Vec<u8>) {
    let sound = std::mem::replace(&mut pair.sides[CLIENT].addr, addr);
    pair.inject(CLIENT, bytes);
    pair.sides[CLIENT].addr = sound;
}

/// Forges SYNs, one each `every`, while the pair runs, and checks that the server stays small.
fn flood(pair: &mut Pair, forged: &[Vec<u8>], numbers: std::ops::Range<u32>, every: Duration) {
    for number in numbers {
        let bytes = forged[number as usize % forged.len()].clone();
        pair.sides[SERVER].endpoint.handle_datagram(
            pair.now,
            address(number),
            None,
            &mut bytes.clone(),
        );
        pair.pass(every);
        let server = &pair.sides[SERVER].endpoint;
        assert!(server.half_open_count() <= 64 + 1, "and one that is honest");
        assert!(server.connection_count() <= 1);
    }
}

#[test]
fn a_hundred_thousand_forged_syns_a_second_stop_no_honest_client() {
    let forged: Vec<_> = (0..500).map(|number| syn(number, None)).collect();
    let clock = |flooded: bool| {
        let mut pair = unconnected(Config::default());
        pair.networks
            .iter_mut()
            .for_each(|network| network.rate = Some(4_000_000));
        pair.send(CLIENT, &noise(1, 1_000_000));
        if flooded {
            let every = Duration::from_micros(10);
            flood(&mut pair, &forged, 0..60_000, every);
        }
        assert!(pair.run(20, |pair| pair.sides[CLIENT].was_finished));
        assert!(pair.sides[SERVER].incoming == noise(1, 1_000_000));
        pair.sides[SERVER].stats().bytes_received
    };
    let (quiet, flooded) = (clock(false), clock(true));
    assert!(flooded * 4 <= quiet * 5, "{flooded} against {quiet}");
}

#[test]
fn the_handshake_takes_one_round_trip_and_under_load_two() {
    for (threshold, round_trips) in [(64, 1), (0, 2)] {
        let mut pair = unconnected(Config {
            cookie_threshold: threshold,
            ..Config::default()
        });
        assert!(pair.run(1, Pair::is_connected));
        // The server knows half a round trip after the client.
        let expected = Duration::from_millis(40 * round_trips + 20);
        assert_eq!(pair.now, Time::ZERO + expected);
        for side in &pair.sides {
            assert_eq!(side.stats().smoothed_rtt, Duration::from_millis(40));
        }
    }
}

#[test]
fn a_handshake_with_a_cookie_gets_through_loss() {
    for seed in 0..100 {
        let config = Config {
            cookie_threshold: 0,
            ..Config::default()
        };
        Pair::connected_with(seed, &config, &Network::lossy(0.3));
    }
}

#[test]
fn a_listener_that_asks_for_cookies_keeps_nothing() {
    let mut pair = unconnected(Config {
        cookie_threshold: 0,
        ..Config::default()
    });
    pair.networks[CLIENT].loss = 1.0;
    for number in 0..1_000 {
        inject_from(&mut pair, address(number), syn(number, None));
        // An invented cookie, or that of another address, is not accepted.
        inject_from(
            &mut pair,
            address(number),
            syn(number, Some(&[9; COOKIE_BYTES])),
        );
    }
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 0);
    assert_eq!(pair.sides[SERVER].endpoint.poll_timeout(), None);
}

#[test]
fn an_unvalidated_address_is_sent_at_most_three_times_what_came_from_it() {
    let mut pair = unconnected(Config::default());
    pair.networks[CLIENT].loss = 1.0;
    for number in 0..20 {
        inject_from(&mut pair, address(number), syn(number, None));
    }
    pair.pass(Duration::from_secs(60));
    for number in 0..20 {
        let sent = pair.bytes_to(address(number));
        assert!((1..=3 * 1_200).contains(&sent), "{sent}");
    }
}

#[test]
fn the_limit_of_one_address_does_not_affect_others() {
    let mut pair = unconnected(Config {
        address_limit: 3,
        ..Config::default()
    });
    for number in 0..10 {
        let addr = SocketAddr::new(address(1).ip(), 1_000 + number as u16);
        inject_from(&mut pair, addr, syn(number, None));
    }
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 3);
    assert!(pair.run(1, Pair::is_connected));
    let more: Vec<_> = (0..3).map(|_| pair.connect()).collect();
    pair.pass(Duration::from_secs(1));
    let refused = ConnectionError::Refused(Refusal::AddressLimit);
    let errors = more.iter().map(|&id| pair.sides[CLIENT].endpoint.error(id));
    assert!(errors.eq([None, None, Some(refused)]));
}
