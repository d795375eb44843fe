//! Memory in use, as the allocator of this program counts it.

use std::sync::atomic::{AtomicUsize, Ordering};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

static PEAK: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are allocated now.
pub(crate) fn allocated() -> usize {
    let stats = ALLOCATOR.stats();
    let bytes = stats
        .bytes_allocated
        .saturating_sub(stats.bytes_deallocated);
    PEAK.fetch_max(bytes, Ordering::Relaxed);
    bytes
}

/// The most that [`allocated`] has returned since the last call.
pub(crate) fn take_peak() -> usize {
    PEAK.swap(0, Ordering::Relaxed)
}
