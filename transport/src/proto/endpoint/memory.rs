//! The memory that accepted connections hold together: who may have more, and who gives back.
//!
//! What is charged is what is allocated: blocks of received bytes, ranges behind gaps, bytes that
//! were written and are not acknowledged. Up to three quarters of
//! [`Config::memory_limit_bytes`] go to whoever asks first. In the last quarter a network (IPv4
//! /24, IPv6 /48) gets more only as long as it holds less than half of an equal share of the
//! whole, so a client from elsewhere finds some.
//!
//! A new connection is offered a window that it can fill. One for which there is no memory loses
//! packets, which its peer sends again, and its application waits before it writes more. When
//! memory is scarce others give back: memory that holds no byte, and connections that have made
//! no progress for long, those of the network that holds most first. One that makes progress
//! gives back by itself.
//!
//! Listeners that share memory count what the others hold as taken, and look once a second
//! whether the others lack some.
//!
//! [`Config::memory_limit_bytes`]: crate::Config::memory_limit_bytes

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use super::{ConnectionId, Endpoint, Event};
use crate::Time;
use crate::config::SharedMemory;
use crate::prefix::AddressPrefix;
use crate::proto::connection::Connection;

/// What a connection takes beside what is charged, and the little that it gets in any case,
/// bytes.
pub(super) const CONNECTION_BYTES: u64 = 24 << 10;

/// What a half-open handshake takes, bytes.
pub(super) const HALF_OPEN_BYTES: u64 = 3 << 10;

/// The smallest receive window that a new connection is offered, bytes.
const LEAST_WINDOW_BYTES: u64 = 16 << 10;

/// Bytes that a connection may write in any case.
const LEAST_WRITE_BYTES: u64 = 8 << 10;

/// With this much left for all, shares need no look.
const AMPLE_BYTES: u64 = 1 << 20;

/// Connections are searched for memory to give back no more often than this.
const RECLAIM_EVERY: Duration = Duration::from_millis(10);

/// An id that no connection has, for the deadline at which memory is looked at.
pub(super) const MEMORY_DEADLINE: u32 = 0;

/// How often a listener that shares memory with others looks whether they lack some.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The part of the memory from which on a listener looks, as a divisor.
const LOOKING_PART: u64 = 16;

/// Bytes charged to each network, and in all.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What other listeners hold as well, and what this one has told them that it holds.
    shared: Option<SharedMemory>,
    published_bytes: u64,
    charged_bytes: u64,
    networks: BTreeMap<AddressPrefix, u64>,
    /// Connections whose application waits for memory to write into.
    waiting: BTreeSet<u32>,
    next_reclaim: Time,
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.publish(0);
    }
}

impl Memory {
    pub(super) fn new(shared: Option<SharedMemory>) -> Self {
        let mut memory = Self::default();
        memory.shared = shared;
        memory
    }

    /// Tells the other listeners what this one holds.
    fn publish(&mut self, bytes: u64) {
        if let Some(shared) = &self.shared
            && bytes != self.published_bytes
        {
            shared.change(self.published_bytes, bytes);
            self.published_bytes = bytes;
        }
    }

    /// What the other listeners hold, bytes.
    fn held_by_others(&self) -> u64 {
        let all = self.shared.as_ref().map_or(0, SharedMemory::used_bytes);
        all.saturating_sub(self.published_bytes)
    }

    /// Bytes charged to all connections.
    pub(super) const fn charged_bytes(&self) -> u64 {
        self.charged_bytes
    }

    fn held_by(&self, network: AddressPrefix) -> u64 {
        self.networks.get(&network).copied().unwrap_or_default()
    }

    fn change(&mut self, network: AddressPrefix, before: u64, after: u64) {
        self.charged_bytes = self.charged_bytes + after - before;
        let held = self.networks.entry(network).or_default();
        *held = *held + after - before;
        if *held == 0 {
            self.networks.remove(&network);
        }
    }

    /// Bytes that a connection of a network may get now.
    fn room(&self, network: AddressPrefix, limit: u64) -> u64 {
        let open = (limit / 4 * 3).saturating_sub(self.charged_bytes);
        // Most often: there is enough for any packet and any write.
        if open >= AMPLE_BYTES {
            return open;
        }
        let held = self.held_by(network);
        let holders = self.networks.len() as u64 + u64::from(held == 0);
        let share = (limit / 2 / holders.max(1)).saturating_sub(held);
        let free = limit.saturating_sub(self.charged_bytes);
        open.max(share.min(free))
    }
}

impl Endpoint {
    /// Bytes that accepted connections may hold together, beside what each takes by itself.
    pub(super) fn memory_limit(&self) -> u64 {
        let taken = self.fixed_memory() + self.memory.held_by_others();
        self.config.memory_limit_bytes.saturating_sub(taken)
    }

    /// What connections and handshakes take by themselves, bytes.
    fn fixed_memory(&self) -> u64 {
        let connections = self.connections.len() as u64 * CONNECTION_BYTES;
        connections + self.half_open.len() as u64 * HALF_OPEN_BYTES
    }

    /// Tells listeners that share the memory what this one holds by now.
    pub(super) fn publish_memory(&mut self) {
        let held = self.fixed_memory() + self.memory.charged_bytes;
        self.memory.publish(held);
    }

    /// Tells an accepted connection how much it may allocate for the next packet.
    pub(super) fn allot_memory(&mut self, id: u32) {
        let limit = self.memory_limit();
        let memory = &self.memory;
        if let Some(connection) = self.connections.get_mut(&id).filter(|it| is_charged(it)) {
            connection.set_memory_room(memory.room(network_of(connection), limit));
        }
    }

    /// Charges an accepted connection what it holds by now, and finds memory for it if it lacks
    /// some.
    pub(super) fn charge_memory(&mut self, id: u32) {
        let connection = self.connections.get_mut(&id);
        let Some(connection) = connection.filter(|it| is_charged(it)) else {
            return;
        };
        let (before, after) = (connection.charged_bytes(), connection.held_bytes());
        if before != after {
            connection.set_charged(after);
            let network = network_of(connection);
            self.memory.change(network, before, after);
            self.publish_memory();
        }
        if before > after && !self.memory.waiting.is_empty() {
            self.wake_writers();
        }
    }

    /// Takes back what a connection was charged: it is gone.
    pub(super) fn refund_memory(&mut self, connection: &Connection) {
        let network = network_of(connection);
        self.memory.change(network, connection.charged_bytes(), 0);
        self.memory.waiting.remove(&connection.flow().id);
        self.publish_memory();
    }

    /// Bytes of memory that an accepted connection's application may fill by a write; `None`
    /// for one that is not charged. An application that finds none is woken when there is.
    pub(super) fn room_to_write(&mut self, id: u32) -> Option<u64> {
        let limit = self.memory_limit();
        let connection = self.connections.get(&id).filter(|it| is_charged(it))?;
        let room = self.memory.room(network_of(connection), limit);
        let least = LEAST_WRITE_BYTES.saturating_sub(connection.unacked_held_bytes());
        let room = room.max(least);
        if room == 0 {
            self.memory.waiting.insert(id);
        }
        Some(room)
    }

    fn wake_writers(&mut self) {
        if self.memory.charged_bytes < self.memory_limit() / 4 * 3 {
            let waiting = std::mem::take(&mut self.memory.waiting);
            let events = waiting
                .into_iter()
                .map(|id| Event::Writable(ConnectionId(id)));
            self.events.extend(events);
        }
    }

    /// The receive window for a new connection, bytes: no more than it could fill.
    pub(super) fn first_window(&self, ip: IpAddr) -> u64 {
        let room = self
            .memory
            .room(AddressPrefix::network(ip), self.memory_limit());
        let most = (room / 4 * 3).max(LEAST_WINDOW_BYTES);
        self.config.receive_window_bytes.min(most)
    }

    /// Finds memory when the last quarter is in use, for a connection or a handshake that has
    /// just got some.
    pub(super) fn reclaim_when_scarce(&mut self, now: Time, wanting: u32) {
        if self.memory.charged_bytes > self.memory_limit() / 4 * 3 {
            self.reclaim_memory(now, wanting);
        }
        let part = self.config.memory_limit_bytes / LOOKING_PART;
        if self.memory.shared.is_some() && self.memory.charged_bytes > part {
            self.deadlines
                .set_if_none(MEMORY_DEADLINE, now + LOOK_EVERY);
        }
    }

    /// Looks whether memory has become scarce without a packet for this listener.
    pub(super) fn on_memory_deadline(&mut self, now: Time) {
        self.reclaim_when_scarce(now, MEMORY_DEADLINE);
    }

    /// Finds memory: frees what holds no byte, then ends connections that have made no progress
    /// for long, until there is some to spare. None is ended for one whose own network holds
    /// more.
    pub(super) fn reclaim_memory(&mut self, now: Time, wanting: u32) {
        if now < self.memory.next_reclaim {
            return;
        }
        self.memory.next_reclaim = now + RECLAIM_EVERY;
        let mut stale = Vec::new();
        let ids: Vec<u32> = self.connections.keys().copied().collect();
        for id in ids {
            if let Some(connection) = self.connections.get_mut(&id).filter(|it| is_charged(it)) {
                connection.free_unused();
                if connection.is_stale(now) {
                    stale.push((network_of(connection), connection.held_bytes(), id));
                }
            }
            self.charge_memory(id);
        }
        let network = self.connections.get(&wanting).map(network_of);
        let least = network.map_or(0, |network| self.memory.held_by(network));
        stale.retain(|&(network, _, id)| id != wanting && self.memory.held_by(network) >= least);
        let target = self.memory_limit() / 8 * 5;
        stale.sort_unstable_by_key(|&(network, held, id)| {
            (Reverse(self.memory.held_by(network)), Reverse(held), id)
        });
        for (_, _, id) in stale {
            if self.memory.charged_bytes <= target {
                break;
            }
            self.with(ConnectionId(id), |connection| connection.evict(now));
        }
    }
}

/// Tells whether a peer chose to have the connection: a client's endpoint is not charged.
const fn is_charged(connection: &Connection) -> bool {
    !connection.flow().is_client
}

fn network_of(connection: &Connection) -> AddressPrefix {
    AddressPrefix::network(connection.flow().remote.ip())
}
