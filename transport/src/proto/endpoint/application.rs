//! The calls of the application, each for one connection. One that is forgotten answers like
//! one on which nothing ever happened.

use std::net::SocketAddr;

use bytes::Bytes;

use super::{ConnectionId, Endpoint};
use crate::Time;
use crate::crypto::PublicKey;
use crate::proto::connection::{Connection, ConnectionError, FlowId, Stats};

impl Endpoint {
    /// Room in the send buffer, bytes, and in the memory that all connections share. Without
    /// any, [`Event::Writable`](super::Event::Writable) tells when there may be again.
    pub fn write_room(&mut self, id: ConnectionId) -> u64 {
        let room = self.get(id).map_or(0, Connection::write_room);
        if room == 0 {
            return 0;
        }
        self.room_to_write(id.0)
            .map_or(room, |memory| room.min(memory))
    }

    /// Takes bytes to send. The caller has seen that there is room; one write may exceed it.
    pub fn write(&mut self, id: ConnectionId, bytes: Bytes) {
        self.with(id, |connection| connection.write(bytes));
    }

    /// The next bytes in order, at most `max`.
    pub fn read(&mut self, id: ConnectionId, max: usize) -> Option<Bytes> {
        let connection = self.connections.get_mut(&id.0)?;
        let bytes = connection.read(max);
        // Most reads do not move the window far enough for a packet.
        if connection.wants_to_offer_window() {
            self.mark_dirty(id.0);
        }
        self.charge_memory(id.0);
        bytes
    }

    /// Tells whether every byte up to the peer's FIN has been read.
    pub fn is_read_out(&self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(Connection::is_read_out)
    }

    /// Ends the stream: the FIN goes behind the last byte.
    pub fn finish(&mut self, id: ConnectionId) {
        self.with(id, Connection::finish);
    }

    /// Tells whether every byte and the FIN are acknowledged.
    pub fn is_finished(&self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(Connection::is_finished)
    }

    /// Asks the peer for a keep-alive: an acknowledgement of any packet from the returned
    /// number on is one.
    pub fn ping(&mut self, id: ConnectionId) -> u64 {
        let mut number = 0;
        self.with(id, |connection| number = connection.ping());
        number
    }

    /// The highest packet number that the peer has acknowledged.
    pub fn newest_acknowledged(&self, id: ConnectionId) -> Option<u64> {
        self.get(id).and_then(Connection::newest_acked)
    }

    /// Ends both directions at once; the peer is told `reason`.
    pub fn reset(&mut self, now: Time, id: ConnectionId, reason: u32) {
        self.with(id, |connection| connection.reset(now, reason));
    }

    /// Takes the application's leave: the connection ends as it can and is then forgotten.
    pub fn abandon(&mut self, now: Time, id: ConnectionId) {
        self.with(id, |connection| connection.abandon(now));
    }

    /// Why a connection has ended.
    pub fn error(&self, id: ConnectionId) -> Option<ConnectionError> {
        self.get(id).and_then(Connection::error)
    }

    /// Tells whether the handshake was completed, whatever followed.
    pub fn is_established(&self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(Connection::was_established)
    }

    /// A connection's counters.
    pub fn stats(&self, id: ConnectionId) -> Stats {
        self.get(id).map(Connection::stats).unwrap_or_default()
    }

    /// The key that the peer has proved to hold, once the handshake is complete.
    pub fn peer_key(&self, id: ConnectionId) -> Option<PublicKey> {
        self.get(id).and_then(Connection::peer_key)
    }

    /// The peer's present address.
    pub fn remote(&self, id: ConnectionId) -> Option<SocketAddr> {
        self.get(id).map(Connection::remote)
    }

    /// A connection's name in traces.
    pub fn flow(&self, id: ConnectionId) -> Option<FlowId> {
        self.get(id).map(Connection::flow)
    }

    fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.connections.get(&id.0)
    }

    pub(super) fn with(&mut self, id: ConnectionId, act: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.get_mut(&id.0) {
            act(connection);
            self.after_change(id.0);
        }
    }
}
