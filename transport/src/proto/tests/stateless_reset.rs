//! A restarted server tells its clients that their connections are lost, and no other host can.

use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::pair::{CLIENT, Network, Pair, SERVER, noise};
use crate::proto::{ConnectionError, Endpoint};
use crate::wire::{Header, STATELESS_RESET_BYTES};
use crate::{Config, Identity};

const PORT: u16 = 3154;

fn server_config(secret: u8) -> Config {
    Config {
        identity: Some(Identity::from_secret([secret; 32])),
        ..Config::default()
    }
}

/// A server at its port, as a new process would create it.
fn listening(secret: u8, port: u16, seed: u64) -> Endpoint {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let random = Box::new(move |bytes: &mut [u8]| rng.fill_bytes(bytes));
    let mut endpoint = Endpoint::new(Arc::new(server_config(secret)), random);
    endpoint.set_local_port(port);
    endpoint.set_listening(true);
    endpoint
}

/// A client in the middle of a long upload.
fn uploading(seed: u64, network: &Network) -> Pair {
    let networks = [network.clone(), network.clone()];
    let mut pair = Pair::new(seed, [Config::default(), server_config(1)], networks);
    pair.sides[SERVER].endpoint.set_local_port(PORT);
    assert!(pair.run(40, Pair::is_connected), "connects");
    pair.send(CLIENT, &noise(seed, 50_000_000));
    pair.pass(Duration::from_millis(200));
    assert_eq!(pair.sides[CLIENT].error(), None);
    pair
}

/// Puts another process in the server's place.
fn replace(pair: &mut Pair, endpoint: Endpoint) {
    pair.sides[SERVER].endpoint = endpoint;
    pair.sides[SERVER].id = None;
}

fn is_lost(pair: &Pair) -> bool {
    pair.sides[CLIENT].error() == Some(ConnectionError::StatelessReset)
}

#[test]
fn a_restarted_server_tells_its_clients_within_a_round_trip() {
    for seed in 0..50 {
        let network = Network {
            rate: Some(2_000_000),
            ..Network::lossy(0.02)
        };
        let mut pair = uploading(seed, &network);
        let started = pair.now;
        replace(&mut pair, listening(1, PORT, 1_000 + seed));
        assert!(pair.run(30, is_lost), "seed {seed}");
        // The last packet sent is answered, behind those that are in flight already.
        let took = pair.now.saturating_since(started);
        assert!(took < Duration::from_millis(400), "seed {seed}: {took:?}");
    }
}

#[test]
fn a_client_that_only_receives_learns_of_it_by_its_keep_alive() {
    let client = Config {
        keep_alive: Some(Duration::from_millis(300)),
        ..Config::default()
    };
    let networks = [Network::clean(), Network::clean()];
    let mut pair = Pair::new(1, [client, server_config(1)], networks);
    pair.sides[SERVER].endpoint.set_local_port(PORT);
    assert!(pair.run(40, Pair::is_connected), "connects");
    pair.pass(Duration::from_secs(2));
    let started = pair.now;
    replace(&mut pair, listening(1, PORT, 2));
    assert!(pair.run(30, is_lost));
    assert!(pair.now.saturating_since(started) < Duration::from_millis(400));
}

#[test]
fn a_reset_with_another_key_or_port_is_ignored() {
    for (secret, port) in [(2, PORT), (1, PORT + 1)] {
        let mut pair = uploading(3, &Network::clean());
        replace(&mut pair, listening(secret, port, 4));
        assert!(!pair.run(20, is_lost), "key {secret}, port {port}");
        assert_eq!(pair.sides[CLIENT].error(), None);
        assert!(pair.run(20, |pair| pair.sides[CLIENT].error().is_some()));
        assert_eq!(pair.sides[CLIENT].error(), Some(ConnectionError::TimedOut));
    }
}

#[test]
fn a_reset_without_the_token_is_ignored() {
    let mut pair = uploading(5, &Network::clean());
    let server_id = pair.sides[CLIENT]
        .connection()
        .expect("there is one")
        .peer_id();
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for source in [server_id, server_id ^ 1] {
        for _ in 0..1_000 {
            let mut token = [0; 16];
            rng.fill_bytes(&mut token);
            let lost = Header::StatelessReset {
                source,
                token: &token,
            };
            pair.forge(SERVER, &lost, &[]);
        }
    }
    assert_eq!(pair.sides[CLIENT].error(), None);
    pair.sides[CLIENT].outgoing.clear();
    pair.sides[SERVER].finishes = true;
    assert!(
        pair.run(60, |pair| pair.sides[SERVER].was_read_out),
        "it goes on"
    );
}

#[test]
fn no_token_of_a_live_connection_is_revealed_and_nothing_is_amplified() {
    let pair = uploading(7, &Network::clean());
    let (client_addr, now) = (pair.sides[CLIENT].addr, pair.now);
    let server_id = pair.sides[CLIENT]
        .connection()
        .expect("there is one")
        .peer_id();
    let mut server = pair
        .sides
        .into_iter()
        .nth(SERVER)
        .expect("two sides")
        .endpoint;
    let mut out = Vec::new();
    while server.poll_transmit(now, 8, &mut out).is_some() {}

    let mut answer_to = |id: u32, bytes: usize| {
        let mut datagram = Vec::new();
        Header::Data {
            destination: id,
            phase: false,
            packet_number: 9,
        }
        .encode(&mut datagram);
        datagram.resize(bytes, 0);
        server.handle_datagram(now, client_addr, None, &mut datagram);
        out.clear();
        let sent = server.poll_transmit(now, 8, &mut out);
        sent.map(|_| out.len())
    };
    assert_eq!(answer_to(server_id, 1_200), None);
    assert_eq!(answer_to(server_id ^ 1, 1_200), Some(STATELESS_RESET_BYTES));
    assert_eq!(
        answer_to(server_id ^ 1, STATELESS_RESET_BYTES + 1),
        Some(STATELESS_RESET_BYTES)
    );
    assert_eq!(answer_to(server_id ^ 1, STATELESS_RESET_BYTES), None);

    // An endpoint that does not listen never had a client.
    server.set_listening(false);
    let mut datagram = vec![0x34; 1_200];
    server.handle_datagram(now, client_addr, None, &mut datagram);
    assert!(server.poll_transmit(now, 8, &mut Vec::new()).is_none());
}
