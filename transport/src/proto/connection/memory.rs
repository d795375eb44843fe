//! Memory: what a connection holds for its peer beside itself, and how it gives that back.

use super::Connection;
use super::error::ConnectionError;
use super::establish::LIMIT_RESET;
use crate::Time;
use crate::wire::Reader;

/// What the endpoint has counted of a connection, and what it lets it have.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Account {
    /// Bytes that the endpoint has counted.
    charged_bytes: u64,
    /// A packet was dropped since there was no memory for it.
    is_starved: bool,
}

impl Connection {
    /// What is allocated for the peer, bytes.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.receive.held_bytes() + self.send.held_bytes()
    }

    /// What is written and not acknowledged, bytes.
    pub(crate) fn unacked_held_bytes(&self) -> u64 {
        self.send.held_bytes()
    }

    /// What the endpoint has counted so far, bytes.
    pub(crate) const fn charged_bytes(&self) -> u64 {
        self.account.charged_bytes
    }

    pub(crate) const fn set_charged(&mut self, bytes: u64) {
        self.account.charged_bytes = bytes;
    }

    /// Lets the receiving half allocate so many bytes more.
    pub(crate) fn set_memory_room(&mut self, bytes: u64) {
        let limit = self.receive.held_bytes().saturating_add(bytes);
        self.receive.set_memory_limit(limit);
    }

    /// Tells, once, whether a packet was dropped since there was no memory for it.
    pub(crate) const fn take_starved(&mut self) -> bool {
        std::mem::replace(&mut self.account.is_starved, false)
    }

    /// Tells whether there is memory for a packet. One for which there is none is as good as
    /// lost: it has no effect and is not acknowledged, so the peer sends its contents again.
    pub(super) fn has_room_for(&mut self, frames: Reader<'_>) -> bool {
        let has_room = self.receive.has_room_for(frames);
        self.account.is_starved |= !has_room;
        has_room
    }

    /// Tells whether what is held has been so for too long while others want memory.
    pub(crate) fn is_stale(&mut self, now: Time) -> bool {
        // The order of the two does not matter, but both have to look at the time.
        let receives = self.receive.is_stale(now, self.path.rtt().smoothed());
        self.send.is_stale(now) || receives
    }

    /// Frees memory that holds no byte.
    pub(crate) fn free_unused(&mut self) {
        self.receive.free_unused();
    }

    /// Ends the connection for the sake of others: it holds memory and does nothing with it.
    pub(crate) fn evict(&mut self, now: Time) {
        self.reset(now, LIMIT_RESET);
        self.lifecycle.replace_error(ConnectionError::Evicted);
        self.discard();
    }

    /// Frees what neither side nor the application needs of a connection that is over and that
    /// the application has left.
    pub(crate) fn free_left(&mut self) {
        if self.lifecycle.is_established() {
            // Both streams are complete, and the peer may ask once more.
            self.free_unused();
        } else {
            self.discard();
        }
    }

    /// Drops the bytes of both halves: none will be read or sent.
    fn discard(&mut self) {
        self.receive.discard();
        self.send.discard();
    }
}
