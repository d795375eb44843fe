//! Buffers that all drivers of a thread share, one after the other.
//!
//! A driver needs them while it is polled and not beyond. What one has just used is still in the
//! processor's cache for the next, and a thousand sockets take no more memory than one.

use std::cell::Cell;

use super::runtime::RecvBatch;

/// Reserved for one burst.
const BURST_BYTES: usize = 64 * 1024;

thread_local! {
    static BATCH: Cell<Option<RecvBatch>> = const { Cell::new(None) };
    static BURST: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends an empty batch. Whoever asks while it is lent gets one of their own.
pub(super) fn with_batch<R>(act: impl FnOnce(&mut RecvBatch) -> R) -> R {
    let mut batch = BATCH.take().unwrap_or_default();
    batch.metas.clear();
    let result = act(&mut batch);
    BATCH.set(Some(batch));
    result
}

/// Lends an empty buffer for bursts, on the same terms. Its contents may be taken away.
pub(super) fn with_burst<R>(act: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut burst = BURST.take();
    burst.clear();
    burst.reserve(BURST_BYTES);
    let result = act(&mut burst);
    BURST.set(burst);
    result
}
