//! The logs of a run: of its senders ([`sender`]) and of its packets ([`link`]),
//! and the numbers derived from them ([`summary`]), among them how flows share ([`sharing`])
//! and how soon a changed network is full again ([`recovery`]).
//!
//! Every number of a report is derived here, and the hash by which two runs are the same: a change
//! moves the gate's baseline. Relies on the transport's observer and the link's records; knows
//! neither the clock of a run nor how it is shown.

mod link;
mod recovery;
mod sender;
mod sharing;
mod summary;
mod throughput;
mod timing;
mod validity;

pub(crate) use link::LinkLog;
pub(crate) use sender::{FlowLog, SenderLog};
pub(crate) use summary::{Outcome, assemble, percentile};
pub(crate) use timing::Timing;
pub(crate) use validity::Validity;

/// The level of detail that is kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Only what the summary needs.
    Summary,
    /// Every row of every CSV file as well.
    Full,
}

/// Bytes over a time, bits a second.
fn rate_bps(bytes: u64, duration_ns: u64) -> u64 {
    let bits = u128::from(bytes) * 8 * 1_000_000_000;
    u64::try_from(bits / u128::from(duration_ns.max(1))).unwrap_or(u64::MAX)
}
