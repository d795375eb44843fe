//! Fair shares of an endpoint: a client from elsewhere gets in, however much an attacker holds.

use std::net::SocketAddr;
use std::time::Duration;

use super::flood::{inject_from, syn, unconnected};
use super::pair::{CLIENT, Network, Pair, SERVER, noise};
use crate::Config;
use crate::crypto::cookie::CookieJar;
use crate::proto::{ConnectionError, Event, Refusal};
use crate::wire::Header;

/// Host `number`, in one of 256 networks.
fn attacker(number: u32) -> SocketAddr {
    SocketAddr::from(([198, 18, number as u8, (number >> 8) as u8], 5))
}

/// Has `addresses` hosts fill every half-open place, cookies and all, as fast as they may.
fn besiege(pair: &mut Pair, addresses: u32, syns: u32) {
    let server = &mut pair.sides[SERVER].endpoint;
    let jar = CookieJar::new(&[7; 32]);
    server.set_cookies(CookieJar::new(&[7; 32]));
    // 20 a second for each host, 80 for each network.
    let rate = (20 * addresses).min(80 * addresses.min(256));
    for number in 0..syns {
        let from = attacker(number % addresses);
        pair.now += Duration::from_secs(1) / rate;
        let cookie = jar.issue(pair.now, from, number + 1);
        let bytes = syn(number, Some(&cookie));
        let server = &mut pair.sides[SERVER].endpoint;
        server.handle_datagram(pair.now, from, None, &mut bytes.clone());
        while server.poll_transmit(pair.now, 1, &mut Vec::new()).is_some() {}
    }
}

fn gets_in_against(addresses: u32) {
    // Scaled below the default limit: each handshake of the attacker costs the test a key exchange.
    let server = Config {
        half_open_limit: 300.max(addresses as usize + addresses as usize / 8),
        address_limit: 100_000,
        ..Config::default()
    };
    let limit = server.half_open_limit;
    let mut pair = unconnected(server);
    pair.networks[SERVER].loss = 1.0;
    besiege(&mut pair, addresses, limit as u32 + 50);
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), limit);
    pair.networks[SERVER].loss = 0.0;
    let begin = pair.now;
    let id = pair.connect();
    // Two round trips of 40 ms and a second.
    assert!(
        pair.run(2, |pair| pair.sides[CLIENT].endpoint.is_established(id)),
        "against {addresses}"
    );
    assert!(pair.now <= begin + Duration::from_millis(1_080));
}

/// Has one host send SYNs with good cookies for a second, a thousand in all; gives how many
/// handshakes that starts.
fn handshakes_in_a_second(config: Config) -> usize {
    let mut pair = unconnected(config);
    pair.networks[SERVER].loss = 1.0;
    let jar = CookieJar::new(&[7; 32]);
    pair.sides[SERVER]
        .endpoint
        .set_cookies(CookieJar::new(&[7; 32]));
    for number in 0..1_000 {
        pair.now += Duration::from_millis(1);
        let from = attacker(1);
        let cookie = jar.issue(pair.now, from, number + 1);
        let server = &mut pair.sides[SERVER].endpoint;
        server.handle_datagram(pair.now, from, None, &mut syn(number, Some(&cookie)));
        while server.poll_transmit(pair.now, 1, &mut Vec::new()).is_some() {}
    }
    pair.sides[SERVER].endpoint.half_open_count()
}

#[test]
fn good_cookies_buy_no_more_key_exchanges_than_a_rate() {
    let config = Config {
        address_limit: 100_000,
        ..Config::default()
    };
    let started = handshakes_in_a_second(config);
    // 64 before there is any load, a burst of 5, and 20 a second.
    assert!((64 + 5..=64 + 5 + 20).contains(&started), "{started}");
}

#[test]
fn one_address_does_not_shut_the_port() {
    gets_in_against(1);
}

#[test]
fn sixteen_addresses_do_not_shut_the_port() {
    gets_in_against(16);
}

#[test]
fn four_thousand_addresses_do_not_shut_the_port() {
    gets_in_against(4_096);
}

/// Connects from an address; gives why that failed, if it did. The client's side then falls
/// silent there.
fn connect_from(pair: &mut Pair, from: &str) -> Option<ConnectionError> {
    pair.sides[CLIENT].addr = from.parse().unwrap();
    let id = pair.connect();
    pair.pass(Duration::from_millis(500));
    pair.sides[CLIENT].endpoint.error(id)
}

#[test]
fn a_full_listener_gives_a_client_from_elsewhere_a_place() {
    let mut pair = unconnected(Config {
        listen_limit: 8,
        ..Config::default()
    });
    pair.pass(Duration::from_millis(500));
    let first = pair.sides[SERVER].id.unwrap();
    let server = &mut pair.sides[SERVER].endpoint;
    server.reset(pair.now, first, 1);
    server.abandon(pair.now, first);
    for connection in 0..8 {
        let from = format!("198.18.1.{}:{}", connection % 4, 5 + connection);
        assert_eq!(connect_from(&mut pair, &from), None);
    }
    let accepted = |pair: &Pair| -> Vec<_> {
        let events = pair.sides[SERVER].events.iter();
        let accepted = events.filter_map(|event| match event {
            Event::Accepted(id) => Some(*id),
            _ => None,
        });
        accepted.skip(1).collect()
    };
    let ids = accepted(&pair);
    // Another network gets an equal share, and its own clients no more.
    for port in 1..=4 {
        let from = format!("203.0.113.1:{port}");
        assert_eq!(connect_from(&mut pair, &from), None, "place {port}");
    }
    let refused = ConnectionError::Refused(Refusal::ListenLimit);
    assert_eq!(connect_from(&mut pair, "203.0.113.1:9"), Some(refused));
    assert_eq!(
        connect_from(&mut pair, "203.0.113.2:9"),
        None,
        "another host"
    );
    // Those that were silent longest have gone: one of each host of the first network.
    let server = &pair.sides[SERVER].endpoint;
    for (index, id) in ids.iter().enumerate() {
        let evicted = (index < 4).then_some(ConnectionError::Evicted);
        assert_eq!(server.error(*id), evicted, "connection {index}");
    }
    let alive = accepted(&pair).into_iter();
    let alive = alive.filter(|&id| server.error(id).is_none());
    assert_eq!(alive.count(), 8);
}

#[test]
fn a_syn_is_the_same_in_both_notations_of_its_address() {
    let mut pair = unconnected(Config::default());
    pair.networks[CLIENT].loss = 1.0;
    for text in ["192.0.2.1:5", "[::ffff:192.0.2.1]:5"] {
        inject_from(&mut pair, text.parse().unwrap(), syn(1, None));
    }
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 1);
}

#[test]
fn nothing_is_sent_to_port_0() {
    let mut pair = unconnected(Config::default());
    let nowhere = SocketAddr::from(([10, 9, 9, 9], 0));
    inject_from(&mut pair, nowhere, syn(1, None));
    pair.pass(Duration::from_secs(1));
    let client = &mut pair.sides[CLIENT].endpoint;
    let id = client.connect(pair.now, nowhere);
    assert_eq!(client.error(id), Some(ConnectionError::TimedOut));
    pair.pass(Duration::from_secs(1));
    assert_eq!(pair.bytes_to(nowhere), 0);
}

#[test]
fn ipv4_clients_of_a_dual_stack_socket_have_limits_of_their_own() {
    let mut pair = unconnected(Config {
        address_limit: 1,
        ..Config::default()
    });
    pair.networks[CLIENT].loss = 1.0;
    for host in 1..=5_u32 {
        let text = format!("[::ffff:192.0.2.{host}]:5");
        inject_from(&mut pair, text.parse().unwrap(), syn(host, None));
    }
    assert_eq!(pair.sides[SERVER].endpoint.half_open_count(), 5);
}

#[test]
fn connections_that_linger_count_against_no_limit() {
    let config = Config {
        listen_limit: 1,
        address_limit: 1,
        ..Config::default()
    };
    let mut pair = Pair::connected_with(1, &config, &Network::clean());
    for side in &mut pair.sides {
        side.leaves_when_done = true;
    }
    pair.send(CLIENT, &noise(1, 100));
    pair.send(SERVER, &noise(2, 100));
    assert!(pair.run(2, |pair| {
        pair.sides.iter().all(|side| !side.leaves_when_done)
    }));
    pair.pass(Duration::from_millis(50));
    assert_eq!(pair.sides[SERVER].endpoint.connection_count(), 1, "lingers");
    let id = pair.connect();
    assert!(pair.run(1, |pair| pair.sides[CLIENT].endpoint.is_established(id)));
    assert_eq!(pair.sides[CLIENT].endpoint.error(id), None);
}

#[test]
fn connects_that_were_let_go_count_against_no_limit() {
    let mut pair = unconnected(Config {
        address_limit: 3,
        ..Config::default()
    });
    pair.networks[CLIENT].loss = 1.0;
    for number in 0..10 {
        pair.inject(CLIENT, syn(number, None));
    }
    pair.networks[CLIENT].loss = 0.0;
    pair.pass(Duration::from_secs(1));
    let id = pair.connect();
    assert!(pair.run(1, |pair| pair.sides[CLIENT].endpoint.is_established(id)));
}

#[test]
fn garbage_in_place_of_the_last_handshake_message_costs_no_diffie_hellman() {
    let mut pair = unconnected(Config::default());
    let from = attacker(1);
    inject_from(&mut pair, from, syn(1, None));
    let (id, _) = pair.sides[SERVER].endpoint.first_half_open().unwrap();
    for byte in 0..100 {
        let mut bytes = Vec::new();
        Header::Ack {
            destination: id,
            handshake_finish: &[byte; crate::wire::HANDSHAKE_FINISH_BYTES],
            packet_number: 0,
        }
        .encode(&mut bytes);
        bytes.resize(bytes.len() + 16, 0);
        inject_from(&mut pair, from, bytes);
    }
    let (_, replays) = pair.sides[SERVER].endpoint.first_half_open().unwrap();
    assert_eq!(replays, 0);
}
