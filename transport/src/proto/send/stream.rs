//! The sending half of the stream: its bytes, its FIN, and the peer's limit for them.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use super::buffer::SendBuffer;
use super::window::SendWindow;
use crate::Time;
use crate::proto::turnover::Turnover;

/// This side's FIN.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
struct Fin {
    requested: bool,
    sent: bool,
    acked: bool,
}

/// The stream's bytes from the application's write to the peer's acknowledgement.
#[derive(Debug)]
pub(crate) struct SendStream {
    buffer: SendBuffer,
    window: SendWindow,
    fin: Fin,
    /// The highest offset ever sent, also across a rewind.
    highest_sent: u64,
    /// The last write left no room for another.
    is_full: bool,
    /// Bytes until they are acknowledged, as far as they were looked at.
    unacked: Turnover,
}

/// The age from which on bytes that are not acknowledged are stale.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// What is held is counted in units of so many bytes.
const UNIT_BYTES: u64 = 8 << 10;

impl SendStream {
    /// An empty stream of which the peer takes nothing yet.
    pub(crate) fn new(capacity_bytes: u64, unsent_bytes: u64) -> Self {
        Self {
            buffer: SendBuffer::new(capacity_bytes, unsent_bytes),
            window: SendWindow::new(0),
            fin: Fin::default(),
            highest_sent: 0,
            is_full: false,
            unacked: Turnover::new(Time::ZERO),
        }
    }

    // The application's end.

    /// Room for another write, bytes.
    pub(crate) fn room(&self) -> u64 {
        self.buffer.room()
    }

    /// Takes bytes to send, all of them; one write may exceed the room.
    pub(crate) fn write(&mut self, bytes: Bytes) {
        debug_assert!(!self.fin.requested, "nothing is written behind the FIN");
        self.buffer.write(bytes);
        self.is_full = self.buffer.room() == 0;
    }

    /// Reports, once, that a buffer that was full has room again.
    pub(crate) fn take_room_again(&mut self) -> bool {
        let has_room = self.is_full && self.buffer.room() > 0;
        self.is_full &= !has_room;
        has_room
    }

    /// Ends the stream behind the last byte written.
    pub(crate) const fn finish(&mut self) {
        self.fin.requested = true;
    }

    /// Tells whether every byte and the FIN are acknowledged. The FIN alone does not suffice:
    /// it may well be the first of them.
    pub(crate) const fn is_finished(&self) -> bool {
        self.fin.acked && self.buffer.is_fully_acked()
    }

    // Memory.

    /// What is held, bytes, rounded up.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.buffer.held_bytes().next_multiple_of(UNIT_BYTES)
    }

    /// Tells whether the oldest byte held has not been acknowledged since it was looked at long
    /// ago.
    pub(crate) fn is_stale(&mut self, now: Time) -> bool {
        let acked = self.buffer.acked_prefix();
        self.unacked.waited(now, acked, self.buffer.end()) >= STALE_AFTER
    }

    /// Drops what is held: nothing will be sent any more.
    pub(crate) fn discard(&mut self) {
        self.buffer.discard();
    }

    // The peer's limit.

    /// Takes a limit from the peer, an offset; tells whether it allows more than before.
    pub(crate) fn on_limit(&mut self, limit: u64) -> bool {
        self.window.on_limit(limit)
    }

    /// Bytes the peer's window still takes.
    pub(crate) const fn credit_bytes(&self) -> u64 {
        self.window.limit().saturating_sub(self.highest_sent)
    }

    /// Tells whether the peer's window is all that holds new data back.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.buffer.has_unsent() && self.buffer.sent() >= self.window.limit()
    }

    /// Tells whether to ask the peer for more: once for each limit at which the stream stands.
    pub(crate) fn should_ask_for_window(&mut self) -> bool {
        self.is_blocked() && self.window.on_blocked()
    }

    /// Has the peer asked again: the packet with the question was lost.
    pub(crate) const fn on_window_question_lost(&mut self) {
        self.window.ask_again();
    }

    // The next bytes to send.

    /// Tells whether stream bytes, or the FIN, wait to be sent.
    pub(crate) fn has_data(&self) -> bool {
        let new = self.buffer.has_unsent() && self.buffer.sent() < self.window.limit();
        // A FIN that was declared lost may prove to have arrived before it is sent again.
        let waits = self.fin.requested && !self.fin.sent && !self.fin.acked;
        let fin = waits && !self.buffer.has_unsent();
        self.buffer.has_lost() || new || fin
    }

    /// The lowest lost bytes, at most `max_len`; they count as in flight again.
    pub(crate) fn next_lost(&mut self, max_len: u64) -> Option<Range<u64>> {
        self.buffer.next_lost(max_len)
    }

    /// The next bytes that were never sent and that the peer's window takes, at most `max_len`;
    /// they count as sent.
    pub(crate) fn next_new(&mut self, max_len: u64) -> Option<Range<u64>> {
        self.buffer.next_new(max_len, self.window.limit())
    }

    /// The oldest bytes at or after `from` that are sent and not acknowledged, at most
    /// `max_len`.
    pub(crate) fn next_unacked(&self, from: u64, max_len: u64) -> Option<Range<u64>> {
        self.buffer.next_unacked(from, max_len)
    }

    /// The empty range of a packet that carries nothing but the FIN. A probe retransmits one that
    /// is in flight.
    pub(crate) fn next_fin(&self, probe: bool) -> Option<Range<u64>> {
        let end = self.buffer.end();
        let wanted = self.fin.requested
            && !self.fin.acked
            && !self.buffer.has_unsent()
            && (probe || !self.fin.sent);
        wanted.then_some(end..end)
    }

    /// Appends the bytes of `chunk`.
    pub(crate) fn copy(&self, chunk: Range<u64>, out: &mut Vec<u8>) {
        self.buffer.copy(chunk, out);
    }

    /// Tells whether a packet whose bytes end at `offset` carries the FIN, and counts it as
    /// sent.
    pub(crate) fn attach_fin(&mut self, offset: u64) -> bool {
        let fin = self.fin.requested && offset == self.buffer.end();
        self.fin.sent |= fin;
        fin
    }

    /// Records that bytes left in a packet; gives how many of them had been sent before, or
    /// `None` when the packet begins with a new byte.
    pub(crate) fn on_sent(&mut self, bytes: &Range<u64>) -> Option<u64> {
        // By the highest offset, not by `sent`, which go-back-n takes back: the bytes behind it
        // would look new.
        let again = !bytes.is_empty() && bytes.start < self.highest_sent;
        let retransmitted = again.then(|| bytes.end.min(self.highest_sent) - bytes.start);
        self.highest_sent = self.highest_sent.max(bytes.end);
        retransmitted
    }

    // What became of them.

    /// Takes an acknowledgement of bytes and of the FIN; gives how many of the bytes are
    /// acknowledged for the first time.
    pub(crate) fn on_acked(&mut self, bytes: Range<u64>, fin: bool) -> u64 {
        self.fin.acked |= fin;
        if bytes.is_empty() {
            return 0;
        }
        self.buffer.on_acked(bytes)
    }

    /// Schedules the bytes and the FIN of a lost packet for retransmission, but for what
    /// another packet has delivered.
    pub(crate) fn on_lost(&mut self, bytes: Range<u64>, fin: bool) {
        // The FIN of a lost packet may have arrived with a copy of it.
        if fin && !self.fin.acked {
            self.fin.sent = false;
        }
        self.buffer.on_lost(bytes);
    }

    /// Goes back to the first byte that is not acknowledged (go-back-N).
    pub(crate) fn rewind(&mut self) {
        // A FIN that is acknowledged stays sent: the peer has it, whatever bytes are missing
        // before.
        self.buffer.rewind(self.buffer.acked_prefix());
        self.fin.sent &= self.fin.acked;
    }

    /// The offset behind the last byte written.
    pub(crate) const fn end(&self) -> u64 {
        self.buffer.end()
    }

    /// The offset behind the last byte sent.
    pub(crate) const fn sent(&self) -> u64 {
        self.buffer.sent()
    }

    /// Bytes acknowledged, each counted once.
    pub(crate) const fn acked_bytes(&self) -> u64 {
        self.buffer.acked_bytes()
    }

    /// Bytes sent at least once and not acknowledged.
    pub(crate) const fn outstanding_bytes(&self) -> u64 {
        self.buffer.outstanding_bytes()
    }

    /// The bytes behind the stream, for tests that look inside.
    #[cfg(test)]
    pub(crate) const fn buffer(&self) -> &SendBuffer {
        &self.buffer
    }
}
