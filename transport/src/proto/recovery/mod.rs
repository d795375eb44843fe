//! Packets in flight, what their acknowledgements teach, and when one is declared lost.
//!
//! Change here how losses are detected and how the path is measured; what follows for the
//! stream, the congestion window and the timers belongs in
//! [`connection`](super::connection). The room relies on [`ranges`](super::ranges) alone.
//!
//! | file | content |
//! |---|---|
//! | [`sent`] | packets sent, by number |
//! | [`loss`] | loss detection (RFC 9002 §6.1, RFC 8985) |
//! | [`rtt`] | round-trip time (RFC 9002 §5) |
//! | [`rate`] | delivery-rate samples |
//! | [`proactive`] | proactive retransmission into an unused window |
//! | [`mtu`] | datagram size and black holes (RFC 8899) |
//! | [`ecn`] | ECN validation (RFC 9000 §13.4.2) |

mod ecn;
mod loss;
mod mtu;
mod proactive;
mod rate;
mod rtt;
mod sent;

pub(super) use ecn::EcnState;
pub(super) use loss::LossDetector;
pub(super) use mtu::Mtu;
pub(super) use proactive::SparePass;
pub use rate::RateSample;
pub(super) use rate::{PacketRate, RateSampler};
pub(super) use rtt::{FirstRtt, RttEstimator};
pub(super) use sent::{Fate, SentPacket, SentPackets};
