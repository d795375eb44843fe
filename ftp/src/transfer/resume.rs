//! Resumption of an interrupted transfer: what the receiver holds, and whether the source is still
//! anything like it.

use lftp_transport::{Runtime, spawn_blocking};

use crate::protocol::HeldBlocks;
use crate::protocol::blocks::{self, BlockHash};
use crate::store::{BlockReader, ResumablePartial, Source, SourceBlocks, StoreError};

/// Describes the blocks with these hashes of a file of `size` bytes to the sender; `None` when
/// there are none.
pub(crate) fn held_blocks(
    runtime: &dyn Runtime,
    size: u64,
    hashes: &[BlockHash],
) -> Option<HeldBlocks> {
    let pick = || {
        let mut bytes = [0; 8];
        runtime.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    (!hashes.is_empty()).then(|| HeldBlocks::new(size, hashes, pick))
}

/// Describes a partial file to the sender.
pub(crate) fn held_of(runtime: &dyn Runtime, partial: &ResumablePartial) -> Option<HeldBlocks> {
    held_blocks(runtime, partial.size, &partial.hashes)
}

/// Compares samples of what the receiver holds with the source, seeks behind it, and returns the
/// number of held blocks; or 0, at the beginning, when the source is another file altogether. A
/// file of which a part has changed is continued: the blocks that differ are sent again at the end.
pub(crate) async fn seek_to_held(
    runtime: &dyn Runtime,
    mut source: Box<dyn Source>,
    held: &HeldBlocks,
) -> Result<(Box<dyn Source>, u64), StoreError> {
    // Nonsense from a peer is no error: the file is sent as a whole, and that always works.
    let Some(blocks) = held.blocks_of(source.size()) else {
        return Ok((source, 0));
    };
    let held = held.clone();
    spawn_blocking(runtime, move || {
        let blocks = if matches_any_sample(&*source, &held)? {
            blocks
        } else {
            tracing::info!("the source has changed since the interrupted transfer; it is sent from the beginning");
            0
        };
        source.seek(blocks::offset(blocks))?;
        Ok((source, blocks))
    })
    .await
}

/// Returns whether the source has one of the sampled blocks.
fn matches_any_sample(source: &dyn Source, held: &HeldBlocks) -> Result<bool, StoreError> {
    // On a handle of its own: the source's position is where sending begins.
    let mut blocks = SourceBlocks::new(source.reopen()?);
    for sample in &held.samples {
        // One match is enough: what differs is found and sent again at the end. None means another
        // file, of which nothing would be kept.
        if blocks.hash_block(sample.block)? == Some(sample.hash) {
            return Ok(true);
        }
    }
    Ok(false)
}
