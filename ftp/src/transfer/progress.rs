//! How far a transfer is, for whoever wants to see it.

/// Is told how far a transfer is. Calls are frequent and come from inside it: be quick.
pub trait Progress: Send + Sync {
    /// The transfer begins; the file has `total_bytes`.
    fn begin(&self, total_bytes: u64);

    /// So much of it has arrived at the receiver.
    fn at(&self, bytes: u64);

    /// The transfer goes on where an earlier one broke off: so much of the file is there, and
    /// verified. Follows [`begin`](Self::begin).
    fn resumed(&self, bytes: u64) {
        let _ = bytes;
    }

    /// There is more to come than was said: so much in all.
    fn grow(&self, total_bytes: u64) {
        let _ = total_bytes;
    }

    /// So much of it is verified and written at the receiver, from its beginning.
    fn verified(&self, bytes: u64) {
        let _ = bytes;
    }
}

/// Looks away.
impl Progress for () {
    fn begin(&self, _: u64) {}
    fn at(&self, _: u64) {}
}
