//! The receiving half of the stream: its bytes, its FIN, and the window offered for it.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use bytes::Bytes;

use super::assembler::Assembler;
use super::window::ReceiveWindow;
use crate::Time;
use crate::proto::turnover::Turnover;
use crate::wire::{Frame, Frames, Reader};

/// The stream's bytes from the peer's packet to the application's read.
#[derive(Debug)]
pub(crate) struct ReceiveStream {
    assembler: Assembler,
    window: ReceiveWindow,
    /// Bytes received, each counted once.
    received_bytes: u64,
    /// The length of the stream, once its FIN has arrived.
    final_offset: Option<u64>,
    /// Bytes behind a gap, until it is filled.
    behind_gap: Turnover,
    /// Bytes until they are read.
    unread: Turnover,
}

/// Bytes in order that wait to be read, below which a packet that begins with the next is taken
/// even when there is no memory left: the stream has to go on.
const LEAST_READABLE_BYTES: u64 = 4 << 10;

/// Round trips after which a byte behind a gap is stale: a sender that fills its gaps has done
/// so by then at 20 % loss, and longer.
const STALE_ROUNDS: u32 = 10;

/// The bounds of that time.
const STALE_AFTER: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(5);

/// The effects of one STREAM frame.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// Bytes that had been received before.
    pub(crate) redundant_bytes: u64,
    /// The FIN arrived for the first time.
    pub(crate) finished: bool,
    /// The offset up to which there are no gaps, when it has moved.
    pub(crate) contiguous_end: Option<u64>,
}

impl ReceiveStream {
    /// An empty stream with a window of `initial_bytes` that grows up to `max_bytes`.
    pub(crate) const fn new(now: Time, initial_bytes: u64, max_bytes: u64) -> Self {
        Self {
            assembler: Assembler::new(),
            window: ReceiveWindow::new(now, initial_bytes, max_bytes),
            received_bytes: 0,
            final_offset: None,
            behind_gap: Turnover::new(now),
            unread: Turnover::new(now),
        }
    }

    /// Takes the bytes of a STREAM frame; `round` is the round-trip time that the window is
    /// measured by.
    ///
    /// # Errors
    ///
    /// Names the rule that the peer broke.
    pub(crate) fn on_data(
        &mut self,
        now: Time,
        (offset, data, fin): (u64, &[u8], bool),
        round: Duration,
    ) -> Result<Received, &'static str> {
        let end = offset + data.len() as u64;
        if end > self.window.offered() {
            return Err("data beyond the receive window");
        }
        let beyond = self
            .final_offset
            .is_some_and(|last| end > last || fin && end != last);
        // The length of a stream, once told, is final (RFC 9000 §4.5).
        if beyond || fin && end < self.assembler.highest() {
            return Err("data beyond the FIN, or a FIN that moved");
        }
        let finished = fin && self.final_offset.is_none();
        if finished {
            self.final_offset = Some(end);
        }
        let before = self.assembler.contiguous_end();
        let new = self.assembler.insert(offset, data);
        self.received_bytes += new;
        self.window.on_received(
            now,
            self.received_bytes,
            round,
            self.assembler.limit_bytes(),
        );
        self.waited(now);
        let after = self.assembler.contiguous_end();
        Ok(Received {
            redundant_bytes: data.len() as u64 - new,
            finished,
            contiguous_end: (after > before).then_some(after),
        })
    }

    // Memory.

    /// What is allocated for the stream, bytes.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.assembler.held_bytes()
    }

    /// Sets how much may be allocated, bytes.
    pub(crate) const fn set_memory_limit(&mut self, limit_bytes: u64) {
        self.assembler.set_limit(limit_bytes);
    }

    /// Tells whether there is memory for the stream bytes of a packet, if it has any.
    pub(crate) fn has_room_for(&self, frames: Reader<'_>) -> bool {
        self.assembler.is_roomy()
            || Frames::new(frames).all(|frame| match frame {
                Ok(Frame::Stream { offset, data, .. }) => {
                    self.has_room_for_bytes(offset..offset + data.len() as u64)
                }
                _ => true,
            })
    }

    fn has_room_for_bytes(&self, bytes: Range<u64>) -> bool {
        // What lies beyond the window is a violation, and for the caller to find.
        if bytes.end <= self.assembler.contiguous_end() || bytes.end > self.window.offered() {
            return true;
        }
        let is_next = bytes.start <= self.assembler.contiguous_end();
        is_next && self.assembler.readable() < LEAST_READABLE_BYTES
            || self.assembler.has_room_for(bytes)
    }

    /// Tells whether the oldest byte that waits has done so for too long to keep memory that
    /// others want; `round` is the round-trip time.
    pub(crate) fn is_stale(&mut self, now: Time, round: Duration) -> bool {
        let (behind_gap, unread) = self.waited(now);
        let (least, most) = STALE_AFTER.into_inner();
        let is_waiting = self.received_bytes > self.assembler.read_offset();
        is_waiting && (behind_gap >= (STALE_ROUNDS * round).clamp(least, most) || unread >= most)
    }

    /// How long the oldest byte has waited for the gap before it, and how long to be read.
    fn waited(&mut self, now: Time) -> (Duration, Duration) {
        let (assembler, end) = (&self.assembler, self.assembler.highest());
        (
            self.behind_gap.waited(now, assembler.contiguous_end(), end),
            self.unread.waited(now, assembler.read_offset(), end),
        )
    }

    /// Frees what holds no byte.
    pub(crate) fn free_unused(&mut self) {
        self.assembler.free_unused();
    }

    /// Drops every byte that has not been read.
    pub(crate) fn discard(&mut self) {
        self.assembler.discard();
        self.received_bytes = self.assembler.read_offset();
    }

    /// Tells whether the receiver of go-back-N takes a packet: its stream bytes, if any, come
    /// next or are retransmitted.
    pub(crate) fn is_in_order(&self, frames: Reader<'_>) -> bool {
        Frames::new(frames).all(|frame| match frame {
            Ok(Frame::Stream { offset, .. }) => offset <= self.assembler.contiguous_end(),
            _ => true,
        })
    }

    /// The next bytes in order, at most `max`.
    pub(crate) fn read(&mut self, max: usize) -> Option<Bytes> {
        self.assembler.read(max)
    }

    /// Tells whether every byte up to the peer's FIN has been read.
    pub(crate) fn is_read_out(&self) -> bool {
        self.final_offset == Some(self.assembler.read_offset())
    }

    /// Tells whether the FIN has arrived, with or without all bytes before it.
    pub(crate) const fn has_fin(&self) -> bool {
        self.final_offset.is_some()
    }

    /// Tells whether every byte and the FIN have arrived.
    pub(crate) fn is_complete(&self) -> bool {
        self.final_offset == Some(self.assembler.contiguous_end())
    }

    /// Tells whether the window has moved far enough for a packet of its own.
    pub(crate) const fn should_offer_window(&self) -> bool {
        self.window.should_offer(self.assembler.read_offset())
    }

    /// The limit to offer to the peer now, an offset; it counts as offered.
    pub(crate) const fn offer_window(&mut self) -> u64 {
        let limit = self.window.limit(self.assembler.read_offset());
        self.window.on_offered(limit);
        limit
    }

    /// Bytes of window offered.
    pub(crate) const fn window_bytes(&self) -> u64 {
        self.window.window()
    }

    /// Tells whether every byte received lies within the window that was offered.
    #[cfg(test)]
    pub(crate) const fn is_within_window(&self) -> bool {
        self.assembler.contiguous_end() <= self.window.offered()
    }

    /// The bytes behind the stream, for tests that look inside.
    #[cfg(test)]
    pub(crate) const fn assembler(&self) -> &Assembler {
        &self.assembler
    }
}
