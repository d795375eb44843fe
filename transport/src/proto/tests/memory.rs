//! The memory that peers can make an endpoint hold: bounded, and no honest stream stalls for it.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::pair::{CLIENT, Network, Pair, SERVER, noise};
use crate::proto::{ConnectionId, Event};
use crate::wire::{Header, encode};
use crate::{Config, SharedMemory};

const KIB: u64 = 1 << 10;

const BLOCK: u64 = 64 * KIB;

/// What a connection gets in any case, bytes: 4 KiB that can be read, a packet more, a write.
const LEAST: u64 = 16 * KIB + 64 * KIB;

fn with_memory(bytes: u64) -> Config {
    Config {
        memory_limit_bytes: bytes,
        ..Config::default()
    }
}

/// Sends the server a STREAM frame in a packet with this number, as the client could.
fn forge(pair: &mut Pair, id: ConnectionId, packet_number: u64, offset: u64, data: &[u8]) {
    let header = Header::Data {
        destination: id.0,
        phase: false,
        packet_number,
    };
    let mut frames = Vec::new();
    encode::stream(&mut frames, offset, false);
    frames.extend_from_slice(data);
    pair.forge(CLIENT, &header, &frames);
}

/// The server's connections.
fn accepted(pair: &Pair) -> Vec<ConnectionId> {
    let events = pair.sides[SERVER].events.iter();
    let accepted = events.filter_map(|event| match event {
        Event::Accepted(id) => Some(*id),
        _ => None,
    });
    accepted.collect()
}

fn charged(pair: &Pair) -> u64 {
    pair.sides[SERVER].endpoint.metrics().charged_bytes
}

#[test]
fn a_byte_at_the_end_of_each_block_takes_no_more_than_the_limit() {
    let limit = 24 << 20;
    let mut pair = Pair::connected_with(1, &with_memory(limit), &Network::clean());
    // Each is offered the whole window of 8 MiB, since nobody holds anything yet.
    for _ in 0..5 {
        pair.connect();
    }
    pair.pass(Duration::from_secs(1));
    pair.lose_if = Box::new(|datagram| datagram.from == SERVER);
    let accepted = accepted(&pair);
    assert_eq!(accepted.len(), 6);
    for (id, block) in accepted
        .iter()
        .flat_map(|id| (0..127).map(move |block| (*id, block)))
    {
        forge(&mut pair, id, 100 + block, (block + 1) * BLOCK - 1, b"x");
        assert!(charged(&pair) <= limit, "{}", charged(&pair));
    }
    let held = charged(&pair);
    assert!(held >= limit / 2, "most of it is there to be used: {held}");
}

/// A pair whose server shares its memory, over 20 Mbit/s.
fn sharing(seed: u64, shared: &SharedMemory) -> Pair {
    let config = Config {
        shared_memory: Some(shared.clone()),
        ..with_memory(24 << 20)
    };
    let network = Network {
        rate: Some(2_500_000),
        ..Network::clean()
    };
    Pair::connected_with(seed, &config, &network)
}

#[test]
fn listeners_that_share_memory_hold_no_more_than_one_and_give_it_back_to_each_other() {
    let shared = SharedMemory::default();
    let [mut attacked, mut honest] = [1, 2].map(|seed| sharing(seed, &shared));
    for _ in 0..5 {
        attacked.connect();
    }
    attacked.pass(Duration::from_secs(1));
    attacked.lose_if = Box::new(|_| true);
    for id in accepted(&attacked) {
        for block in 0..127 {
            forge(
                &mut attacked,
                id,
                100 + block,
                (block + 1) * BLOCK - 1,
                b"x",
            );
        }
    }
    let before = charged(&attacked);
    assert!(before >= 16 << 20, "{before}");
    let data = noise(1, 10_000_000);
    honest.send(CLIENT, &data);
    let begin = honest.now;
    while !honest.sides[CLIENT].was_finished {
        honest.pass(Duration::from_millis(10));
        attacked.pass(Duration::from_millis(10));
        assert!(shared.used_bytes() <= 24 << 20, "{}", shared.used_bytes());
        assert!(honest.now < begin + Duration::from_secs(60));
    }
    // Four seconds at the rate of the path.
    let took = honest.now.saturating_since(begin);
    assert!(took <= Duration::from_secs(5), "{took:?}");
    assert!(charged(&attacked) < before, "what stands still gives way");
    drop((attacked, honest));
    assert_eq!(shared.used_bytes(), 0);
}

#[test]
fn a_new_connection_is_offered_what_it_can_fill() {
    for limit in [0, 1 << 20, 4 << 20, 56 << 20] {
        let pair = Pair::connected_with(1, &with_memory(limit), &Network::clean());
        let window = pair.sides[SERVER].stats().receive_window_bytes;
        assert!(window <= (limit / 4 * 3).max(16 * KIB), "{window}");
        assert!(window == 8 << 20 || limit < 56 << 20, "{window}");
    }
}

#[test]
fn islands_take_no_more_than_their_bound() {
    let mut pair = Pair::connected(1, &Network::clean());
    pair.lose_if = Box::new(|datagram| datagram.from == SERVER);
    let id = pair.sides[SERVER].id.unwrap();
    for island in 0..40_000 {
        forge(&mut pair, id, 100 + island, 2 * island + 1, b"x");
    }
    let connection = pair.sides[SERVER].connection().unwrap();
    let ranges = connection.range_count();
    assert_eq!(ranges, 16_384, "more are as good as lost");
    let bytes = 2 * 16_384;
    assert!(charged(&pair) <= bytes + BLOCK + 16_384 * 32);
    // What fills the first gap is taken for all that.
    forge(&mut pair, id, 1 << 20, 0, &[b'y'; 1_000]);
    let connection = pair.sides[SERVER].connection().unwrap();
    assert!(connection.range_count() <= 16_384 - 499);
}

#[test]
fn a_stream_arrives_whole_however_little_memory_there_is() {
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let limit = (48 * KIB) << rng.random_range(0..5);
        let network = Network {
            jitter: Duration::from_millis(rng.random_range(0..30)),
            rate: Some(rng.random_range(200_000..4_000_000)),
            ..Network::lossy(rng.random_range(0.0..0.2))
        };
        let mut pair = Pair::connected_with(seed, &with_memory(limit), &network);
        let (up, down) = (noise(seed, 400_000), noise(seed + 1, 200_000));
        pair.send(CLIENT, &up);
        pair.send(SERVER, &down);
        let is_done = |pair: &Pair| {
            assert!(
                charged(pair) <= limit + LEAST,
                "seed {seed}: {}",
                charged(pair)
            );
            pair.sides.iter().all(|side| side.was_finished)
        };
        assert!(pair.run(600, is_done), "seed {seed}, {limit} bytes");
        assert!(pair.sides[SERVER].incoming == up, "seed {seed}");
        assert!(pair.sides[CLIENT].incoming == down, "seed {seed}");
    }
}

#[test]
fn what_a_connection_held_goes_back_when_it_ends() {
    for ends in [true, false] {
        let mut pair = Pair::connected(1, &Network::clean());
        let id = pair.sides[SERVER].id.unwrap();
        for block in 0..16 {
            forge(&mut pair, id, 100 + block, (block + 1) * BLOCK - 1, b"x");
        }
        assert!(charged(&pair) >= 16 * BLOCK);
        let now = pair.now;
        let server = &mut pair.sides[SERVER].endpoint;
        if ends {
            server.reset(now, id, 1);
        }
        server.abandon(now, id);
        assert_eq!(charged(&pair), 0, "at once");
    }
}

#[test]
fn a_finished_transfer_leaves_nothing_behind() {
    let mut pair = Pair::connected(1, &Network::lossy(0.05));
    for side in &mut pair.sides {
        side.leaves_when_done = true;
    }
    pair.send(CLIENT, &noise(1, 2_000_000));
    pair.send(SERVER, &noise(2, 2_000_000));
    assert!(pair.run(60, |pair| {
        pair.sides.iter().all(|side| !side.leaves_when_done)
    }));
    assert_eq!(pair.sides[SERVER].endpoint.connection_count(), 1, "lingers");
    assert_eq!(charged(&pair), 0);
}

#[test]
fn an_application_that_waits_for_memory_is_woken() {
    let limit = 256 * KIB;
    let config = Config {
        receive_window_bytes: 64 * KIB,
        max_receive_window_bytes: 64 * KIB,
        ..with_memory(limit)
    };
    let mut pair = Pair::connected_with(1, &config, &Network::clean());
    // The client reads nothing, so the server's bytes stay where they are.
    pair.sides[CLIENT].reads = false;
    let data = noise(1, 3_000_000);
    pair.send(SERVER, &data);
    pair.pass(Duration::from_secs(2));
    assert!(charged(&pair) <= limit, "{}", charged(&pair));
    assert!(!pair.sides[SERVER].outgoing.is_empty(), "the rest waits");
    pair.sides[SERVER].events.clear();
    pair.sides[CLIENT].reads = true;
    assert!(pair.run(60, |pair| pair.sides[SERVER].was_finished));
    assert!(pair.sides[SERVER].has_event(Event::Writable));
    assert!(pair.sides[CLIENT].incoming == data);
}
