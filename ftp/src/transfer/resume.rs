//! Going on with a transfer that broke off: what is held, and whether the source still has it.

use lftp_transport::{Runtime, spawn_blocking};

use crate::protocol::Held;
use crate::protocol::blocks::{self, BLOCK_BYTES, BlockHash, Prefix};
use crate::store::{Source, StoreError};

/// What to tell the sender of blocks with these hashes; `None` when there are none.
pub(crate) fn held(runtime: &dyn Runtime, hashes: &[BlockHash]) -> Option<Held> {
    let pick = || {
        let mut bytes = [0; 8];
        runtime.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    };
    (!hashes.is_empty()).then(|| Held::new(hashes, pick))
}

/// Compares what the receiver holds with the source, and places the source behind it; at its
/// beginning when they differ.
pub(crate) async fn go_on(
    runtime: &dyn Runtime,
    mut source: Box<dyn Source>,
    held: &Held,
) -> Result<(Box<dyn Source>, Prefix), StoreError> {
    let Some(prefix) = held.prefix(source.size()) else {
        return Ok((source, Prefix::default()));
    };
    let held = held.clone();
    spawn_blocking(runtime, move || {
        let prefix = if is_of(&mut *source, &held)? {
            prefix
        } else {
            tracing::info!("the source is not the one that was begun with; it is sent anew");
            Prefix::default()
        };
        source.seek(prefix.bytes())?;
        Ok((source, prefix))
    })
    .await
}

/// Whether the source has the blocks that were sampled.
fn is_of(source: &mut dyn Source, held: &Held) -> Result<bool, StoreError> {
    for sample in &held.samples {
        source.seek(blocks::offset(sample.block))?;
        let mut block = Vec::new();
        while let Some(left) = left_of(&block) {
            let piece = source.read(left)?;
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
