//! The stream's bytes on the receiving side, kept until the application reads them.
//!
//! Blocks of [`BLOCK_BYTES`] lie side by side, found by offset; a byte is copied once, from the
//! datagram to its place. Reading splits the contiguous front off a block and returns it
//! without copying, and a block whose pieces have all been dropped is used again.
//!
//! A block is allocated when the first byte of it arrives, and [`held_bytes`] counts what is
//! allocated rather than what has arrived: a byte at the end of each block costs its sender
//! little and this side a block. The first block of a stream, and any for which there is no
//! more room, is only as large as its bytes so far reach: most control connections never fill
//! one.
//!
//! [`held_bytes`]: Assembler::held_bytes

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::proto::ranges::RangeSet;

/// The size of a block, and so the most that one read gives.
const BLOCK_BYTES: usize = 64 * 1024;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// The size of the smallest allocation for a block.
const LEAST_BLOCK_BYTES: usize = 4 * 1024;

/// Blocks kept for reuse: with fewer, an allocator that returns memory at once has it faulted
/// in again.
const MAX_SPARES: usize = 4;

/// The largest receive window: an offset farther ahead is a bug of the caller.
const MAX_SPAN_BYTES: u64 = 1 << 40;

/// The most ranges behind gaps. At 20 % loss 500 Mbit/s over 200 ms make some 5,000.
const MAX_RANGES: usize = 16_384;

/// What a range takes, with the growth of its set, bytes.
const RANGE_BYTES: u64 = 32;

/// What a place for a block takes, with the growth of the ring, bytes.
const PLACE_BYTES: u64 = 16;

/// Received bytes, in their places.
#[derive(Debug)]
pub(crate) struct Assembler {
    blocks: Blocks,
    contiguous_end: u64,
    /// Ranges received behind a gap.
    beyond: RangeSet,
    highest: u64,
}

impl Assembler {
    pub(crate) const fn new() -> Self {
        Self {
            blocks: Blocks {
                ring: VecDeque::new(),
                start: 0,
                spares: VecDeque::new(),
                allocated_bytes: 0,
                limit_bytes: u64::MAX,
            },
            contiguous_end: 0,
            beyond: RangeSet::new(),
            highest: 0,
        }
    }

    /// Takes received bytes; gives how many of them are new. Of bytes that come twice the first
    /// copy stays. The caller has checked that they lie within the receive window.
    pub(crate) fn insert(&mut self, offset: u64, data: &[u8]) -> u64 {
        let end = offset + data.len() as u64;
        debug_assert!(end.saturating_sub(self.read_offset()) <= MAX_SPAN_BYTES);
        let start = offset.max(self.contiguous_end);
        if end <= start {
            return 0;
        }
        let mut new = 0;
        for gap in self.beyond.missing_in(start..end) {
            let bytes = &data[(gap.start - offset) as usize..(gap.end - offset) as usize];
            self.blocks.place(gap.start, bytes);
            new += gap.end - gap.start;
        }
        if start == self.contiguous_end {
            self.contiguous_end = end;
            while let Some(next) = self.beyond.peek_first()
                && next.start <= self.contiguous_end
            {
                self.contiguous_end = self.contiguous_end.max(next.end);
                self.beyond.pop_first();
            }
        } else {
            self.beyond.insert(start..end);
        }
        self.highest = self.highest.max(end);
        new
    }

    /// The next bytes in order, at most `max`; `None` when there are none. A piece ends at the
    /// latest where its block does, and keeps the block's memory for as long as it lives.
    pub(crate) fn read(&mut self, max: usize) -> Option<Bytes> {
        let len = self.readable().min(max as u64) as usize;
        if len == 0 {
            return None;
        }
        self.blocks.take(len)
    }

    // Memory.

    /// What is allocated for the stream, bytes.
    pub(crate) fn held_bytes(&self) -> u64 {
        let places = self.blocks.ring.len() as u64 * PLACE_BYTES;
        self.blocks.allocated_bytes + places + self.beyond.len() as u64 * RANGE_BYTES
    }

    /// Sets how much may be allocated, bytes.
    pub(crate) const fn set_limit(&mut self, limit_bytes: u64) {
        self.blocks.limit_bytes = limit_bytes;
    }

    /// How much may be allocated, bytes.
    pub(crate) const fn limit_bytes(&self) -> u64 {
        self.blocks.limit_bytes
    }

    /// Tells whether any packet fits, whatever it holds.
    pub(crate) fn is_roomy(&self) -> bool {
        // A packet is in two blocks at most.
        self.held_bytes() + 2 * BLOCK + RANGE_BYTES <= self.blocks.limit_bytes
            && self.beyond.len() < MAX_RANGES
    }

    /// Tells whether these bytes can be kept: there is memory for them, and a place among the
    /// ranges.
    pub(crate) fn has_room_for(&self, range: Range<u64>) -> bool {
        let start = range.start.max(self.contiguous_end);
        let is_island = start > self.contiguous_end && !self.beyond.touches(start..range.end);
        if is_island && self.beyond.len() >= MAX_RANGES {
            return false;
        }
        let growth =
            self.blocks.least_growth(start..range.end) + u64::from(is_island) * RANGE_BYTES;
        growth == 0 || self.held_bytes() + growth <= self.blocks.limit_bytes
    }

    /// Frees what holds no byte: blocks kept for reuse, and one that has been read so far as it
    /// was filled.
    pub(crate) fn free_unused(&mut self) {
        self.blocks.spares.clear();
        if self.readable() == 0 && self.beyond.is_empty() {
            self.blocks.ring.clear();
        }
        self.blocks.ring.shrink_to_fit();
        self.blocks.recount();
    }

    /// Drops every byte that has not been read, as if it had never come.
    pub(crate) fn discard(&mut self) {
        self.blocks.ring.clear();
        self.contiguous_end = self.blocks.start;
        self.beyond = RangeSet::new();
        self.free_unused();
    }

    // Offsets.

    /// The offset of the next byte to read.
    pub(crate) const fn read_offset(&self) -> u64 {
        self.blocks.start
    }

    /// The offset of the first byte that is missing.
    pub(crate) const fn contiguous_end(&self) -> u64 {
        self.contiguous_end
    }

    /// The offset behind the highest byte received.
    pub(crate) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Ranges behind gaps.
    #[cfg(test)]
    pub(crate) fn range_count(&self) -> usize {
        self.beyond.len()
    }

    /// Bytes received and not read, those behind gaps included.
    #[cfg(test)]
    pub(crate) fn buffered_bytes(&self) -> u64 {
        let beyond = self.beyond.iter().map(|range| range.end - range.start);
        self.readable() + beyond.sum::<u64>()
    }

    /// Bytes that can be read now.
    pub(crate) const fn readable(&self) -> u64 {
        self.contiguous_end - self.blocks.start
    }
}

/// The memory of a part of the stream.
#[derive(Debug)]
struct Block {
    bytes: BytesMut,
    /// The size of the allocation, of which pieces may have been cut off.
    allocated_bytes: u64,
}

impl Block {
    fn new(size: usize) -> Self {
        Self {
            bytes: BytesMut::with_capacity(size),
            allocated_bytes: size as u64,
        }
    }
}

/// The memory behind the window.
#[derive(Debug)]
struct Blocks {
    /// The first holds `start`; each is as long as its bytes so far reach, gaps zeroed.
    ring: VecDeque<Option<Box<Block>>>,
    /// Bytes below this offset have been read, and cut off the first block.
    start: u64,
    /// The last blocks read to their end, the oldest first; each can be reused once all its
    /// pieces are dropped.
    spares: VecDeque<Box<Block>>,
    /// The sum over the ring and the spares.
    allocated_bytes: u64,
    /// Beyond this, blocks are no larger than they have to be.
    limit_bytes: u64,
}

impl Blocks {
    /// Copies bytes to their place, which is empty.
    fn place(&mut self, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let index = offset / BLOCK;
            let (now, rest) = bytes.split_at(bytes.len().min((BLOCK - offset % BLOCK) as usize));
            let at = self.place_in_block(offset);
            let block = self.block(index, at + now.len());
            if let Some(place) = block.get_mut(at..at + now.len()) {
                place.copy_from_slice(now);
            } else {
                // A block ends with a byte received: what is missing lies before or behind it.
                debug_assert!(at >= block.len());
                block.resize(at, 0);
                block.extend_from_slice(now);
            }
            offset += now.len() as u64;
            bytes = rest;
        }
    }

    /// How far behind the first unread byte of its block an offset lies.
    fn place_in_block(&self, offset: u64) -> usize {
        (offset - self.start.max(offset / BLOCK * BLOCK)) as usize
    }

    /// A block with room for `reach` bytes that have not been read.
    fn block(&mut self, index: u64, reach: usize) -> &mut BytesMut {
        let position = (index - self.start / BLOCK) as usize;
        if position >= self.ring.len() {
            self.ring.resize_with(position + 1, || None);
        }
        let held = self.ring[position].take();
        let block = match held {
            Some(block) if reach <= block.bytes.capacity() => block,
            held => self.larger_block(index, reach, held),
        };
        &mut self.ring[position].insert(block).bytes
    }

    /// A new block in the place of one that is too small, or of none.
    fn larger_block(&mut self, index: u64, reach: usize, held: Option<Box<Block>>) -> Box<Block> {
        let before = held.as_ref().map_or(0, |block| block.allocated_bytes);
        let has_room = self.allocated_bytes - before + BLOCK <= self.limit_bytes;
        let size = if index > 0 && has_room {
            BLOCK_BYTES
        } else {
            least_size(reach)
        };
        let spare = held.is_none().then(|| self.take_spare()).flatten();
        let mut block = spare.unwrap_or_else(|| {
            self.allocated_bytes += size as u64;
            Box::new(Block::new(size))
        });
        if let Some(held) = held {
            block.bytes.extend_from_slice(&held.bytes);
            self.allocated_bytes -= held.allocated_bytes;
        }
        block
    }

    /// A block that was used before; the pieces of it have been dropped.
    fn take_spare(&mut self) -> Option<Box<Block>> {
        // The last one used is the likeliest to be in the processor's cache.
        let reclaimed = |spare: &mut Box<Block>| spare.bytes.try_reclaim(BLOCK_BYTES);
        let found = self.spares.iter_mut().rposition(reclaimed)?;
        self.spares.remove(found)
    }

    /// What has to be allocated for bytes, at least.
    fn least_growth(&self, range: Range<u64>) -> u64 {
        let (mut growth, mut offset) = (0, range.start);
        while offset < range.end {
            let end = range.end.min((offset / BLOCK + 1) * BLOCK);
            let position = (offset / BLOCK - self.start / BLOCK) as usize;
            let reach = self.place_in_block(offset) + (end - offset) as usize;
            growth += match self.ring.get(position) {
                Some(Some(block)) if reach <= block.bytes.capacity() => 0,
                Some(Some(block)) => {
                    (least_size(reach) as u64).saturating_sub(block.allocated_bytes)
                }
                Some(None) => least_size(reach) as u64,
                None => {
                    let places = (position + 1 - self.ring.len()) as u64;
                    least_size(reach) as u64 + places * PLACE_BYTES
                }
            };
            offset = end;
        }
        growth
    }

    /// Splits off the front, at most `max` bytes of the first block.
    fn take(&mut self, max: usize) -> Option<Bytes> {
        let block = &mut self.ring.front_mut()?.as_mut()?.bytes;
        let len = max.min(block.len());
        let piece = block.split_to(len).freeze();
        self.start += len as u64;
        if self.start.is_multiple_of(BLOCK)
            && let Some(block) = self.ring.pop_front().flatten()
        {
            self.keep_spare(block);
        }
        Some(piece)
    }

    /// Keeps a block for reuse, if it is a full one.
    fn keep_spare(&mut self, block: Box<Block>) {
        let is_full = block.allocated_bytes == BLOCK;
        let dropped = if is_full {
            self.spares.push_back(block);
            (self.spares.len() > MAX_SPARES)
                .then(|| self.spares.pop_front())
                .flatten()
        } else {
            Some(block)
        };
        self.allocated_bytes -= dropped.map_or(0, |block| block.allocated_bytes);
    }

    fn recount(&mut self) {
        let blocks = self.ring.iter().flatten().chain(&self.spares);
        self.allocated_bytes = blocks.map(|block| block.allocated_bytes).sum();
    }
}

/// The size of the smallest allocation with room for `reach` bytes.
fn least_size(reach: usize) -> usize {
    reach
        .next_power_of_two()
        .clamp(LEAST_BLOCK_BYTES, BLOCK_BYTES)
}

#[cfg(test)]
mod tests;
