//! One UDP address: its connections, their deadlines, and the datagrams that belong to none.
//!
//! Change here what happens before there is a connection and between connections: which
//! datagram belongs to which, what is admitted, what peers can make this side hold. What
//! happens within one belongs in [`connection`](super::connection), on which this room relies;
//! it touches a connection by its methods only.
//!
//! | file | content |
//! |---|---|
//! | [`dispatch`] | datagrams in: the connection each belongs to |
//! | [`admission`] | SYNs answered or refused, half-open handshakes |
//! | [`shares`] | what each address prefix holds, and who gives back first |
//! | [`memory`] | what accepted connections hold together, and who gives back |
//! | [`rate`] | handshakes a second, by address prefix |
//! | [`stateless`] | replies for which nothing is kept: refusals, cookies, lost connections |
//! | [`drive`] | datagrams out, and deadlines |
//! | [`application`] | the calls of the application, by connection |
//! | [`deadlines`] | the next deadline of each connection |
//! | [`event`] | events and datagrams handed to the caller |
//! | [`metrics`] | counts of what an endpoint holds |

mod admission;
mod application;
mod deadlines;
mod dispatch;
mod drive;
mod event;
mod memory;
mod metrics;
mod rate;
mod shares;
mod stateless;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

use self::deadlines::Deadlines;
use self::memory::Memory;
use self::rate::HandshakeRate;
use self::shares::Shares;
use super::connection::{Connection, ConnectionError, FlowId, HalfOpen, SynKey, syn_payload};
use crate::Time;
use crate::config::Config;
use crate::crypto::cookie::CookieJar;
use crate::crypto::noise::Initiator;
use crate::crypto::stateless_reset::ResetKey;
use crate::crypto::{Identity, PublicKey};

pub use self::event::{Event, Outgoing};
pub use self::metrics::EndpointMetrics;

/// Names a connection within its endpoint: this side's random id.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u32);

/// Fills a slice with randomness.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// One UDP address and its connections.
///
/// Connections and handshakes stand in ordered maps, not in a slab: their keys are the random
/// ids that go over the wire, which must not tell how many there are or be guessed, and the
/// order in which they are visited must be the same in every run.
pub struct Endpoint {
    config: Arc<Config>,
    random: Random,
    identity: Identity,
    /// Created with the first cookie.
    cookies: Option<CookieJar>,
    /// Created when the first SYN is answered, or the first packet of a lost connection.
    resets: Option<ResetKey>,
    local_port: u16,
    listening: bool,
    connections: BTreeMap<u32, Connection>,
    half_open: BTreeMap<u32, HalfOpen>,
    half_open_shares: Shares,
    handshake_rate: HandshakeRate,
    /// Accepted connections that are alive: those that count against the limits.
    accepted_shares: Shares,
    /// Accepted connections that only wait for late packets.
    lingering_shares: Shares,
    memory: Memory,
    /// The handshake or accepted connection that a retransmitted SYN belongs to.
    by_client: BTreeMap<SynKey, u32>,
    deadlines: Deadlines,
    /// Connections that may have something to send.
    dirty: VecDeque<u32>,
    replies: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<Event>,
    dropped_datagrams: u64,
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
        let memory = Memory::new(config.shared_memory.clone());
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
            half_open_shares: Shares::default(),
            handshake_rate: HandshakeRate::default(),
            accepted_shares: Shares::default(),
            lingering_shares: Shares::default(),
            memory,
            by_client: BTreeMap::new(),
            deadlines: Deadlines::default(),
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

    /// Sets the port of this endpoint. One that listens there later, with the same key, can
    /// tell the clients of this one that their connections are lost.
    pub fn set_local_port(&mut self, port: u16) {
        self.local_port = port;
        self.resets = None;
    }

    /// Starts a handshake with `remote`.
    pub fn connect(&mut self, now: Time, remote: SocketAddr) -> ConnectionId {
        let id = self.unused_id();
        let seed = self.random_seed();
        let noise = Initiator::new(&self.identity, &seed, &syn_payload(&self.config));
        let secret = self.skip_secret(id);
        let flow = FlowId {
            is_client: true,
            id,
            remote,
        };
        let connection = Connection::connect(now, Arc::clone(&self.config), flow, noise, secret);
        self.connections.insert(id, connection);
        if remote.port() == 0 {
            // Nothing is sent there, and no answer could come from it.
            self.with(ConnectionId(id), |it| {
                it.drain(now, ConnectionError::TimedOut)
            });
        }
        self.mark_dirty(id);
        ConnectionId(id)
    }

    /// The key by which peers know this side.
    pub const fn public_key(&self) -> PublicKey {
        self.identity.public_key()
    }

    /// Counts of what is held for peers.
    pub fn metrics(&self) -> EndpointMetrics {
        EndpointMetrics {
            connections: self.connections.len(),
            half_open: self.half_open.len(),
            charged_bytes: self.memory.charged_bytes(),
            replies: self.replies.len(),
            dropped_datagrams: self.dropped_datagrams,
        }
    }

    /// Connections, those in close-wait included.
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    /// Handshakes in progress on the listening side.
    pub fn half_open_count(&self) -> usize {
        self.half_open.len()
    }

    /// Datagrams that were damaged, forged, or belonged to no connection.
    pub const fn dropped_datagrams(&self) -> u64 {
        self.dropped_datagrams
    }

    // Randomness, all of it from the caller.

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }

    fn random_seed(&mut self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        (self.random)(&mut seed[..]);
        seed
    }

    /// Of what the packet numbers follow that a connection leaves out. It is derived rather than
    /// drawn, so that ids and keys are what they would be without.
    fn skip_secret(&self, id: u32) -> Zeroizing<[u8; 32]> {
        let context = [&id.to_be_bytes()[..], &self.local_port.to_be_bytes()].concat();
        self.identity
            .derive(b"LFTP skipped packet numbers", &context)
    }

    /// An id that no connection and no handshake has, and not the 0 of a SYN.
    fn unused_id(&mut self) -> u32 {
        loop {
            let id = u32::from_be_bytes(self.random());
            let taken = self.connections.contains_key(&id) || self.half_open.contains_key(&id);
            if id != 0 && !taken {
                return id;
            }
        }
    }
}

/// Views for tests, which look into packets, invent them, and check what is inside.
#[cfg(any(test, feature = "fuzzing"))]
impl Endpoint {
    #[cfg(test)]
    pub(crate) fn connection(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id.0)
    }

    #[cfg(test)]
    pub(crate) fn set_cookies(&mut self, jar: CookieJar) {
        self.cookies = Some(jar);
    }

    /// A half-open handshake, and how often its state was computed again.
    #[cfg(test)]
    pub(crate) fn first_half_open(&self) -> Option<(u32, u32)> {
        let (&id, half) = self.half_open.iter().next()?;
        Some((id, half.noise.replays()))
    }

    pub(crate) fn connection_mut(&mut self, id: u32) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// The connection whose peer calls itself `remote_id`.
    #[cfg(test)]
    pub(crate) fn connection_to(&mut self, remote_id: u32) -> Option<&mut Connection> {
        let mut all = self.connections.values_mut();
        all.find(|connection| connection.peer_id() == remote_id)
    }
}
