//! The blocks of a file that a receiver holds already, as it describes them.

use serde::{Deserialize, Serialize};

use super::blocks::{self, BLOCK_BYTES, BlockHash};

/// Blocks that are compared with the source before a transfer is resumed.
const SAMPLES: usize = 4;

/// The first blocks of a file, as far as the receiver knows. What they are worth is found out
/// beside the transfer: see [`Again`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBlocks {
    /// Number of blocks.
    pub blocks: u64,
    /// Size of the whole file, in bytes.
    pub size: u64,
    /// Hashes of some of the blocks, for the sender to compare.
    pub samples: Vec<BlockSample>,
}

/// One of the held blocks.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSample {
    /// Index of the block.
    pub block: u64,
    /// Hash of the block.
    pub hash: BlockHash,
}

/// Blocks of the held ones that the sender sends again, because its source has others or because
/// the receiver's disk does. An empty list is the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// Indices of the blocks, in ascending order, over all messages of a file.
    pub again: Vec<u64>,
}

/// Tells a waiting sender that the receiver is alive and reads.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Number of held blocks that were read again so far.
    pub checked: u64,
}

impl HeldBlocks {
    /// Describes the blocks with these hashes of a file of `size` bytes; `pick` chooses samples
    /// besides the first and last.
    pub(crate) fn new(size: u64, hashes: &[BlockHash], mut pick: impl FnMut() -> u64) -> Self {
        let count = hashes.len() as u64;
        let mut chosen = vec![0, count.saturating_sub(1)];
        chosen.extend((2..SAMPLES).map(|_| pick() % count.max(1)));
        chosen.sort_unstable();
        chosen.dedup();
        let sample = |block: u64| {
            let hash = *hashes.get(usize::try_from(block).ok()?)?;
            Some(BlockSample { block, hash })
        };
        Self {
            blocks: count,
            size,
            samples: chosen.into_iter().filter_map(sample).collect(),
        }
    }

    /// Returns how many blocks of a file of `size` bytes the peer holds; `None` when the message is
    /// inconsistent, or about a file of another size.
    pub(crate) fn blocks_of(&self, size: u64) -> Option<u64> {
        let is_within = self.blocks > 0 && self.blocks < blocks::count(size);
        let is_sampled = !self.samples.is_empty()
            && self.samples.len() <= SAMPLES
            && self.samples.iter().all(|sample| sample.block < self.blocks);
        if !is_within || !is_sampled || self.size != size {
            return None;
        }
        debug_assert!(size > BLOCK_BYTES);
        Some(self.blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(count: u8) -> Vec<BlockHash> {
        (0..count).map(|i| BlockHash([i; 32])).collect()
    }

    #[test]
    fn the_first_and_the_last_block_are_always_among_the_samples() {
        for count in 1..20 {
            let held = HeldBlocks::new((u64::from(count) + 1) * BLOCK_BYTES, &hashes(count), || 7);
            let last = u64::from(count) - 1;
            assert_eq!(held.samples.first().unwrap().block, 0);
            assert_eq!(held.samples.last().unwrap().block, last);
            assert!(held.samples.len() <= SAMPLES);
            assert!(held.blocks_of((last + 2) * BLOCK_BYTES).is_some());
        }
    }

    #[test]
    fn an_inconsistent_message_is_not_accepted() {
        let size = 9 * BLOCK_BYTES;
        let held = HeldBlocks::new(size, &hashes(5), || 7);
        assert_eq!(held.blocks_of(size), Some(5));
        assert!(held.blocks_of(size + 1).is_none(), "another file");
        let whole = HeldBlocks::new(5 * BLOCK_BYTES, &hashes(5), || 7);
        assert!(
            whole.blocks_of(5 * BLOCK_BYTES).is_none(),
            "there is no more"
        );
        let wrong = |change: &dyn Fn(&mut HeldBlocks)| {
            let mut wrong = held.clone();
            change(&mut wrong);
            assert!(wrong.blocks_of(size).is_none(), "{wrong:?}");
        };
        wrong(&|held| held.blocks = u64::MAX);
        wrong(&|held| held.blocks = 0);
        wrong(&|held| held.samples.clear());
        wrong(&|held| held.samples[0].block = 5);
        wrong(&|held| held.samples = vec![held.samples[0]; 5]);
    }
}
