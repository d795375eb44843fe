//! The blocks of a source, hashed one by one.

use super::error::StoreError;
use super::traits::{BlockReader, Source};
use crate::protocol::blocks::{self, BLOCK_BYTES, BlockHash};

/// Reads blocks of a source.
#[derive(Debug)]
pub(crate) struct SourceBlocks(Box<dyn Source>);

impl SourceBlocks {
    pub(crate) fn new(source: Box<dyn Source>) -> Self {
        Self(source)
    }

    /// Reads all of block `index`; `None` when the source ends before.
    pub(crate) fn read_block(&mut self, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.seek(blocks::offset(index))?;
        let mut block = Vec::new();
        while let Some(left) = left_of(&block) {
            let piece = self.0.read(left)?;
            if piece.is_empty() {
                return Ok(None);
            }
            block.extend_from_slice(&piece);
        }
        Ok(Some(block))
    }
}

impl BlockReader for SourceBlocks {
    fn hash_block(&mut self, index: u64) -> Result<Option<BlockHash>, StoreError> {
        let block = self.read_block(index)?;
        Ok(block.map(|block| BlockHash::of(index, &block)))
    }
}

fn left_of(block: &[u8]) -> Option<usize> {
    let whole = usize::try_from(BLOCK_BYTES).ok()?;
    whole.checked_sub(block.len()).filter(|&left| left > 0)
}
