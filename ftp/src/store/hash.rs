//! Hash of a stored file.

use blake3::{Hash, Hasher};
use lftp_transport::{Runtime, spawn_blocking};

use super::error::StoreError;
use super::traits::Source;

/// Bytes read and hashed at once; between two steps the caller can cancel.
const STEP_BYTES: usize = 16 << 20;

/// Reads a file to its end, and returns its length in bytes and its BLAKE3 hash.
///
/// # Errors
///
/// [`StoreError`] when it cannot be read.
pub async fn hash_source(
    runtime: &dyn Runtime,
    mut source: Box<dyn Source>,
) -> Result<(u64, Hash), StoreError> {
    let mut hasher = Hasher::new();
    loop {
        let step = spawn_blocking(runtime, move || {
            let bytes = source.read(STEP_BYTES)?;
            hasher.update(&bytes);
            Ok::<_, StoreError>((source, hasher, bytes.is_empty()))
        });
        let is_at_end;
        (source, hasher, is_at_end) = step.await?;
        if is_at_end {
            return Ok((hasher.count(), hasher.finalize()));
        }
    }
}
