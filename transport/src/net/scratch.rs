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
    static BURST: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

/// Lends an empty batch. Whoever asks while it is lent gets one of their own.
pub(super) fn with_batch<R>(act: impl FnOnce(&mut RecvBatch) -> R) -> R {
    let mut batch = BATCH.take().unwrap_or_default();
    batch.metas.clear();
    let result = act(&mut batch);
    BATCH.set(Some(batch));
    result
}

/// An empty buffer for a burst.
pub(super) fn take_burst() -> Vec<u8> {
    let mut burst = BURST
        .take()
        .unwrap_or_else(|| Vec::with_capacity(BURST_BYTES));
    burst.clear();
    burst
}

/// Gives it back.
pub(super) fn give_burst(burst: Vec<u8>) {
    BURST.set(Some(burst));
}
