//! Resumption of an interrupted transfer: what the receiver holds, and whether the source still
//! has the same.

use lftp_transport::{Runtime, spawn_blocking};

use crate::protocol::HeldBlocks;
use crate::protocol::blocks::{self, BLOCK_BYTES, BlockHash, Prefix};
use crate::store::{Source, StoreError};

/// Describes the blocks with these hashes to the sender; `None` when there are none.
pub(crate) fn held_blocks(runtime: &dyn Runtime, hashes: &[BlockHash]) -> Option<HeldBlocks> {
    let pick = || {
        let mut bytes = [0; 8];
        runtime.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    (!hashes.is_empty()).then(|| HeldBlocks::new(hashes, pick))
}

/// Compares what the receiver holds with the source, and seeks behind it; to the beginning when
/// they differ.
pub(crate) async fn seek_to_held(
    runtime: &dyn Runtime,
    mut source: Box<dyn Source>,
    held: &HeldBlocks,
) -> Result<(Box<dyn Source>, Prefix), StoreError> {
    // Nonsense from a peer is no error: the file is sent as a whole, and that always works.
    let Some(prefix) = held.prefix(source.size()) else {
        return Ok((source, Prefix::default()));
    };
    let held = held.clone();
    spawn_blocking(runtime, move || {
        let prefix = if matches_samples(&mut *source, &held)? {
            prefix
        } else {
            tracing::info!("the source has changed since the interrupted transfer; it is sent from the beginning");
            Prefix::default()
        };
        source.seek(prefix.bytes())?;
        Ok((source, prefix))
    })
    .await
}

/// Returns whether the source has the sampled blocks.
fn matches_samples(source: &mut dyn Source, held: &HeldBlocks) -> Result<bool, StoreError> {
    for sample in &held.samples {
        source.seek(blocks::offset(sample.block))?;
        let mut block = Vec::new();
        while let Some(left) = left_of(&block) {
            let piece = source.read(left)?;
            // Shorter than what the receiver holds: another file.
            if piece.is_empty() {
                return Ok(false);
            }
            block.extend_from_slice(&piece);
        }
        if BlockHash::of(sample.block, &block) != sample.hash {
            return Ok(false);
        }
    }
    Ok(true)
}

fn left_of(block: &[u8]) -> Option<usize> {
    let whole = usize::try_from(BLOCK_BYTES).ok()?;
    whole.checked_sub(block.len()).filter(|&left| left > 0)
}
