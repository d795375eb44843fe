//! The times of a transfer.

/// The times of one transfer, and its outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timing {
    /// The time at which its client started to connect.
    pub started_ns: u64,
    /// The time of the receiver's confirmation or of the failure.
    pub ended_ns: u64,
    /// The file's size.
    pub bytes: u64,
    /// The reason of a failure.
    pub failure: Option<String>,
    /// True if the receiver's file equals the sender's.
    pub intact: bool,
}
