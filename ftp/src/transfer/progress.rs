//! Progress of a transfer, for display.

/// Observer of a transfer's progress. Calls are frequent and made from inside the transfer, so they
/// must return quickly.
pub trait Progress: Send + Sync {
    /// Called when the transfer starts; the file has `total_bytes`.
    fn begin(&self, total_bytes: u64);

    /// Called when this many bytes have arrived at the receiver.
    fn at(&self, bytes: u64);

    /// Called after [`begin`](Self::begin) when the transfer resumes an interrupted one: this many
    /// bytes are verified already.
    fn resumed(&self, bytes: u64) {
        let _ = bytes;
    }

    /// Called when the total size turns out to be larger.
    fn grow(&self, total_bytes: u64) {
        let _ = total_bytes;
    }

    /// Called when this many bytes from the beginning are verified and written at the receiver.
    fn verified(&self, bytes: u64) {
        let _ = bytes;
    }
}

/// Ignores all progress.
impl Progress for () {
    fn begin(&self, _: u64) {}
    fn at(&self, _: u64) {}
}
