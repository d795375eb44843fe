//! Two endpoints, the network between them, and an application at each end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::proto::connection::Connection;
use crate::proto::{ConnectionError, ConnectionId, Endpoint, Event};
use crate::wire::{self, Header, Reader};
use crate::{Config, Ecn, Stats, Time};

pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

/// No run takes this many steps unless it turns in circles.
const MAX_STEPS: u64 = 2_000_000;

/// One direction. Shares are of packets.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) delay: Duration,
    /// Bytes a second; what comes faster waits. The queue has no end.
    pub(super) rate: Option<u64>,
    /// Uniform extra delay of up to this; packets overtake each other.
    pub(super) jitter: Duration,
    pub(super) loss: f64,
    pub(super) duplicate: f64,
    /// A flipped bit anywhere in the datagram.
    pub(super) corrupt: f64,
    /// Times at which nothing that is sent arrives.
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

    fn is_dark(&self, now: Time) -> bool {
        let since = now.saturating_since(Time::ZERO);
        self.blackouts
            .iter()
            .any(|(from, to)| (*from..*to).contains(&since))
    }
}

/// An endpoint and what its application does: writes `outgoing`, finishes, reads.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) endpoint: Endpoint,
    pub(super) addr: SocketAddr,
    pub(super) id: Option<ConnectionId>,
    pub(super) outgoing: Bytes,
    /// Whether the FIN follows the last byte.
    pub(super) finishes: bool,
    finished: bool,
    pub(super) reads: bool,
    /// Lets go of the connection as soon as all is sent and read.
    pub(super) leaves_when_done: bool,
    pub(super) incoming: Vec<u8>,
    pub(super) events: Vec<Event>,
    /// Was seen to be finished, or read out, at some time.
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

    pub(super) fn heard(&self, event: impl Fn(ConnectionId) -> Event) -> bool {
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

/// A datagram under way.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    pub(super) from: usize,
    pub(super) bytes: Vec<u8>,
    /// The frames, as they were before they were sealed.
    frames: Vec<u8>,
    ecn: Option<Ecn>,
}

impl Datagram {
    /// What is in it; `None` when it was damaged.
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

/// Says of each datagram whether it is lost.
type Filter = Box<dyn FnMut(&Datagram) -> bool>;

/// Changes a datagram's bytes.
type Tamper = Box<dyn FnMut(&mut Vec<u8>)>;

pub(super) struct Pair {
    pub(super) now: Time,
    pub(super) sides: [Side; 2],
    /// By the side that sends.
    pub(super) networks: [Network; 2],
    pub(super) lose_if: Filter,
    /// Changes a datagram on its way.
    pub(super) tamper: Tamper,
    pub(super) corrupted: u64,
    /// What went to addresses where nobody is.
    astray: BTreeMap<SocketAddr, u64>,
    under_way: BTreeMap<(Time, u64), Datagram>,
    rngs: [ChaCha8Rng; 2],
    busy_until: [Time; 2],
    sent: u64,
    steps: u64,
}

fn stream_of(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

impl Pair {
    /// A listening server and a client whose first SYN is under way.
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
        let mut pair = Self {
            now: Time::ZERO,
            sides,
            networks,
            lose_if: Box::new(|_| false),
            tamper: Box::new(|_| {}),
            corrupted: 0,
            astray: BTreeMap::new(),
            under_way: BTreeMap::new(),
            rngs: [stream_of(seed, 1), stream_of(seed, 2)],
            busy_until: [Time::ZERO; 2],
            sent: 0,
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
        self.sides[SERVER].id.is_some() && self.sides[CLIENT].heard(Event::Established)
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

    /// Runs until it is so, for at most that many seconds from now.
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

    /// Lets that much time pass.
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
        let arrival = self.under_way.keys().next().map(|(at, _)| *at);
        let timeouts = self.sides.iter().map(|side| side.endpoint.poll_timeout());
        timeouts.chain([arrival]).flatten().min()
    }

    fn step(&mut self, at: Time) {
        self.steps += 1;
        assert!(self.steps < MAX_STEPS, "turns in circles at {:?}", self.now);
        self.now = self.now.max(at);
        while let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= self.now
        {
            let datagram = entry.remove();
            self.deliver(&datagram);
        }
        for side in &mut self.sides {
            side.endpoint.handle_timeout(self.now);
        }
        self.settle();
        if self.steps.is_multiple_of(16) {
            self.check_conservation();
        }
    }

    /// Bytes that a side sent to an address where nobody is.
    pub(super) fn bytes_to(&self, addr: SocketAddr) -> u64 {
        self.astray.get(&addr).copied().unwrap_or_default()
    }

    /// Hands a datagram to whom it is for, at once.
    pub(super) fn deliver(&mut self, datagram: &Datagram) {
        let from = self.sides[datagram.from].addr;
        let to = &mut self.sides[1 - datagram.from].endpoint;
        to.handle_datagram(self.now, from, datagram.ecn, &mut datagram.bytes.clone());
    }

    /// A datagram that a side could have sent, handed to the other.
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
            if let Some(keys) = to.and_then(|to| to.keys.as_mut()) {
                keys.twin.0.seal(&mut bytes, 0, header_bytes, packet_number);
            }
        }
        self.inject(from, bytes);
    }

    /// Any bytes at all, handed to the other side as if `from` had sent them.
    pub(super) fn inject(&mut self, from: usize, bytes: Vec<u8>) {
        self.deliver(&Datagram {
            from,
            bytes,
            frames: Vec::new(),
            ecn: None,
        });
        self.settle();
    }

    /// What a side has just sealed.
    fn look_into(&mut self, from: usize, datagram: &[u8]) -> Vec<u8> {
        let Ok((header, header_bytes)) = Header::decode(datagram) else {
            panic!("a side sends what it could not read");
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
        let keys = connection.and_then(|connection| connection.keys.as_mut());
        let opener = &mut keys.expect("who seals has keys").twin.1;
        let mut copy = datagram.to_vec();
        let frames = opener.open(&mut copy, header_bytes, number, phase);
        frames.expect("opens").to_vec()
    }

    /// The applications act and the endpoints send what they have.
    pub(super) fn settle(&mut self) {
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
                    *self.astray.entry(outgoing.destination).or_default() += out.len() as u64;
                    out.chunks(outgoing.segment_bytes).for_each(|bytes| {
                        self.look_into(from, bytes);
                    });
                    out.clear();
                    continue;
                }
                for bytes in out.chunks(outgoing.segment_bytes) {
                    let frames = self.look_into(from, bytes);
                    let (bytes, ecn) = (bytes.to_vec(), outgoing.ecn);
                    self.carry(Datagram {
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

    fn carry(&mut self, mut datagram: Datagram) {
        let network = &self.networks[datagram.from];
        let rng = &mut self.rngs[datagram.from];
        if network.is_dark(self.now)
            || datagram.bytes.len() > network.max_bytes
            || rng.random::<f64>() < network.loss
            || (self.lose_if)(&datagram)
        {
            return;
        }
        let takes = network
            .rate
            .map_or(0, |rate| datagram.bytes.len() as u64 * 1_000_000_000 / rate);
        let passed = self.busy_until[datagram.from].max(self.now) + Duration::from_nanos(takes);
        self.busy_until[datagram.from] = passed;
        if !network.carries_ecn {
            datagram.ecn = None;
        }
        let copies = 1 + usize::from(rng.random::<f64>() < network.duplicate);
        for _ in 0..copies {
            let mut copy = datagram.clone();
            if rng.random::<f64>() < network.corrupt {
                let bit = rng.random_range(0..8 * copy.bytes.len());
                copy.bytes[bit / 8] ^= 1 << (bit % 8);
                self.corrupted += 1;
            }
            (self.tamper)(&mut copy.bytes);
            let jitter = network.jitter.mul_f64(rng.random::<f64>());
            self.sent += 1;
            self.under_way
                .insert((passed + network.delay + jitter, self.sent), copy);
        }
    }

    fn check_conservation(&self) {
        for connection in self.sides.iter().filter_map(Side::connection) {
            connection.sent.assert_conserved();
            let flow = &connection.send;
            assert!(flow.acked_prefix() <= flow.sent() && flow.sent() <= flow.end());
            assert!(connection.receive.contiguous_end() <= connection.receive_window.offered());
        }
    }
}

/// Bytes that are nowhere the same.
pub(super) fn noise(seed: u64, len: usize) -> Bytes {
    let mut bytes = vec![0; len];
    stream_of(seed, 99).fill_bytes(&mut bytes);
    bytes.into()
}
