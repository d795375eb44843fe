//! The blocks of a file that a receiver holds already, as it describes them.

use serde::{Deserialize, Serialize};

use super::blocks::{self, BLOCK_BYTES, BlockHash, Prefix};

/// Blocks that are compared with the source before a transfer is resumed.
const SAMPLES: usize = 4;

/// Subtrees accepted in a message: one for each bit of a block count.
const MAX_SUBTREES: usize = 64;

/// The first blocks of a file, verified and on the receiver's disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBlocks {
    /// Number of blocks.
    pub blocks: u64,
    /// Subtrees that the blocks form, largest first: the hash of the whole file follows from them
    /// and from the rest of the file.
    pub subtrees: Vec<BlockHash>,
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

impl HeldBlocks {
    /// Describes the blocks with these hashes; `pick` chooses samples besides the first and last.
    pub(crate) fn new(hashes: &[BlockHash], mut pick: impl FnMut() -> u64) -> Self {
        let prefix = Prefix::of(hashes);
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
            subtrees: prefix.subtrees().to_vec(),
            samples: chosen.into_iter().filter_map(sample).collect(),
        }
    }

    /// Returns what the peer holds of a file of `size` bytes; `None` when the message is inconsistent.
    pub(crate) fn prefix(&self, size: u64) -> Option<Prefix> {
        let is_within = self.blocks > 0 && self.blocks < blocks::count(size);
        let is_sampled = !self.samples.is_empty()
            && self.samples.len() <= SAMPLES
            && self.samples.iter().all(|sample| sample.block < self.blocks);
        if !is_within || !is_sampled || self.subtrees.len() > MAX_SUBTREES {
            return None;
        }
        debug_assert!(size > BLOCK_BYTES);
        Prefix::from_parts(self.blocks, self.subtrees.clone())
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
            let held = HeldBlocks::new(&hashes(count), || 7);
            let last = u64::from(count) - 1;
            assert_eq!(held.samples.first().unwrap().block, 0);
            assert_eq!(held.samples.last().unwrap().block, last);
            assert!(held.samples.len() <= SAMPLES);
            assert!(held.prefix((last + 2) * BLOCK_BYTES).is_some());
        }
    }

    #[test]
    fn an_inconsistent_message_is_not_accepted() {
        let size = 9 * BLOCK_BYTES;
        let held = HeldBlocks::new(&hashes(5), || 7);
        assert!(held.prefix(size).is_some());
        assert!(held.prefix(5 * BLOCK_BYTES).is_none(), "there is no more");
        let wrong = |change: &dyn Fn(&mut HeldBlocks)| {
            let mut wrong = held.clone();
            change(&mut wrong);
            assert!(wrong.prefix(size).is_none(), "{wrong:?}");
        };
        wrong(&|held| held.blocks = u64::MAX);
        wrong(&|held| held.blocks = 0);
        wrong(&|held| held.samples.clear());
        wrong(&|held| held.samples[0].block = 5);
        wrong(&|held| held.samples = vec![held.samples[0]; 5]);
        wrong(&|held| held.subtrees.push(BlockHash([0; 32])));
    }
}
