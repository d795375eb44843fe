//! The memory that peers can make an endpoint hold, measured in the allocator: the figures of
//! [`Config`].
//!
//! The memory of a side is what dropping it returns to the allocator.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::alloc::System;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lftp_transport::proto::{ConnectionId, Endpoint, Event};
use lftp_transport::{Config, Time};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const KIB: usize = 1 << 10;

/// Serializes the tests: the allocator counts for all threads.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Drops `value`; returns the bytes it held.
fn bytes_of<T>(value: T) -> usize {
    let before = held();
    drop(value);
    before - held()
}

fn endpoint(config: Config, seed: u64) -> Endpoint {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let random = Box::new(move |bytes: &mut [u8]| rng.fill_bytes(bytes));
    Endpoint::new(Arc::new(config), random)
}

fn listener(config: Config) -> Endpoint {
    let mut server = endpoint(config, 0);
    server.set_listening(true);
    server
}

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// An address in 10.0.0.0/8.
fn spoofed(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a00_0000 | number), 5))
}

/// First packets of clients that never send anything else.
fn syns(count: usize) -> Vec<Vec<u8>> {
    let mut client = endpoint(Config::default(), 1);
    let syn = |_| {
        let mut syn = Vec::new();
        client.connect(Time::ZERO, SERVER);
        client.poll_transmit(Time::ZERO, 1, &mut syn).unwrap();
        syn
    };
    (0..count).map(syn).collect()
}

/// Delivers each SYN from an address of its own, a microsecond apart, and lets the server reply.
fn flood(server: &mut Endpoint, syns: &[Vec<u8>], numbers: std::ops::Range<u32>) {
    let (mut out, mut copy) = (Vec::with_capacity(2 * KIB), Vec::with_capacity(2 * KIB));
    for number in numbers {
        let now = Time::ZERO + Duration::from_micros(u64::from(number));
        copy.clear();
        copy.extend_from_slice(&syns[number as usize % syns.len()]);
        server.handle_datagram(now, spoofed(number), None, &mut copy);
        while server.poll_transmit(now, 1, &mut out).is_some() {
            out.clear();
        }
    }
}

#[test]
fn a_half_open_handshake_holds_less_than_4_kib_and_a_flood_of_them_no_more() {
    let _alone = alone();
    let syns = syns(500);
    let limit = Config::default().half_open_limit;
    let mut server = listener(Config {
        cookie_threshold: usize::MAX,
        ..Config::default()
    });
    let before = held();
    flood(&mut server, &syns, 0..limit as u32);
    assert_eq!(server.half_open_count(), limit);
    let each = (held() - before) / limit;
    println!("a half-open handshake: {each} bytes");
    assert!((1..4 * KIB).contains(&each), "{each}");
    // At the limit.
    let before = held();
    flood(&mut server, &syns, 1_000..21_000);
    assert_eq!(server.half_open_count(), limit);
    assert!(held() < before + KIB, "{} more", held() - before);
    // And with cookies from the usual threshold on.
    let mut server = listener(Config::default());
    flood(&mut server, &syns, 0..1_000);
    let before = held();
    flood(&mut server, &syns, 1_000..101_000);
    println!(
        "100,000 SYNs on top of 1,000: {} bytes more",
        held().saturating_sub(before)
    );
    assert!(held() < before + KIB, "{} more", held() - before);
}

/// A server and clients with one connection each, over a perfect network of 1 ms.
struct Net {
    now: Time,
    server: Endpoint,
    clients: Vec<(Endpoint, ConnectionId)>,
    accepted: Vec<ConnectionId>,
    /// Loses every datagram to the clients.
    loses_replies: bool,
}

impl Net {
    fn new(config: &Config, clients: u32) -> Self {
        let client = |number| {
            let mut client = endpoint(config.clone(), 2 + u64::from(number));
            let id = client.connect(Time::ZERO, SERVER);
            (client, id)
        };
        let mut net = Self {
            now: Time::ZERO,
            server: listener(config.clone()),
            clients: (0..clients).map(client).collect(),
            accepted: Vec::new(),
            loses_replies: false,
        };
        net.pass(Duration::from_secs(1));
        assert_eq!(net.accepted.len(), clients as usize);
        net
    }

    /// Runs for `time` in steps of a millisecond, which is also a datagram's delay.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut out = Vec::with_capacity(64 * KIB);
        while self.now < end {
            self.now += Duration::from_millis(1);
            for number in 0..self.clients.len() {
                let client = &mut self.clients[number].0;
                client.handle_timeout(self.now);
                out.clear();
                while client.poll_transmit(self.now, 1, &mut out).is_some() {
                    let from = spoofed(number as u32);
                    self.server.handle_datagram(self.now, from, None, &mut out);
                    out.clear();
                }
                while client.poll_event().is_some() {}
            }
            self.server.handle_timeout(self.now);
            out.clear();
            while let Some(outgoing) = self.server.poll_transmit(self.now, 1, &mut out) {
                let number = (0..).find(|&n| spoofed(n) == outgoing.destination);
                let client = &mut self.clients[number.unwrap() as usize].0;
                if !self.loses_replies {
                    client.handle_datagram(self.now, SERVER, None, &mut out);
                }
                out.clear();
            }
            while let Some(event) = self.server.poll_event() {
                if let Event::Accepted(id) = event {
                    self.accepted.push(id);
                }
            }
        }
    }

    /// Fills the first client's send buffer, in pieces.
    fn write(&mut self, piece: usize) {
        let (client, id) = &mut self.clients[0];
        while client.write_room(*id) > 0 {
            client.write(*id, Bytes::from(vec![7; piece]));
        }
    }
}

const IDLE: usize = 16 * KIB;

#[test]
fn an_idle_connection_holds_less_than_16_kib() {
    let _alone = alone();
    let config = Config {
        keep_alive: Some(Duration::from_secs(3)),
        ..Config::default()
    };
    let mut net = Net::new(&config, 200);
    net.pass(Duration::from_secs(10));
    assert_eq!(net.server.connection_count(), 200);
    let each = bytes_of(net.server) / 200;
    println!("an idle connection: {each} bytes");
    assert!((1..IDLE).contains(&each), "{each}");
}

#[test]
fn a_stopped_reader_makes_its_side_hold_a_window_and_three_blocks() {
    let _alone = alone();
    let window = 2 << 20;
    let config = Config {
        receive_window_bytes: window,
        max_receive_window_bytes: window,
        unsent_bytes: 2 * window,
        ..Config::default()
    };
    let mut net = Net::new(&config, 1);
    net.write(16 * KIB);
    net.pass(Duration::from_secs(5));
    let bytes = bytes_of(net.server);
    println!("a window of {window} bytes, full: {bytes} bytes");
    let window = window as usize;
    assert!(bytes >= window, "it is not full: {bytes}");
    assert!(bytes <= window + 3 * 64 * KIB + IDLE, "{bytes}");
}

#[test]
fn a_peer_that_acknowledges_nothing_makes_the_sender_hold_its_buffer_and_a_tenth_more() {
    let _alone = alone();
    let buffer = 4 << 20;
    let config = Config {
        send_buffer_bytes: buffer,
        unsent_bytes: buffer,
        idle_timeout: Duration::from_secs(60),
        ..Config::default()
    };
    let mut net = Net::new(&config, 1);
    // Some of it gets through first, so that the window is large when the acknowledgements stop.
    net.write(16 * KIB);
    net.pass(Duration::from_millis(50));
    net.loses_replies = true;
    for _ in 0..20 {
        net.write(16 * KIB);
        net.pass(Duration::from_secs(1));
    }
    let (client, _) = net.clients.remove(0);
    let bytes = bytes_of(client);
    println!("a buffer of {buffer} bytes, full: {bytes} bytes");
    let buffer = buffer as usize;
    assert!(bytes >= buffer, "it is not full: {bytes}");
    assert!(
        bytes <= buffer + buffer / 10 + 16 * KIB + 2 * IDLE,
        "{bytes}"
    );
}
