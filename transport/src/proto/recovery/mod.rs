//! Packets in flight, what their acknowledgements teach, and when one is declared lost.
//!
//! Change here how losses are detected, how long to wait and how the path is measured; what
//! follows for the stream, the congestion window and the timers belongs in
//! [`connection`](super::connection). The room relies on [`ranges`](super::ranges), and for
//! proactive retransmission on [`send`](super::send).
//!
//! | file | content |
//! |---|---|
//! | [`loss_recovery`] | the whole of it, as a connection sees it |
//! | [`sent`] | packets sent, by number |
//! | [`loss`] | loss detection (RFC 9002 §6.1, RFC 8985) |
//! | [`episode`] | losses that one reduction answers |
//! | [`skipped`] | packet numbers left out, against optimistic acknowledgements |
//! | [`probe_timeout`] | probe timeouts and their backoff (RFC 9002 §6.2) |
//! | [`rtt`] | round-trip time (RFC 9002 §5) |
//! | [`rate`] | delivery-rate samples |
//! | [`proactive`] | proactive retransmission into an unused window |
//! | [`mtu`] | datagram size and black holes (RFC 8899) |
//! | [`ecn`] | ECN validation (RFC 9000 §13.4.2) |

mod ecn;
mod episode;
mod loss;
mod loss_recovery;
mod mtu;
mod proactive;
mod probe_timeout;
mod rate;
mod rtt;
mod sent;
mod skipped;

pub(super) use ecn::EcnState;
#[cfg(test)]
pub(super) use loss::LossDetector;
pub use loss::LossTrigger;
pub(super) use loss_recovery::{LossRecovery, LossTimeout};
pub(super) use mtu::Mtu;
pub(super) use proactive::{ProactiveRetransmission, SenderState};
pub use rate::RateSample;
#[cfg(test)]
pub(super) use rate::{PacketRate, RateSampler};
pub(super) use rtt::{FirstRtt, RttEstimator};
pub(super) use sent::{SentPacket, SentState};
pub(super) use skipped::SkipSecret;
