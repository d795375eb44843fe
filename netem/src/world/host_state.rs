//! A host's part of the network: its address, its ports and its random numbers.

use std::{collections::BTreeMap, net::IpAddr};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::id::{HostId, Incarnation, SocketId};
use crate::Direction;

/// The first ephemeral port (RFC 6335 §6).
const EPHEMERAL_FIRST: u16 = 49_152;

/// Takes, in the key of a host's generator, the place of the direction in a link's.
const HOST_KEY_BYTE: u8 = 2;

pub(super) struct HostState {
    /// The direction of the link that carries what the host sends.
    pub(super) outbound: Direction,
    pub(super) ip: IpAddr,
    /// Kills so far.
    pub(super) epoch: u32,
    pub(super) is_up: bool,
    /// Ordered, so that a kill closes sockets in an order that the seed determines.
    ports: BTreeMap<u16, SocketId>,
    ephemeral_next: u16,
    rng: ChaCha8Rng,
}

impl HostState {
    pub(super) fn new(outbound: Direction, ip: IpAddr, seed: u64, id: HostId) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8] = HOST_KEY_BYTE;
        let mut rng = ChaCha8Rng::from_seed(key);
        // A stream for each host, of one key: a host that uses more leaves the others' numbers as
        // they are.
        rng.set_stream(u64::from(id.0));
        Self {
            outbound,
            ip,
            epoch: 0,
            is_up: true,
            ports: BTreeMap::new(),
            ephemeral_next: EPHEMERAL_FIRST,
            rng,
        }
    }

    pub(super) const fn incarnation(&self, id: HostId) -> Incarnation {
        Incarnation {
            host: id,
            epoch: self.epoch,
        }
    }

    pub(super) fn socket_at(&self, port: u16) -> Option<SocketId> {
        self.ports.get(&port).copied()
    }

    /// The port to bind for a caller that asked for `port`, where 0 is any; `None` if it is taken.
    pub(super) fn choose_port(&mut self, port: u16) -> Option<u16> {
        match port {
            0 => self.ephemeral(),
            // No search for another one: the caller asked for this port, as of an operating system.
            port => Some(port).filter(|port| !self.ports.contains_key(port)),
        }
    }

    pub(super) fn claim(&mut self, port: u16, id: SocketId) {
        let before = self.ports.insert(port, id);
        debug_assert_eq!(before, None, "port {port} is taken");
    }

    pub(super) fn release(&mut self, port: u16) {
        self.ports.remove(&port);
    }

    pub(super) fn sockets(&self) -> Vec<SocketId> {
        self.ports.values().copied().collect()
    }

    pub(super) fn fill_random(&mut self, bytes: &mut [u8]) {
        self.rng.fill_bytes(bytes);
    }

    /// The next free ephemeral port. A port just released is the last to be used again, so that
    /// a late datagram for its former socket does not reach the next one.
    fn ephemeral(&mut self) -> Option<u16> {
        for _ in EPHEMERAL_FIRST..=u16::MAX {
            let port = self.ephemeral_next;
            self.ephemeral_next = port.checked_add(1).unwrap_or(EPHEMERAL_FIRST);
            if !self.ports.contains_key(&port) {
                return Some(port);
            }
        }
        None
    }
}
