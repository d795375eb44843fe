//! Two endpoints, the two links of lftp-netem between them, and an application at each end.
//!
//! The links decide what the network does to a datagram. What only a test can decide (this very
//! datagram is lost, that byte is changed) happens before a datagram enters its link.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lftp_netem::Direction;
use lftp_netem::link::Link;
use lftp_netem::packet::Packet;
use lftp_netem::profile::{DirectionProfile, NetworkProfile};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::proto::connection::Connection;
use crate::proto::{ConnectionError, ConnectionId, Endpoint, Event};
use crate::wire::{self, Header, Reader};
use crate::{Config, Ecn, Stats, Time};

pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

/// The bound of a run's steps: no run takes this many unless it makes no progress.
const MAX_STEPS: u64 = 2_000_000;

/// The settings of one direction. Shares are of packets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    pub(super) delay: Duration,
    /// Bytes of UDP payload a second, behind an unlimited queue.
    pub(super) rate: Option<u64>,
    /// Uniform extra delay of up to this; packets overtake each other.
    pub(super) jitter: Duration,
    pub(super) loss: f64,
    pub(super) duplicate: f64,
    /// A flipped bit anywhere in the datagram.
    pub(super) corrupt: f64,
    /// Periods, from the start of the run, in which everything sent is lost.
    pub(super) blackouts: Vec<(Duration, Duration)>,
    /// The largest datagram that passes.
    pub(super) max_bytes: usize,
    /// Whether ECN marks pass.
    pub(super) carries_ecn: bool,
}

impl Network {
    /// 20 ms and nothing bad.
    pub(super) const fn clean() -> Self {
        Self {
            delay: Duration::from_millis(20),
            rate: None,
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            corrupt: 0.0,
            blackouts: Vec::new(),
            max_bytes: usize::MAX,
            carries_ecn: true,
        }
    }

    pub(super) fn lossy(loss: f64) -> Self {
        Self {
            loss,
            ..Self::clean()
        }
    }

    /// A link's profile, whose schedule starts at `now`.
    fn profile(&self, now: Time) -> DirectionProfile {
        const HEADERS: usize = lftp_netem::packet::IPV4_UDP_HEADER_BYTES as usize;
        let percent = |share: f64| format!("\"{:.8}%\"", share * 100.0);
        let ns = |duration: Duration| format!("\"{}ns\"", duration.as_nanos());
        let mut lines = vec![
            "loss_position = \"before-queue\"".to_owned(),
            // netem's jitter is to either side of the delay.
            format!("delay = {}", ns(self.delay + self.jitter / 2)),
            format!("jitter = {}", ns(self.jitter / 2)),
            format!("loss = {}", percent(self.loss)),
            format!("duplicate = {}", percent(self.duplicate)),
            format!("corrupt = {}", percent(self.corrupt)),
            format!("mtu = \"{}B\"", self.max_bytes.min(1 << 20) + HEADERS),
        ];
        if let Some(rate) = self.rate {
            lines.push(format!("rate = \"{}bit\"", rate * 8));
            lines.push(format!("overhead = \"-{HEADERS}B\""));
            lines.push("queue = \"1000000p\"".to_owned());
        }
        let since = now.saturating_since(Time::ZERO);
        let mut blackouts = self.blackouts.clone();
        blackouts.sort_unstable();
        let steps = blackouts.iter().filter_map(|(from, to)| {
            let (from, to) = (from.saturating_sub(since), to.saturating_sub(since));
            let step = format!("{{ at = {}, blackout_until = {} }}", ns(from), ns(to));
            (from < to).then_some(step)
        });
        let steps: Vec<String> = steps.collect();
        lines.push(format!("schedule = [{}]", steps.join(", ")));
        let profile = NetworkProfile::from_toml_str(&lines.join("\n"));
        profile.expect("a valid network").forward()
    }
}

/// An endpoint and its application, which writes `outgoing`, finishes and reads.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) endpoint: Endpoint,
    pub(super) addr: SocketAddr,
    pub(super) id: Option<ConnectionId>,
    pub(super) outgoing: Bytes,
    /// Set when the FIN follows the last byte.
    pub(super) finishes: bool,
    finished: bool,
    pub(super) reads: bool,
    /// Set when the application drops the connection as soon as everything is sent and read.
    pub(super) leaves_when_done: bool,
    pub(super) incoming: Vec<u8>,
    pub(super) events: Vec<Event>,
    /// Set once the connection has been finished, or read to its end, at any time.
    pub(super) was_finished: bool,
    pub(super) was_read_out: bool,
}

impl Side {
    pub(super) fn connection(&self) -> Option<&Connection> {
        self.endpoint.connection(self.id?)
    }

    pub(super) fn stats(&self) -> Stats {
        self.id
            .map_or_else(Stats::default, |id| self.endpoint.stats(id))
    }

    pub(super) fn error(&self) -> Option<ConnectionError> {
        self.endpoint.error(self.id?)
    }

    pub(super) fn has_event(&self, event: impl Fn(ConnectionId) -> Event) -> bool {
        self.id.is_some_and(|id| self.events.contains(&event(id)))
    }

    fn act(&mut self, now: Time) {
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::Accepted(id) = event {
                self.id.get_or_insert(id);
            }
            self.events.push(event);
        }
        let Some(id) = self.id.filter(|&id| self.endpoint.is_established(id)) else {
            return;
        };
        while self.reads
            && let Some(bytes) = self.endpoint.read(id, usize::MAX)
        {
            self.incoming.extend_from_slice(&bytes);
        }
        if self.endpoint.error(id).is_some() {
            return;
        }
        let room = self.endpoint.write_room(id).min(self.outgoing.len() as u64) as usize;
        if room > 0 {
            self.endpoint.write(id, self.outgoing.split_to(room));
        }
        if self.finishes && !self.finished && self.outgoing.is_empty() {
            self.finished = true;
            self.endpoint.finish(id);
        }
        self.was_finished |= self.endpoint.is_finished(id);
        self.was_read_out |= self.endpoint.is_read_out(id);
        if self.leaves_when_done && self.was_finished && self.was_read_out {
            self.leaves_when_done = false;
            self.endpoint.abandon(now, id);
        }
    }
}

/// A datagram of one of the sides.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) from: usize,
    pub(super) bytes: Vec<u8>,
    /// The plaintext frames.
    frames: Vec<u8>,
    ecn: Option<Ecn>,
}

impl Datagram {
    /// Its header and frames; `None` when it was damaged.
    pub(super) fn parse(&self) -> Option<(Header<'_>, Reader<'_>)> {
        let (header, _) = Header::decode(&self.bytes).ok()?;
        Some((header, Reader::new(&self.frames)))
    }

    pub(super) fn has_frame(&self, is: impl Fn(&wire::Frame<'_>) -> bool) -> bool {
        self.parse().is_some_and(|(header, frames)| {
            matches!(header, Header::Ack { .. } | Header::Data { .. })
                && wire::Frames::new(frames).flatten().any(|frame| is(&frame))
        })
    }
}

/// Returns `true` for a datagram to be lost.
type Filter = Box<dyn FnMut(&Datagram) -> bool>;

/// Changes a datagram's bytes.
type Tamper = Box<dyn FnMut(&mut Vec<u8>)>;

pub(super) struct Pair {
    pub(super) now: Time,
    pub(super) sides: [Side; 2],
    /// By the sending side. Tests may change them while the pair runs.
    pub(super) networks: [Network; 2],
    /// By the sending side, and the settings that each has now.
    links: [Link; 2],
    applied: [Network; 2],
    pub(super) lose_if: Filter,
    /// Changes a datagram on its way.
    pub(super) tamper: Tamper,
    /// Bytes sent to addresses at which there is no endpoint.
    strays: BTreeMap<SocketAddr, u64>,
    steps: u64,
}

const fn to_netem(time: Time) -> lftp_netem::Time {
    lftp_netem::Time::from_nanos(time.as_nanos())
}

fn stream_of(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

impl Pair {
    /// A listening server and a client that has started to connect.
    pub(super) fn new(seed: u64, configs: [Config; 2], networks: [Network; 2]) -> Self {
        let mut index = 0;
        let sides = configs.map(|config| {
            let mut rng = stream_of(seed, 10 + index);
            let random = Box::new(move |bytes: &mut [u8]| rng.fill_bytes(bytes));
            index += 1;
            Side {
                endpoint: Endpoint::new(Arc::new(config), random),
                addr: SocketAddr::from(([10, 0, 0, index as u8], 3154)),
                id: None,
                outgoing: Bytes::new(),
                finishes: false,
                finished: false,
                reads: true,
                leaves_when_done: false,
                incoming: Vec::new(),
                events: Vec::new(),
                was_finished: false,
                was_read_out: false,
            }
        });
        let directions = [Direction::Forward, Direction::Reverse];
        let links = std::array::from_fn(|from| {
            Link::new(&networks[from].profile(Time::ZERO), seed, directions[from])
        });
        let mut pair = Self {
            now: Time::ZERO,
            sides,
            links,
            applied: networks.clone(),
            networks,
            lose_if: Box::new(|_| false),
            tamper: Box::new(|_| {}),
            strays: BTreeMap::new(),
            steps: 0,
        };
        pair.sides[SERVER].endpoint.set_listening(true);
        pair.sides[CLIENT].id = Some(pair.connect());
        pair
    }

    /// The defaults over the same network both ways, connected.
    pub(super) fn connected(seed: u64, network: &Network) -> Self {
        Self::connected_with(seed, &Config::default(), network)
    }

    pub(super) fn connected_with(seed: u64, config: &Config, network: &Network) -> Self {
        let mut pair = Self::new(
            seed,
            [config.clone(), config.clone()],
            [network.clone(), network.clone()],
        );
        assert!(pair.run(40, Self::is_connected), "connects");
        pair
    }

    pub(super) fn is_connected(&self) -> bool {
        self.sides[SERVER].id.is_some() && self.sides[CLIENT].has_event(Event::Established)
    }

    /// One more connection from the client's endpoint.
    pub(super) fn connect(&mut self) -> ConnectionId {
        let remote = self.sides[SERVER].addr;
        self.sides[CLIENT].endpoint.connect(self.now, remote)
    }

    /// Gives a side these bytes to send, the FIN behind them.
    pub(super) fn send(&mut self, side: usize, bytes: &Bytes) {
        self.sides[side].outgoing = bytes.clone();
        self.sides[side].finishes = true;
    }

    /// Runs until `is_done`, for at most `secs` seconds from now.
    pub(super) fn run(&mut self, secs: u64, is_done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + Duration::from_secs(secs);
        self.settle();
        while !is_done(self) {
            match self.next_time() {
                Some(next) if next <= end => self.step(next),
                _ => {
                    self.now = end;
                    return false;
                }
            }
        }
        true
    }

    /// Runs for `duration`.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.settle();
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.step(next);
        }
        self.now = end;
        self.settle();
    }

    fn next_time(&self) -> Option<Time> {
        let wakeups = self.links.iter().map(Link::next_wakeup);
        let wakeups = wakeups.map(|at| at.map(|at| Time::from_nanos(at.as_nanos())));
        let timeouts = self.sides.iter().map(|side| side.endpoint.poll_timeout());
        timeouts.chain(wakeups).flatten().min()
    }

    fn step(&mut self, at: Time) {
        self.steps += 1;
        assert!(self.steps < MAX_STEPS, "no progress at {:?}", self.now);
        self.now = self.now.max(at);
        for from in [CLIENT, SERVER] {
            while let Some(packet) = self.links[from].pop(to_netem(self.now)) {
                let ecn = ecn_of(packet.ecn);
                self.receive(from, ecn, packet.payload);
            }
        }
        for side in &mut self.sides {
            side.endpoint.handle_timeout(self.now);
        }
        self.settle();
        if self.steps.is_multiple_of(16) {
            self.check_conservation();
        }
    }

    /// Bytes that a side sent to an address without an endpoint.
    pub(super) fn bytes_to(&self, addr: SocketAddr) -> u64 {
        self.strays.get(&addr).copied().unwrap_or_default()
    }

    /// Datagrams that the links have corrupted.
    pub(super) fn corrupted(&self) -> u64 {
        let counters = self.links.iter().map(Link::counters);
        counters.map(|counters| counters.corrupted).sum()
    }

    /// Delivers a datagram to the other side at once, past the network.
    pub(super) fn deliver(&mut self, datagram: &Datagram) {
        self.receive(datagram.from, datagram.ecn, datagram.bytes.clone());
    }

    fn receive(&mut self, from: usize, ecn: Option<Ecn>, mut bytes: Vec<u8>) {
        let addr = self.sides[from].addr;
        let to = &mut self.sides[1 - from].endpoint;
        to.handle_datagram(self.now, addr, ecn, &mut bytes);
    }

    /// Delivers a datagram that `from` could have sent to the other side.
    pub(super) fn forge(&mut self, from: usize, header: &Header<'_>, frames: &[u8]) {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        let header_bytes = bytes.len();
        if let Header::Data {
            destination,
            packet_number,
            ..
        } = *header
        {
            bytes.extend_from_slice(frames);
            let to = self.sides[1 - from].endpoint.connection_mut(destination);
            if let Some(keys) = to.and_then(Connection::keys_mut) {
                keys.twin.0.seal(&mut bytes, 0, header_bytes, packet_number);
            }
        }
        self.inject(from, bytes);
    }

    /// Delivers any bytes to the other side as if `from` had sent them.
    pub(super) fn inject(&mut self, from: usize, bytes: Vec<u8>) {
        self.deliver(&Datagram {
            from,
            bytes,
            frames: Vec::new(),
            ecn: None,
        });
        self.settle();
    }

    /// The plaintext frames of a datagram that a side has just sent.
    fn decrypt(&mut self, from: usize, datagram: &[u8]) -> Vec<u8> {
        let Ok((header, header_bytes)) = Header::decode(datagram) else {
            panic!("a side sends what it could not decode");
        };
        let (destination, number, phase) = match header {
            Header::Ack {
                destination,
                packet_number,
                ..
            } => (destination, packet_number, false),
            Header::Data {
                destination,
                packet_number,
                phase,
            } => (destination, packet_number, phase),
            _ => return Vec::new(),
        };
        let connection = self.sides[from].endpoint.connection_to(destination);
        let keys = connection.and_then(Connection::keys_mut);
        let opener = &mut keys.expect("a side that encrypts has keys").twin.1;
        let mut copy = datagram.to_vec();
        let frames = opener.open(&mut copy, header_bytes, number, phase);
        frames.expect("opens").to_vec()
    }

    /// Lets the applications act and the endpoints send what they have.
    pub(super) fn settle(&mut self) {
        self.apply_networks();
        for from in [CLIENT, SERVER] {
            self.sides[from].act(self.now);
            let mut out = Vec::new();
            while let Some(outgoing) = self.sides[from]
                .endpoint
                .poll_transmit(self.now, 8, &mut out)
            {
                assert!(outgoing.segment_bytes > 0 && !out.is_empty());
                let to = self.sides[1 - from].addr;
                if outgoing.destination != to {
                    *self.strays.entry(outgoing.destination).or_default() += out.len() as u64;
                    out.chunks(outgoing.segment_bytes).for_each(|bytes| {
                        self.decrypt(from, bytes);
                    });
                    out.clear();
                    continue;
                }
                for bytes in out.chunks(outgoing.segment_bytes) {
                    let frames = self.decrypt(from, bytes);
                    let (bytes, ecn) = (bytes.to_vec(), outgoing.ecn);
                    self.send_datagram(Datagram {
                        from,
                        bytes,
                        frames,
                        ecn,
                    });
                }
                out.clear();
            }
        }
    }

    /// Sends a datagram into its link.
    fn send_datagram(&mut self, mut datagram: Datagram) {
        if (self.lose_if)(&datagram) {
            return;
        }
        (self.tamper)(&mut datagram.bytes);
        let from = datagram.from;
        let marks = self.networks[from].carries_ecn;
        let ecn = datagram.ecn.filter(|_| marks).map_or(0, ecn_bits);
        let [source, destination] = [from, 1 - from].map(|side| self.sides[side].addr);
        let packet = Packet::new(source, destination, ecn, datagram.bytes);
        self.links[from].push(to_netem(self.now), packet);
    }

    /// Gives the links the settings that a test has changed.
    fn apply_networks(&mut self) {
        for from in [CLIENT, SERVER] {
            if self.networks[from] != self.applied[from] {
                let profile = self.networks[from].profile(self.now);
                self.links[from].set_profile(to_netem(self.now), &profile);
                self.applied[from] = self.networks[from].clone();
            }
        }
    }

    fn check_conservation(&self) {
        for connection in self.sides.iter().filter_map(Side::connection) {
            connection.assert_conserved();
        }
    }
}

/// The ECN field of RFC 3168 §5.
const fn ecn_bits(ecn: Ecn) -> u8 {
    match ecn {
        Ecn::Ect1 => 0b01,
        Ecn::Ect0 => 0b10,
        Ecn::Ce => 0b11,
    }
}

const fn ecn_of(bits: u8) -> Option<Ecn> {
    match bits & 0b11 {
        0b01 => Some(Ecn::Ect1),
        0b10 => Some(Ecn::Ect0),
        0b11 => Some(Ecn::Ce),
        _ => None,
    }
}

/// Incompressible bytes that follow from `seed`.
pub(super) fn noise(seed: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    stream_of(seed, 99).fill_bytes(&mut bytes);
    bytes.into()
}
