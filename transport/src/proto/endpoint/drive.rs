//! Datagrams out, deadlines, and the events that follow from both.

use super::memory::MEMORY_DEADLINE;
use super::{ConnectionId, Endpoint, Event, Outgoing};
use crate::{Ecn, Time};

impl Endpoint {
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
                    if connection.take_room_again() {
                        self.events.push_back(Event::Writable(ConnectionId(id)));
                    }
                    // It stays in front: there may be more where this came from.
                    return Some(Outgoing {
                        destination: burst.destination,
                        segment_bytes: burst.segment_bytes,
                        ecn: burst.ect0.then_some(Ecn::Ect0),
                    });
                }
                let deadline = connection.poll_timeout();
                if connection.is_forgettable() {
                    self.forget(id);
                } else {
                    self.deadlines.set(id, deadline);
                }
            }
            self.dirty.pop_front();
        }
        None
    }

    /// Tells whether [`poll_transmit`](Self::poll_transmit) is worth a call.
    pub fn wants_transmit(&self) -> bool {
        !self.dirty.is_empty() || !self.replies.is_empty()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        self.deadlines.next()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(id) = self.deadlines.pop_due(now) {
            if id == MEMORY_DEADLINE {
                self.on_memory_deadline(now);
            } else if let Some(connection) = self.connections.get_mut(&id) {
                connection.handle_timeout(now);
                self.after_change(id);
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

    /// The next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Queues what a changed connection may have to send, and its events.
    pub(super) fn after_change(&mut self, id: u32) {
        self.mark_dirty(id);
        self.release_share(id);
        self.charge_memory(id);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let pending = connection.take_events();
        let id = ConnectionId(id);
        let is_client = connection.flow().is_client;
        for (is_pending, event) in [
            // A server's application meets its connection by `Accepted`.
            (pending.established && is_client, Event::Established(id)),
            (pending.readable, Event::Readable(id)),
            (pending.writable, Event::Writable(id)),
            (pending.finished, Event::Finished(id)),
            (pending.closed, Event::Closed(id)),
        ] {
            if is_pending {
                self.events.push_back(event);
            }
        }
    }

    /// Has [`poll_transmit`](Self::poll_transmit) ask a connection.
    pub(super) fn mark_dirty(&mut self, id: u32) {
        // A burst of packets for one connection marks it once.
        if self.dirty.back() != Some(&id) {
            self.dirty.push_back(id);
        }
    }

    /// Has a connection that is over count no longer, and bounds how many of those there are.
    fn release_share(&mut self, id: u32) {
        let connection = self.connections.get_mut(&id);
        let Some(connection) = connection.filter(|it| !it.flow().is_client && it.is_over()) else {
            return;
        };
        // The application still holds the others, and lets go of them by itself.
        let is_left = connection.is_abandoned();
        if is_left {
            connection.free_left();
        }
        let ip = connection.flow().remote.ip();
        self.accepted_shares.remove(id);
        if !is_left || self.lingering_shares.contains(id) {
            return;
        }
        if self.lingering_shares.len() >= self.config.listen_limit
            && let Some(evicted) = self.lingering_shares.next_evicted()
        {
            self.forget(evicted);
        }
        self.lingering_shares.insert(ip, id);
    }

    fn forget(&mut self, id: u32) {
        self.deadlines.set(id, None);
        self.accepted_shares.remove(id);
        self.lingering_shares.remove(id);
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        self.refund_memory(&connection);
        if let Some(key) = connection.syn_key() {
            self.by_client.remove(&key);
        }
    }
}
