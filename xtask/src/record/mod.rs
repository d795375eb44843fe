//! Listens to a run: what the senders do ([`sender`]), what becomes of the packets ([`link`]),
//! and what follows from both ([`summary`]).

mod link;
mod sender;
mod summary;
mod throughput;

pub(crate) use link::LinkLog;
pub(crate) use sender::{FlowLog, SenderLog};
pub(crate) use summary::{Outcome, Timing, Verdict, assemble, percentile};

/// How much is kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Only what the summary needs.
    Summary,
    /// Every row of every CSV file as well.
    Full,
}
