//! The stream's bytes on the sending side, kept until they are acknowledged.
//!
//! A rope of the chunks as the application wrote them: nothing is copied before it goes into a
//! packet, except that small writes are gathered. Every byte is in one of four states:
//! acknowledged, lost and to be retransmitted, in flight, or unsent. As in TCP, only an
//! acknowledged prefix makes room (RFC 9293 §3.8).

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use crate::proto::ranges::RangeSet;

/// Writes up to this size are copied together: a chunk's bookkeeping would outweigh them.
const SMALL_WRITE_BYTES: usize = 1024;

/// Small writes are gathered in chunks of at most this size.
const GATHERED_BYTES: usize = 16 * 1024;

#[derive(Debug)]
enum Data {
    Shared(Bytes),
    Gathered(Vec<u8>),
}

#[derive(Debug)]
struct Chunk {
    start: u64,
    data: Data,
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Shared(bytes) => bytes,
            Data::Gathered(bytes) => bytes,
        }
    }

    fn end(&self) -> u64 {
        self.start + self.bytes().len() as u64
    }
}

/// Written bytes and their states.
#[derive(Debug)]
pub(crate) struct SendBuffer {
    capacity_bytes: u64,
    /// The most unsent bytes with which there is room for more.
    most_unsent: u64,
    /// Without gaps, up to `end`; none lies wholly below the acknowledged prefix.
    chunks: VecDeque<Chunk>,
    end: u64,
    /// The next offset to be sent for the first time; never an acknowledged one.
    sent: u64,
    acked: RangeSet,
    /// Always below `sent` and disjoint from `acked`.
    lost: RangeSet,
    unacked_bytes: u64,
}

impl SendBuffer {
    pub(crate) const fn new(capacity_bytes: u64, unsent_bytes: u64) -> Self {
        Self {
            capacity_bytes,
            most_unsent: unsent_bytes,
            chunks: VecDeque::new(),
            end: 0,
            sent: 0,
            acked: RangeSet::new(),
            lost: RangeSet::new(),
            unacked_bytes: 0,
        }
    }

    /// Bytes that may be written now.
    pub(crate) fn room(&self) -> u64 {
        // Two limits: acknowledged bytes free memory, but an unsent backlog as large as that would
        // delay what the application writes next behind all of it.
        let unacked = self
            .capacity_bytes
            .saturating_sub(self.end - self.acked_prefix());
        unacked.min(self.most_unsent.saturating_sub(self.end - self.sent))
    }

    /// Takes bytes to send, all of them; a caller that saw room may exceed it once.
    pub(crate) fn write(&mut self, bytes: Bytes) {
        let len = bytes.len();
        if len == 0 {
            return;
        }
        let start = self.end;
        self.end += len as u64;
        self.unacked_bytes += len as u64;
        // Kept as it is: a copy would cost more than the chunk's entry.
        if len > SMALL_WRITE_BYTES {
            self.chunks.push_back(Chunk {
                start,
                data: Data::Shared(bytes),
            });
            return;
        }
        match self.chunks.back_mut() {
            Some(Chunk {
                data: Data::Gathered(tail),
                ..
            }) if tail.len() + len <= GATHERED_BYTES => {
                tail.extend_from_slice(&bytes);
            }
            _ => {
                let data = Data::Gathered(bytes.to_vec());
                self.chunks.push_back(Chunk { start, data });
            }
        }
    }

    /// The offset behind the last byte written.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// The offset behind the last byte sent.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Every byte below this offset is acknowledged, and this one is not.
    pub(crate) fn acked_prefix(&self) -> u64 {
        self.acked
            .peek_first()
            .filter(|first| first.start == 0)
            .map_or(0, |first| first.end)
    }

    /// Bytes sent at least once and not acknowledged.
    pub(crate) const fn outstanding_bytes(&self) -> u64 {
        self.unacked_bytes.saturating_sub(self.end - self.sent)
    }

    /// Bytes acknowledged, each counted once.
    pub(crate) const fn acked_bytes(&self) -> u64 {
        self.end - self.unacked_bytes
    }

    /// Bytes written and not acknowledged.
    #[cfg(test)]
    pub(crate) const fn unacked_bytes(&self) -> u64 {
        self.unacked_bytes
    }

    /// Bytes held: those behind the acknowledged prefix, and what came in one write with them.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.chunks
            .front()
            .map_or(0, |first| self.end - first.start)
    }

    /// Drops what is held: nothing will be sent any more.
    pub(crate) fn discard(&mut self) {
        self.chunks = VecDeque::new();
    }

    /// Tells whether every byte written is acknowledged.
    pub(crate) const fn is_fully_acked(&self) -> bool {
        self.unacked_bytes == 0
    }

    /// Tells whether lost bytes wait to be retransmitted.
    pub(crate) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Lost bytes that wait to be retransmitted.
    #[cfg(test)]
    pub(crate) fn lost_bytes(&self) -> u64 {
        self.lost.iter().map(|range| range.end - range.start).sum()
    }

    /// Tells whether bytes wait to be sent for the first time.
    pub(crate) const fn has_unsent(&self) -> bool {
        self.sent < self.end
    }

    /// Bytes that wait to be sent for the first time.
    #[cfg(test)]
    pub(crate) fn unsent_bytes(&self) -> u64 {
        self.acked
            .missing_in(self.sent..self.end)
            .map(|gap| gap.end - gap.start)
            .sum()
    }

    /// The lowest lost bytes, at most `max_len` of them; they count as in flight again.
    pub(crate) fn next_lost(&mut self, max_len: u64) -> Option<Range<u64>> {
        self.lost.pop_first_within(max_len)
    }

    /// The next bytes that were never sent, at most `max_len` of them and all below
    /// `limit_offset`; they count as sent.
    pub(crate) fn next_new(&mut self, max_len: u64, limit_offset: u64) -> Option<Range<u64>> {
        let end = self
            .sent
            .saturating_add(max_len)
            .min(self.end)
            .min(limit_offset);
        // After a rewind parts of what follows may be acknowledged: they are not sent again.
        let range = self.acked.missing_in(self.sent..end).next()?;
        self.sent = range.end;
        self.skip_acked();
        Some(range)
    }

    /// The oldest bytes at or after `from` that were sent and are not acknowledged, at most
    /// `max_len` of them.
    pub(crate) fn next_unacked(&self, from: u64, max_len: u64) -> Option<Range<u64>> {
        let gap = self
            .acked
            .missing_in(from..self.sent)
            .next()
            .filter(|_| max_len > 0)?;
        Some(gap.start..gap.end.min(gap.start.saturating_add(max_len)))
    }

    /// Takes an acknowledgement of bytes; gives how many of them are acknowledged for the first
    /// time. Ranges may come in any order and more than once.
    pub(crate) fn on_acked(&mut self, range: Range<u64>) -> u64 {
        debug_assert!(range.end <= self.end, "only written bytes are acknowledged");
        let new = self.acked.insert(range.clone());
        if new == 0 {
            return 0;
        }
        self.unacked_bytes -= new;
        self.lost.remove(range.clone());
        // Only after a rewind: acknowledged bytes in front of `sent` count as sent.
        if range.end > self.sent {
            self.skip_acked();
        }
        let prefix = self.acked_prefix();
        while self
            .chunks
            .front()
            .is_some_and(|front| front.end() <= prefix)
        {
            self.chunks.pop_front();
        }
        new
    }

    /// Schedules for retransmission those of the bytes that are sent and not acknowledged.
    pub(crate) fn on_lost(&mut self, range: Range<u64>) {
        // Parts may have been acknowledged in another packet, and after a rewind the rest counts as
        // unsent: neither is lost.
        for gap in self.acked.missing_in(range.start..range.end.min(self.sent)) {
            self.lost.insert(gap);
        }
    }

    /// Goes back: everything from `to` on counts as unsent, but for what is acknowledged.
    pub(crate) fn rewind(&mut self, to: u64) {
        if to < self.sent {
            self.lost.remove(to..self.sent);
            self.sent = to;
            self.skip_acked();
        }
    }

    /// Appends bytes that are written and not acknowledged.
    ///
    /// # Panics
    ///
    /// When some of them are no longer, or not yet, held.
    pub(crate) fn copy(&self, range: Range<u64>, out: &mut Vec<u8>) {
        let first = self
            .chunks
            .partition_point(|chunk| chunk.start <= range.start);
        let mut at = range.start;
        for chunk in self.chunks.range(first.saturating_sub(1)..) {
            if at >= range.end {
                return;
            }
            let from = (at - chunk.start) as usize;
            let bytes = chunk.bytes();
            let to = bytes.len().min((range.end - chunk.start) as usize);
            out.extend_from_slice(&bytes[from..to]);
            at = chunk.start + to as u64;
        }
        assert!(at >= range.end, "bytes to copy are held");
    }

    fn skip_acked(&mut self) {
        let unsent = self.acked.missing_in(self.sent..self.end).next();
        self.sent = unsent.map_or(self.end, |gap| gap.start);
    }
}

#[cfg(test)]
mod tests;
