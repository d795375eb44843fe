//! A peer of the transport that shares no code with it: ports, handshakes and connections.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use lftp_netem::world::{Host, Socket};

use crate::dice::Dice;
use crate::keys::{Handshake, Keys};
use crate::wire::{self, Frame};

/// Stream bytes in one packet at most.
const CHUNK_BYTES: usize = 1200;

/// Packet numbers that are remembered.
const RECEIVED: usize = 2000;

pub(crate) const MS: u64 = 1_000_000;

/// What hostile peers have done, and what came back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Handshakes that were completed.
    pub(crate) connections: u64,
    /// Transfers that an honest server has granted, or a hostile one has answered.
    pub(crate) transfers: u64,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) mutations: u64,
    pub(crate) packets_back: u64,
    pub(crate) bytes_back: u64,
    /// The most memory that both sides had together, beside what was there before.
    pub(crate) peak_bytes: usize,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.connections += other.connections;
        self.transfers += other.transfers;
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.mutations += other.mutations;
        self.packets_back += other.packets_back;
        self.bytes_back += other.bytes_back;
        self.peak_bytes = self.peak_bytes.max(other.peak_bytes);
    }
}

/// A UDP port of a hostile host.
pub(crate) struct Port {
    pub(crate) host: Host,
    socket: Socket,
    tally: Arc<Mutex<Tally>>,
}

impl Port {
    pub(crate) fn open(host: &Host, port: u16, tally: &Arc<Mutex<Tally>>) -> Self {
        let socket = host.bind(SocketAddr::new(host.ip(), port));
        Self {
            host: host.clone(),
            socket: socket.expect("a free port"),
            tally: Arc::clone(tally),
        }
    }

    /// Another port of the same host.
    pub(crate) fn another(&self) -> Self {
        Self::open(&self.host, 0, &self.tally)
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Tally)) {
        change(&mut self.tally.lock().expect("no panic elsewhere"));
    }

    pub(crate) fn mutated(&self) {
        self.count(|tally| tally.mutations += 1);
    }

    pub(crate) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        self.count(|tally| {
            tally.packets += 1;
            tally.bytes += datagram.len() as u64;
        });
        // An empty datagram, or one that is too long for UDP, cannot be sent.
        let _ = self.socket.try_send(to, 0, datagram, None);
    }

    /// Waits for a datagram, at most for `ns`.
    pub(crate) async fn receive(&self, ns: u64) -> Option<(SocketAddr, Vec<u8>)> {
        let mut timer = pin!(self.host.sleep_ns(ns));
        let mut payload = Vec::new();
        let received = poll_fn(|cx| {
            if let Poll::Ready(received) = self.socket.poll_recv(cx, &mut payload) {
                return Poll::Ready(received.ok());
            }
            timer.as_mut().poll_fire(cx).map(|()| None)
        });
        let source = received.await?.source;
        self.count(|tally| {
            tally.packets_back += 1;
            tally.bytes_back += payload.len() as u64;
        });
        Some((source, payload))
    }

    pub(crate) async fn sleep(&self, ns: u64) {
        self.host.sleep_ns(ns).await;
    }
}

/// An established connection, seen from the hostile side.
pub(crate) struct Connection {
    pub(crate) to: SocketAddr,
    own_id: u32,
    pub(crate) peer_id: u32,
    seal: Keys,
    open: Keys,
    /// Message 3, which a client repeats until the server has answered.
    third: Vec<u8>,
    pub(crate) next_number: u64,
    /// The largest number that was ever sent.
    sent_number: u64,
    pub(crate) largest: Option<u64>,
    /// Numbers that have arrived: others must not be acknowledged.
    received: BTreeSet<u64>,
    unacknowledged: u32,
    responses: Vec<u8>,
    arrived: Vec<u8>,
    /// Stream bytes before `arrived` that were read.
    read: u64,
    early: BTreeMap<u64, Vec<u8>>,
    /// Stream bytes that this side has sent.
    pub(crate) sent: u64,
    pub(crate) is_over: bool,
    /// Stops to acknowledge what arrives.
    pub(crate) is_deaf: bool,
}

impl Connection {
    fn new(to: SocketAddr, ids: (u32, u32), (seal, open): (Keys, Keys), third: Vec<u8>) -> Self {
        Self {
            to,
            own_id: ids.0,
            peer_id: ids.1,
            seal,
            open,
            third,
            next_number: 0,
            sent_number: 0,
            largest: None,
            received: BTreeSet::new(),
            unacknowledged: 0,
            responses: Vec::new(),
            arrived: Vec::new(),
            read: 0,
            early: BTreeMap::new(),
            sent: 0,
            is_over: false,
            is_deaf: false,
        }
    }

    /// Builds a packet of any number and type.
    pub(crate) fn packet_of(&mut self, kind: u8, number: u64, frames: &[u8]) -> Vec<u8> {
        self.sent_number = self.sent_number.max(number);
        let mut header = vec![kind];
        header.extend(self.peer_id.to_be_bytes());
        if kind == wire::ACK {
            header.extend(&self.third);
        }
        wire::put_varint(&mut header, number);
        self.seal.seal(&header, number, frames)
    }

    /// Builds the next packet.
    pub(crate) fn packet(&mut self, frames: &[u8]) -> Vec<u8> {
        let kind = if self.third.is_empty() || self.largest.is_some() {
            wire::DATA
        } else {
            wire::ACK
        };
        let number = self.next_number;
        self.next_number = (number + 1).min(wire::VARINT_MAX);
        self.packet_of(kind, number, frames)
    }

    /// Cuts the next bytes of the stream into packets.
    pub(crate) fn packets(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut packets = Vec::new();
        for chunk in bytes.chunks(CHUNK_BYTES) {
            let frame = wire::stream(self.sent, chunk, false);
            self.sent += chunk.len() as u64;
            packets.push(self.packet(&frame));
        }
        packets
    }

    /// Takes a datagram of the honest side, if it is for this connection.
    pub(crate) fn on_datagram(&mut self, datagram: &[u8]) -> Option<()> {
        let mut rest = datagram;
        let kind = wire::take(&mut rest, 1)?[0];
        if wire::take_id(&mut rest)? != self.own_id {
            return None;
        }
        if kind == wire::ACK {
            wire::take(&mut rest, 64)?;
        } else if kind != wire::DATA {
            self.is_over |= kind == wire::LOST || kind == wire::REFUSE;
            return None;
        }
        let number = wire::take_varint(&mut rest)?;
        let header = &datagram[..datagram.len() - rest.len()];
        let opened = self.open.open(header, number, rest)?;
        self.largest = self.largest.max(Some(number));
        self.received.insert(number);
        if self.received.len() > RECEIVED {
            self.received.pop_first();
        }
        let frames = wire::frames(&opened);
        let frames = frames.unwrap_or_else(|| panic!("not as documented: {opened:02x?}"));
        for frame in frames {
            self.on_frame(&frame);
        }
        Some(())
    }

    fn on_frame(&mut self, frame: &Frame<'_>) {
        match *frame {
            Frame::Acked { largest } => {
                assert!(largest <= self.sent_number, "{largest} was never sent");
            }
            Frame::Other { is_eliciting } => self.unacknowledged += u32::from(is_eliciting),
            Frame::Reset => self.is_over = true,
            Frame::Challenge(token) => {
                self.responses.push(0x0b);
                self.responses.extend(token);
            }
            Frame::Stream { offset, data } => {
                self.unacknowledged += 1;
                self.early.insert(offset, data.to_vec());
            }
        }
        while let Some(first) = self.early.first_entry() {
            let end = self.read + self.arrived.len() as u64;
            if *first.key() > end {
                break;
            }
            let (offset, data) = first.remove_entry();
            let known = usize::try_from(end - offset).unwrap_or(usize::MAX);
            self.arrived.extend(data.get(known..).unwrap_or_default());
        }
    }

    /// Frames that an honest peer would send now.
    pub(crate) fn due(&mut self) -> Option<Vec<u8>> {
        let mut frames = std::mem::take(&mut self.responses);
        if self.unacknowledged >= 2 && !self.is_deaf {
            self.unacknowledged = 0;
            frames.extend(wire::acked_these(&self.received));
        }
        (!frames.is_empty()).then_some(frames)
    }

    /// Raises the peer's window as an application would that reads everything.
    pub(crate) fn window(&self) -> Vec<u8> {
        let end = self.read + self.arrived.len() as u64;
        wire::numbers(0x04, &[end + (8 << 20)])
    }

    /// Takes a message off the stream.
    pub(crate) fn message(&mut self) -> Option<Vec<u8>> {
        let length = u32::from_be_bytes(*self.arrived.first_chunk::<4>()?);
        let end = 4 + usize::try_from(length).ok()?;
        let message = self.arrived.get(4..end)?.to_vec();
        self.skip(end);
        Some(message)
    }

    /// Forgets the first bytes of the stream that have arrived.
    pub(crate) fn skip(&mut self, bytes: usize) {
        let bytes = bytes.min(self.arrived.len());
        self.arrived.drain(..bytes);
        self.read += bytes as u64;
    }

    pub(crate) fn arrived_bytes(&self) -> usize {
        self.arrived.len()
    }
}

/// Sends what is due, and receives for `ns`.
pub(crate) async fn exchange(port: &Port, connection: &mut Connection, ns: u64) {
    let until = port.host.now().plus_nanos(ns);
    loop {
        let left = until.as_nanos().saturating_sub(port.host.now().as_nanos());
        if left == 0 || connection.is_over {
            return;
        }
        let Some((_, datagram)) = port.receive(left).await else {
            return;
        };
        connection.on_datagram(&datagram);
        if let Some(mut frames) = connection.due() {
            frames.extend(connection.window());
            let packet = connection.packet(&frames);
            port.send(connection.to, &packet);
        }
    }
}

/// Waits for a message, at most for `ns`.
pub(crate) async fn message(port: &Port, connection: &mut Connection, ns: u64) -> Option<Vec<u8>> {
    let until = port.host.now().plus_nanos(ns);
    loop {
        if let Some(message) = connection.message() {
            return Some(message);
        }
        if connection.is_over || port.host.now() >= until {
            return None;
        }
        exchange(port, connection, 20 * MS).await;
    }
}

/// Sends bytes of the stream, a window of packets at a time.
pub(crate) async fn write(port: &Port, connection: &mut Connection, bytes: &[u8]) {
    for burst in bytes.chunks(32 * CHUNK_BYTES) {
        for packet in connection.packets(burst) {
            port.send(connection.to, &packet);
        }
        exchange(port, connection, MS).await;
    }
}

/// Connects to an honest server, as an honest client does.
pub(crate) async fn connect(
    port: &Port,
    to: SocketAddr,
    secret: [u8; 32],
    dice: &mut Dice,
) -> Option<Connection> {
    let mut handshake = Handshake::new(true, secret, dice);
    let noise = handshake.write(&wire::parameters(wire::USUAL));
    let own_id = dice.number() as u32 | 1;
    let mut cookie: Option<Vec<u8>> = None;
    for _ in 0..12 {
        port.send(to, &wire::syn(own_id, cookie.as_deref(), &noise));
        let Some((_, datagram)) = port.receive(200 * MS).await else {
            continue;
        };
        let mut rest = &datagram[..];
        let kind = wire::take(&mut rest, 1)?[0];
        if wire::take_id(&mut rest)? != own_id {
            continue;
        }
        match kind {
            wire::COOKIE => {
                wire::take(&mut rest, 8)?;
                cookie = Some(wire::take(&mut rest, 40)?.to_vec());
            }
            wire::SYN_ACK => {
                let payload = handshake.read(rest)?;
                let peer_id = wire::take_id(&mut &payload[..])?;
                let third = handshake.write(&[]);
                let (seal, open) = handshake.split();
                let mut connection = Connection::new(to, (own_id, peer_id), (seal, open), third);
                let ping = connection.packet(&[0x01]);
                port.send(to, &ping);
                port.count(|tally| tally.connections += 1);
                return Some(connection);
            }
            _ => return None,
        }
    }
    None
}

/// A handshake that a hostile server has answered.
pub(crate) struct Half {
    handshake: Handshake,
    client_id: u32,
    own_id: u32,
    pub(crate) syn_ack: Vec<u8>,
}

impl Half {
    /// Answers a SYN with the given parameters.
    pub(crate) fn answer(
        syn: &[u8],
        secret: [u8; 32],
        parameters: [u64; 4],
        dice: &mut Dice,
    ) -> Option<Self> {
        let mut rest = syn;
        if wire::take(&mut rest, 1)?[0] != wire::SYN {
            return None;
        }
        wire::take_id(&mut rest)?;
        let client_id = wire::take_id(&mut rest)?;
        if wire::take(&mut rest, 1)?[0] != 0 {
            wire::take(&mut rest, 40)?;
        }
        let length = usize::try_from(wire::take_varint(&mut rest)?).ok()?;
        let mut handshake = Handshake::new(false, secret, dice);
        handshake.read(wire::take(&mut rest, length)?)?;
        let own_id = dice.number() as u32 | 1;
        let mut payload = own_id.to_be_bytes().to_vec();
        payload.extend(dice.bytes(16));
        payload.extend(wire::parameters(parameters));
        let mut syn_ack = vec![wire::SYN_ACK];
        syn_ack.extend(client_id.to_be_bytes());
        syn_ack.extend(handshake.write(&payload));
        Some(Self {
            handshake,
            client_id,
            own_id,
            syn_ack,
        })
    }

    /// The first eight bytes of the client's ephemeral key, which answers to a SYN echo.
    pub(crate) fn echo(syn: &[u8]) -> Option<(u32, [u8; 8])> {
        let mut rest = syn.get(5..)?;
        let client_id = wire::take_id(&mut rest)?;
        if wire::take(&mut rest, 1)?[0] != 0 {
            wire::take(&mut rest, 40)?;
        }
        wire::take_varint(&mut rest)?;
        Some((client_id, wire::take(&mut rest, 8)?.try_into().ok()?))
    }

    pub(crate) fn is_for(&self, ack: &[u8]) -> bool {
        ack.first() == Some(&wire::ACK) && ack.get(1..5) == Some(&self.own_id.to_be_bytes())
    }

    /// Completes the handshake with the client's first ACK packet, and takes its frames.
    pub(crate) fn complete(mut self, from: SocketAddr, ack: &[u8]) -> Option<Connection> {
        self.handshake.read(ack.get(5..69)?)?;
        let (from_client, from_server) = self.handshake.split();
        let ids = (self.own_id, self.client_id);
        let keys = (from_server, from_client);
        let mut connection = Connection::new(from, ids, keys, Vec::new());
        connection.on_datagram(ack)?;
        Some(connection)
    }
}
