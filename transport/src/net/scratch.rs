//! Receive and send buffers, one pair per thread, lent to each driver while it is polled.
//!
//! The buffers stay in the processor's cache from one driver to the next, and a thousand sockets
//! take no more memory than one.

use std::cell::Cell;

use super::runtime::RecvBatch;

/// Capacity reserved for one burst, bytes.
const BURST_BYTES: usize = 64 * 1024;

thread_local! {
    static BATCH: Cell<Option<RecvBatch>> = const { Cell::new(None) };
    static BURST: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends an empty batch to `act`. A nested call gets a batch of its own.
pub(super) fn with_batch<R>(act: impl FnOnce(&mut RecvBatch) -> R) -> R {
    // Taken out, not borrowed: a nested call would find the cell borrowed and panic.
    let mut batch = BATCH.take().unwrap_or_default();
    batch.metas.clear();
    let result = act(&mut batch);
    BATCH.set(Some(batch));
    result
}

/// Lends an empty buffer for bursts, on the same terms; `act` may take its contents.
pub(super) fn with_burst<R>(act: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut burst = BURST.take();
    burst.clear();
    burst.reserve(BURST_BYTES);
    let result = act(&mut burst);
    BURST.set(burst);
    result
}
