//! One UDP address: its connections, their deadlines, and the datagrams that belong to none.
//!
//! Change here what happens before there is a connection and between connections: which
//! datagram belongs to which, what is admitted, what peers can make this side hold. What
//! happens within one belongs in [`connection`](super::connection), on which this room relies;
//! it touches a connection by its methods only.
//!
//! | file | content |
//! |---|---|
//! | [`listen`] | admission: SYNs answered or refused, half-open handshakes, cookies |
//! | [`dispatch`] | datagrams in: the connection each belongs to |
//! | [`event`] | events and datagrams handed to the caller |
//! | [`metrics`] | what an endpoint holds, counted |

mod dispatch;
mod event;
mod listen;
mod metrics;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::Config;
use crate::crypto::cookie::CookieJar;
use crate::crypto::noise::Initiator;
use crate::crypto::stateless_reset::ResetKey;
use crate::crypto::{Identity, PublicKey};
use crate::proto::connection::{
    Connection, ConnectionError, FlowId, HalfOpen, Stats, SynKey, syn_payload,
};
use crate::{Ecn, Time};

pub use self::event::{Event, Outgoing};
pub use self::metrics::EndpointMetrics;

/// Names a connection within its endpoint: this side's random id.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u32);

/// Fills a slice with randomness.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// One UDP address and its connections.
pub struct Endpoint {
    pub(super) config: Arc<Config>,
    random: Random,
    pub(super) identity: Identity,
    /// Made when the first cookie is.
    pub(super) cookies: Option<CookieJar>,
    /// Made when the first SYN is answered, or the first packet of a lost connection.
    pub(super) resets: Option<ResetKey>,
    pub(super) local_port: u16,
    pub(super) listening: bool,
    pub(super) connections: BTreeMap<u32, Connection>,
    pub(super) half_open: BTreeMap<u32, HalfOpen>,
    /// Which handshake or accepted connection a repeated SYN belongs to.
    pub(super) by_client: BTreeMap<SynKey, u32>,
    deadlines: BTreeSet<(Time, u32)>,
    armed: BTreeMap<u32, Time>,
    /// Connections that may have something to send.
    dirty: VecDeque<u32>,
    pub(super) replies: VecDeque<(SocketAddr, Vec<u8>)>,
    pub(super) events: VecDeque<Event>,
    pub(super) dropped_datagrams: u64,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("connections", &self.connections.len())
            .field("half_open", &self.half_open.len())
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint that only connects. Ids and keys come from `random`.
    pub fn new(config: Arc<Config>, mut random: Random) -> Self {
        let identity = config.identity.clone();
        Self {
            identity: identity.unwrap_or_else(|| Identity::generate(&mut random)),
            cookies: None,
            resets: None,
            local_port: 0,
            config,
            random,
            listening: false,
            connections: BTreeMap::new(),
            half_open: BTreeMap::new(),
            by_client: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            armed: BTreeMap::new(),
            dirty: VecDeque::new(),
            replies: VecDeque::new(),
            events: VecDeque::new(),
            dropped_datagrams: 0,
        }
    }

    /// Accepts new connections, or refuses them.
    pub const fn set_listening(&mut self, listening: bool) {
        self.listening = listening;
    }

    /// Says which port this endpoint has. One that listens there later, with the same key, can
    /// tell the clients of this one that their connections are lost.
    pub fn set_local_port(&mut self, port: u16) {
        self.local_port = port;
        self.resets = None;
    }

    /// Begins a handshake with `remote`.
    pub fn connect(&mut self, now: Time, remote: SocketAddr) -> ConnectionId {
        let id = self.unused_id();
        let seed = self.random_seed();
        let noise = Initiator::new(&self.identity, &seed, &syn_payload(&self.config));
        let flow = FlowId {
            is_client: true,
            id,
            remote,
        };
        let connection = Connection::connect(now, Arc::clone(&self.config), flow, noise);
        self.connections.insert(id, connection);
        self.touch(id);
        ConnectionId(id)
    }

    fn forget(&mut self, id: u32) {
        self.arm(id, None);
        if let Some(connection) = self.connections.remove(&id)
            && let Some(key) = connection.syn_key
        {
            self.by_client.remove(&key);
        }
    }

    // Datagrams out.

    /// Appends to `out` datagrams for one destination, at most `max_segments` of them.
    pub fn poll_transmit(
        &mut self,
        now: Time,
        max_segments: usize,
        out: &mut Vec<u8>,
    ) -> Option<Outgoing> {
        if let Some((destination, datagram)) = self.replies.pop_front() {
            out.extend_from_slice(&datagram);
            return Some(Outgoing {
                destination,
                segment_bytes: datagram.len(),
                ecn: None,
            });
        }
        while let Some(&id) = self.dirty.front() {
            if let Some(connection) = self.connections.get_mut(&id) {
                if let Some(burst) = connection.poll_transmit(now, max_segments, out) {
                    if connection.finds_room() {
                        self.events.push_back(Event::Writable(ConnectionId(id)));
                    }
                    return Some(Outgoing {
                        destination: burst.destination,
                        segment_bytes: burst.segment_bytes,
                        ecn: burst.ect0.then_some(Ecn::Ect0),
                    });
                }
                let deadline = connection.poll_timeout();
                if connection.is_drained() && connection.abandoned {
                    self.forget(id);
                } else {
                    self.arm(id, deadline);
                }
            }
            self.dirty.pop_front();
        }
        None
    }

    // Time.

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.first().map(|&(at, _)| at)
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(&(at, id)) = self.deadlines.first() {
            if at > now {
                break;
            }
            self.arm(id, None);
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.handle_timeout(now);
                self.after(id);
            } else if self
                .half_open
                .get(&id)
                .is_some_and(|half| !half.retry.is_exhausted())
            {
                self.answer_syn(now, id);
            } else {
                self.forget_half_open(id);
            }
        }
    }

    pub(super) fn arm(&mut self, id: u32, at: Option<Time>) {
        let before = match at {
            Some(at) => self.armed.insert(id, at),
            None => self.armed.remove(&id),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.deadlines.remove(&(before, id));
        }
        if let Some(at) = at {
            self.deadlines.insert((at, id));
        }
    }

    /// A connection has changed: it may have something to send and something to tell.
    pub(super) fn after(&mut self, id: u32) {
        self.touch(id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let news = connection.take_news();
        let id = ConnectionId(id);
        let is_client = connection.flow.is_client;
        for (told, event) in [
            (news.established && is_client, Event::Established(id)),
            (news.readable, Event::Readable(id)),
            (news.writable, Event::Writable(id)),
            (news.finished, Event::Finished(id)),
            (news.closed, Event::Closed(id)),
        ] {
            if told {
                self.events.push_back(event);
            }
        }
    }

    fn touch(&mut self, id: u32) {
        if self.dirty.back() != Some(&id) {
            self.dirty.push_back(id);
        }
    }

    // What the application does, and hears.

    /// The next thing the application should hear of.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Room in the send buffer, bytes.
    pub fn write_room(&self, id: ConnectionId) -> u64 {
        self.connections
            .get(&id.0)
            .map_or(0, Connection::write_room)
    }

    /// Takes bytes to send. The caller has seen that there is room; one write may go beyond.
    pub fn write(&mut self, id: ConnectionId, bytes: Bytes) {
        self.with(id, |connection| connection.write(bytes));
    }

    /// The next bytes in order, at most `max`.
    pub fn read(&mut self, id: ConnectionId, max: usize) -> Option<Bytes> {
        let connection = self.connections.get_mut(&id.0)?;
        let bytes = connection.read(max);
        if connection.wanted.rwnd {
            self.touch(id.0);
        }
        bytes
    }

    /// Whether every byte up to the peer's FIN has been read.
    pub fn is_read_out(&self, id: ConnectionId) -> bool {
        self.connections
            .get(&id.0)
            .is_some_and(Connection::is_read_out)
    }

    /// No more will be written: the FIN goes behind the last byte.
    pub fn finish(&mut self, id: ConnectionId) {
        self.with(id, Connection::finish);
    }

    /// Whether every byte and the FIN are acknowledged.
    pub fn is_finished(&self, id: ConnectionId) -> bool {
        self.connections
            .get(&id.0)
            .is_some_and(Connection::is_finished)
    }

    /// Asks the peer for a sign of life: an acknowledgement of any packet from the returned
    /// number on is one.
    pub fn ping(&mut self, id: ConnectionId) -> u64 {
        self.with(id, |connection| connection.wanted.ping = true);
        self.connections
            .get(&id.0)
            .map_or(0, |connection| connection.sent.next_number())
    }

    /// The newest packet that the peer has acknowledged; none when the connection is forgotten.
    pub fn newest_acknowledged(&self, id: ConnectionId) -> Option<u64> {
        self.connections
            .get(&id.0)
            .and_then(|connection| connection.loss.newest_acked())
    }

    /// Ends both directions at once; the peer is told `reason`.
    pub fn reset(&mut self, now: Time, id: ConnectionId, reason: u32) {
        self.with(id, |connection| connection.reset(now, reason));
    }

    /// The application lets go: the connection ends as it can and is then forgotten.
    pub fn abandon(&mut self, now: Time, id: ConnectionId) {
        self.with(id, |connection| connection.abandon(now));
    }

    /// Why a connection is over.
    pub fn error(&self, id: ConnectionId) -> Option<ConnectionError> {
        self.connections
            .get(&id.0)
            .and_then(|connection| connection.error)
    }

    /// Whether the handshake is complete, whatever has become of the connection since.
    pub fn is_established(&self, id: ConnectionId) -> bool {
        self.connections
            .get(&id.0)
            .is_some_and(Connection::is_established)
    }

    /// A connection's counters.
    pub fn stats(&self, id: ConnectionId) -> Stats {
        self.connections
            .get(&id.0)
            .map(Connection::stats)
            .unwrap_or_default()
    }

    /// The key that the peer has proved to hold, once the handshake is complete.
    pub fn peer_key(&self, id: ConnectionId) -> Option<PublicKey> {
        self.connections
            .get(&id.0)
            .and_then(|connection| connection.peer_key)
    }

    /// The key by which peers know this side.
    pub const fn public_key(&self) -> PublicKey {
        self.identity.public_key()
    }

    /// Where the peer is now; none when the connection is forgotten.
    pub fn remote(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.connections.get(&id.0).map(Connection::remote)
    }

    /// A connection's name in traces.
    pub fn flow(&self, id: ConnectionId) -> Option<FlowId> {
        self.connections
            .get(&id.0)
            .map(|connection| connection.flow)
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) is worth a call.
    pub fn wants_transmit(&self) -> bool {
        !self.dirty.is_empty() || !self.replies.is_empty()
    }

    /// Counts of the state held for peers.
    pub fn metrics(&self) -> EndpointMetrics {
        EndpointMetrics {
            connections: self.connections.len(),
            half_open: self.half_open.len(),
            replies: self.replies.len(),
            dropped_datagrams: self.dropped_datagrams,
        }
    }

    /// Connections, also those that only linger.
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Handshakes under way on the listening side.
    pub fn half_open_count(&self) -> usize {
        self.half_open.len()
    }

    /// Datagrams that were damaged or belonged to nobody.
    pub const fn dropped_datagrams(&self) -> u64 {
        self.dropped_datagrams
    }

    fn with(&mut self, id: ConnectionId, act: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.get_mut(&id.0) {
            act(connection);
            self.after(id.0);
        }
    }

    #[cfg(test)]
    pub(crate) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id.0)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn connection_mut(&mut self, id: u32) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// The connection whose peer calls itself `remote_id`.
    #[cfg(test)]
    pub(crate) fn connection_to(&mut self, remote_id: u32) -> Option<&mut Connection> {
        let mut all = self.connections.values_mut();
        all.find(|connection| connection.remote_id == remote_id)
    }

    pub(super) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill_random(&mut bytes);
        bytes
    }

    pub(super) fn fill_random(&mut self, bytes: &mut [u8]) {
        (self.random)(bytes);
    }

    /// An id that no connection and no handshake has, and not the 0 of a SYN.
    pub(super) fn unused_id(&mut self) -> u32 {
        loop {
            let id = u32::from_be_bytes(self.random());
            let taken = self.connections.contains_key(&id) || self.half_open.contains_key(&id);
            if id != 0 && !taken {
                return id;
            }
        }
    }
}
