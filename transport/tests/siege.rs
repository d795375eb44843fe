//! A server besieged: what attackers hold, and what is left of it for a client from elsewhere.
//!
//! The attackers have addresses and keys of their own, finish their handshakes, and then send
//! whatever costs the server most. In virtual time, in steps of a millisecond; the memory is what
//! the allocator has given out.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::alloc::System;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lftp_netem::Direction;
use lftp_netem::link::Link;
use lftp_netem::packet::Packet;
use lftp_netem::profile::NetworkProfile;
use lftp_transport::proto::{ConnectionId, Endpoint, Event, fuzzing};
use lftp_transport::{Config, Identity, Time};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: f64 = 1_048_576.0;

const BLOCK: u64 = 64 << 10;

/// The receive window that the attackers were told, bytes.
const WINDOW: u64 = 8 << 20;

/// Connections that the attackers try to hold, unless they have more addresses.
const CONNECTIONS: usize = 1_100;

const STEP: Duration = Duration::from_millis(1);

/// The honest client's path: 20 Mbit/s, a round trip of 40 ms.
const PATH: &str = "rate = \"20mbit\"\ndelay = \"20ms\"\nqueue = \"100p\"";

/// Serializes the tests: the allocator counts for all threads.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn allocated() -> f64 {
    let stats = ALLOCATOR.stats();
    (stats.bytes_allocated - stats.bytes_deallocated) as f64
}

fn endpoint(config: Config, seed: u64) -> Endpoint {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let random = Box::new(move |bytes: &mut [u8]| rng.fill_bytes(bytes));
    Endpoint::new(Arc::new(config), random)
}

const fn to_netem(time: Time) -> lftp_netem::Time {
    lftp_netem::Time::from_nanos(time.as_nanos())
}

/// What an attacker does with its connection.
#[derive(Copy, Clone, Debug)]
enum Attack {
    /// One byte at the end of each block of the window.
    LastBytes,
    /// Every second byte, one a packet.
    Islands,
    /// Bytes behind a gap at the start.
    Gap,
    /// As the first, and attackers that were thrown out come back at once, all the time.
    Returning,
    /// None at all: its handshakes stay half open, as many as the server lets it start.
    HalfOpen,
}

impl Attack {
    const ALL: [Self; 4] = [Self::LastBytes, Self::Islands, Self::Gap, Self::HalfOpen];

    /// The offset and the length of the bytes in its packets.
    fn bytes(self) -> Box<dyn Iterator<Item = (u64, usize)>> {
        match self {
            Self::LastBytes | Self::Returning => {
                Box::new((1..WINDOW / BLOCK).map(|block| (block * BLOCK - 1, 1)))
            }
            Self::Islands => Box::new((0..2_000).map(|island| (2 * island + 1, 1))),
            Self::Gap => Box::new((0..50).map(|packet| (packet * 1_400 + 1, 1_400))),
            Self::HalfOpen => Box::new(std::iter::empty()),
        }
    }
}

/// A server, an honest client behind links, and attackers, whose packets take no time.
struct Siege {
    now: Time,
    server: Endpoint,
    accepted: BTreeMap<SocketAddr, ConnectionId>,
    client: Endpoint,
    id: ConnectionId,
    links: [Link; 2],
    /// Bytes of the client's stream that the server's application has read.
    arrived: u64,
    peak: f64,
    idle: f64,
}

const SERVER: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    3154,
);

const CLIENT: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1)),
    5,
);

/// Host and port of a connection, when there are so many hosts, in up to 256 networks.
fn attacker(number: usize, addresses: usize) -> SocketAddr {
    let (host, port) = (number % addresses, 5 + number / addresses);
    SocketAddr::from(([198, 18, host as u8, (host >> 8) as u8], port as u16))
}

impl Siege {
    fn new() -> Self {
        let mut server = endpoint(Config::default(), 1);
        server.set_listening(true);
        // Its own buffers are not what is measured.
        let mut client = endpoint(
            Config {
                send_buffer_bytes: 512 << 10,
                unsent_bytes: 64 << 10,
                ..Config::default()
            },
            2,
        );
        let profile = NetworkProfile::from_toml_str(PATH).unwrap().forward();
        let directions = [Direction::Forward, Direction::Reverse];
        let links = directions.map(|direction| Link::new(&profile, 1, direction));
        // A connection that goes nowhere: the true one comes later.
        let id = client.connect(Time::ZERO, SocketAddr::new(SERVER.ip(), 0));
        Self {
            now: Time::ZERO,
            server,
            accepted: BTreeMap::new(),
            client,
            id,
            links,
            arrived: 0,
            peak: 0.0,
            idle: allocated(),
        }
    }

    fn send(&mut self, from: usize, bytes: &[u8]) {
        let (source, destination) = [(CLIENT, SERVER), (SERVER, CLIENT)][from];
        let packet = Packet::new(source, destination, 0, bytes.to_vec());
        self.links[from].push(to_netem(self.now), packet);
    }

    /// A step of a millisecond.
    fn step(&mut self) {
        self.now += STEP;
        let now = self.now;
        while let Some(mut packet) = self.links[0].pop(to_netem(now)) {
            self.server
                .handle_datagram(now, CLIENT, None, &mut packet.payload);
        }
        while let Some(mut packet) = self.links[1].pop(to_netem(now)) {
            self.client
                .handle_datagram(now, SERVER, None, &mut packet.payload);
        }
        self.client.handle_timeout(now);
        self.server.handle_timeout(now);
        if self.client.is_established(self.id) {
            while self.client.write_room(self.id) > 0 {
                self.client.write(self.id, Bytes::from_static(&[7; 16_384]));
            }
        }
        let mut out = Vec::new();
        while self.client.poll_transmit(now, 1, &mut out).is_some() {
            self.send(0, &std::mem::take(&mut out));
        }
        self.serve();
        self.peak = self.peak.max(allocated() - self.idle);
    }

    /// Lets the server's application read, and the server send.
    fn serve(&mut self) {
        while let Some(event) = self.server.poll_event() {
            if let Event::Accepted(id) = event {
                self.accepted.insert(self.server.remote(id).unwrap(), id);
            }
            if let Event::Closed(id) = event {
                self.accepted.retain(|_, accepted| *accepted != id);
                self.server.abandon(self.now, id);
            }
            if let Event::Readable(id) = event {
                let is_client = self.accepted.get(&CLIENT) == Some(&id);
                while let Some(bytes) = self.server.read(id, usize::MAX) {
                    self.arrived += u64::from(is_client) * bytes.len() as u64;
                }
            }
        }
        let mut out = Vec::new();
        while let Some(outgoing) = self.server.poll_transmit(self.now, 1, &mut out) {
            let bytes = std::mem::take(&mut out);
            if outgoing.destination == CLIENT {
                self.send(1, &bytes);
            }
        }
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.step();
        }
    }

    /// Has the honest client connect; gives the milliseconds that it takes.
    fn connect(&mut self) -> Option<u64> {
        let begin = self.now;
        self.id = self.client.connect(self.now, SERVER);
        for ms in 1..20_000 {
            self.step();
            if self.client.is_established(self.id) {
                return Some(ms);
            }
            if self.client.error(self.id).is_some() {
                break;
            }
        }
        println!("not connected after {:?}", self.now.saturating_since(begin));
        None
    }

    /// The client's goodput over some time, Mbit/s.
    fn goodput(&mut self, duration: Duration) -> f64 {
        let before = self.arrived;
        self.pass(duration);
        (self.arrived - before) as f64 * 8.0 / duration.as_secs_f64() / 1e6
    }

    /// Has an attacker connect with one of so many keys; it may leave the handshake half open.
    fn join(&mut self, number: usize, from: SocketAddr, keys: usize, finishes: bool) {
        let secret = [1 + (number % keys) as u8; 32];
        let config = Config {
            identity: Some(Identity::from_secret(secret)),
            ..Config::default()
        };
        let mut attacker = endpoint(config, 1_000 + number as u64);
        let id = attacker.connect(self.now, SERVER);
        let mut out = Vec::new();
        for _ in 0..6 {
            if attacker.is_established(id) && !finishes {
                return;
            }
            while attacker.poll_transmit(self.now, 1, &mut out).is_some() {
                self.server
                    .handle_datagram(self.now, from, None, &mut std::mem::take(&mut out));
            }
            while let Some(event) = self.server.poll_event() {
                if let Event::Accepted(id) = event {
                    self.accepted.insert(self.server.remote(id).unwrap(), id);
                }
            }
            while let Some(outgoing) = self.server.poll_transmit(self.now, 1, &mut out) {
                let mut bytes = std::mem::take(&mut out);
                if outgoing.destination == from {
                    attacker.handle_datagram(self.now, SERVER, None, &mut bytes);
                } else if outgoing.destination == CLIENT {
                    self.send(1, &bytes);
                }
            }
        }
    }

    /// Has an attacker send everything that it has.
    fn attack(&mut self, from: SocketAddr, attack: Attack) {
        let Some(&id) = self.accepted.get(&from) else {
            return;
        };
        for (packet, (offset, len)) in attack.bytes().enumerate() {
            let mut frames = vec![0x08];
            frames.extend_from_slice(&(offset | 0xc000_0000_0000_0000).to_be_bytes());
            frames.resize(frames.len() + len, 1);
            let packet_number = 100 + packet as u64;
            let bytes = fuzzing::packet_from_peer(&mut self.server, id, packet_number, &frames);
            let Some(mut bytes) = bytes else { return };
            self.server
                .handle_datagram(self.now, from, None, &mut bytes);
        }
    }
}

/// What a siege showed.
#[derive(Debug)]
struct Figures {
    connect_ms: Option<u64>,
    goodput: f64,
    peak_mib: f64,
    after_mib: f64,
}

/// Besieges a server from so many addresses with so many keys, several connections each, and
/// has an honest client come when the attackers hold all they can get.
fn besiege(addresses: usize, keys: usize, attack: Attack) -> Figures {
    let connections = (255 * addresses).min(CONNECTIONS);
    let mut siege = Siege::new();
    let half_open = matches!(attack, Attack::HalfOpen);
    let (tries, each_ms) = if half_open {
        // As fast as the server lets hosts and networks start handshakes, for half a minute.
        let rate = (20 * addresses).min(80 * addresses.min(256));
        ((30 * rate).min(9_000), (rate / 1_000).max(1))
    } else {
        (addresses.max(connections), 16)
    };
    let wait = if half_open {
        1_000 / (20 * addresses).min(1_000)
    } else {
        1
    };
    for number in 0..tries {
        let from = attacker(number, addresses);
        siege.join(number, from, keys, !half_open);
        siege.attack(from, attack);
        if number % each_ms == each_ms - 1 {
            siege.pass(STEP * wait as u32);
        }
    }
    let connect_ms = siege.connect();
    let mut goodput = 0.0;
    for _ in 0..100 {
        goodput += siege.goodput(Duration::from_millis(100)) / 100.0;
        let returns = matches!(attack, Attack::Returning);
        for from in (0..tries)
            .filter(|_| returns)
            .map(|it| attacker(it, addresses))
        {
            if !siege.accepted.contains_key(&from) {
                siege.join(from.port().into(), from, keys, true);
                siege.attack(from, attack);
            }
        }
    }
    let peak_mib = siege.peak / MIB;
    // Handshakes that are not finished are given up after 43 s, silent connections after 30 s.
    siege.pass(Duration::from_secs(36));
    let after_mib = (allocated() - siege.idle) / MIB;
    Figures {
        connect_ms,
        goodput,
        peak_mib,
        after_mib,
    }
}

fn holds(addresses: usize, keys: usize, attacks: &[Attack]) {
    let _alone = alone();
    let mut quiet = Siege::new();
    let connect_ms = quiet.connect().unwrap();
    let goodput = quiet.goodput(Duration::from_secs(10));
    drop(quiet);
    println!("idle server: {connect_ms} ms to connect, {goodput:.2} Mbit/s");
    for &attack in attacks {
        let figures = besiege(addresses, keys, attack);
        println!("{addresses} addresses, {keys} keys, {attack:?}: {figures:.2?}");
        // Two round trips of 40 ms and a second.
        assert!(figures.connect_ms.is_some_and(|ms| ms <= 1_080));
        assert!(figures.goodput >= 0.8 * goodput);
        assert!(figures.peak_mib <= 64.0);
        assert!(figures.after_mib <= 8.0);
    }
}

#[test]
fn one_address_takes_nothing_from_an_honest_client() {
    holds(1, 1, &Attack::ALL);
}

#[test]
fn sixteen_addresses_take_nothing_from_an_honest_client() {
    holds(16, 1, &Attack::ALL);
    holds(16, 16, &[Attack::LastBytes]);
}

#[test]
fn three_hundred_addresses_take_nothing_from_an_honest_client() {
    holds(300, 16, &[Attack::LastBytes, Attack::Gap]);
}

#[test]
#[ignore = "takes minutes"]
fn attackers_that_return_take_nothing_from_an_honest_client() {
    holds(1, 1, &[Attack::Returning]);
    holds(16, 16, &[Attack::Returning]);
}

#[test]
#[ignore = "takes minutes"]
fn four_thousand_addresses_take_nothing_from_an_honest_client() {
    holds(4_096, 1, &Attack::ALL);
    holds(4_096, 16, &Attack::ALL);
}
