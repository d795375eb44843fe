//! Congestion control: how many bytes may be in flight, and how fast they go out.
//!
//! The algorithms are dispatched by enum: no allocation, no indirection, and a match that
//! the compiler checks. A controller owns both the window and the pacing rate. It sees bytes
//! of packets that count as in flight, never streams.
//!
//! | file | algorithm |
//! |---|---|
//! | [`classic`] | the seed's: window of one packet, threshold of eight |
//! | [`newreno`] | RFC 9002 §7 |
//! | [`cubic`], [`hystart`] | RFC 9438 with the slow-start exit of RFC 9406 |
//! | [`bbr`] | a model of the path instead of a reaction to loss |
//! | [`bbr::v3`] | BBRv3 as it is published |

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::recovery::RateSample;
use crate::Time;
use crate::time::nanos;

mod bbr;
mod classic;
mod cubic;
mod hystart;
mod newreno;

#[cfg(test)]
mod tests;

/// A congestion control algorithm.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Congestion {
    /// The seed's: a window of one packet, a threshold of eight, halved on loss, not paced.
    /// The baseline.
    Classic,
    /// RFC 9002's NewReno: halves the window for every round trip with a loss.
    NewReno,
    /// RFC 9438's CUBIC with HyStart++ (RFC 9406): what most of the Internet runs.
    Cubic,
    /// BBR: paces at the bandwidth it measures and takes random loss for what it is.
    #[default]
    Bbr,
    /// BBRv3 as the IETF's draft has it (draft-ietf-ccwg-bbr): a baseline.
    Bbr3,
}

impl Congestion {
    /// All of them, the baseline first.
    pub const ALL: [Self; 5] = [
        Self::Classic,
        Self::NewReno,
        Self::Cubic,
        Self::Bbr,
        Self::Bbr3,
    ];

    /// The name used in scenarios and on command lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::NewReno => "newreno",
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            Self::Bbr3 => "bbr3",
        }
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No congestion control has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no congestion control is called {0:?}; there are classic, newreno, cubic, bbr and bbr3")]
pub struct UnknownCongestion(String);

impl FromStr for Congestion {
    type Err = UnknownCongestion;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| UnknownCongestion(name.to_owned()))
    }
}

/// What a controller starts from.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Params {
    /// The largest datagram sent, bytes of UDP payload.
    pub(crate) mss_bytes: u64,
    /// Packets that may go before the first acknowledgement. `classic` starts with one.
    pub(crate) initial_window_packets: u64,
}

/// What one acknowledgement brought.
#[derive(Copy, Clone, Debug)]
pub(crate) struct AckInfo<'a> {
    pub(crate) now: Time,
    pub(crate) sample: &'a RateSample,
    /// In flight after this acknowledgement and the losses it showed.
    pub(crate) bytes_in_flight: u64,
    /// In flight before it.
    pub(crate) prior_bytes_in_flight: u64,
    /// The highest packet number newly acknowledged.
    pub(crate) largest_acked: u64,
    pub(crate) largest_acked_sent_at: Time,
    pub(crate) smoothed_rtt: Duration,
    /// The window was not filled when this was sent, so it says nothing about the network.
    pub(crate) app_limited: bool,
    /// The number the next packet will have.
    pub(crate) next_packet_number: u64,
}

/// What one acknowledgement or timer declared lost.
#[derive(Copy, Clone, Debug)]
pub(crate) struct LossInfo {
    pub(crate) now: Time,
    pub(crate) lost_bytes: u64,
    /// The highest packet number declared lost.
    pub(crate) largest_lost: u64,
    pub(crate) largest_lost_sent_at: Time,
    /// Bytes in flight right after that packet was sent.
    pub(crate) tx_in_flight: u64,
    /// Bytes declared lost since then, these among them.
    pub(crate) lost_since_sent: u64,
    /// In flight after it.
    pub(crate) bytes_in_flight: u64,
    /// The number the next packet will have.
    pub(crate) next_packet_number: u64,
}

/// A connection's congestion controller.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one in a connection, itself far larger"
)]
pub(crate) enum Controller {
    Classic(classic::Classic),
    NewReno(newreno::NewReno),
    Cubic(cubic::Cubic),
    Bbr(Box<bbr::Bbr>),
    Bbr3(Box<bbr::v3::Bbr3>),
}

/// Calls the same method of whichever algorithm it is.
macro_rules! dispatch {
    ($self:expr, $algorithm:ident => $call:expr) => {
        match $self {
            Controller::Classic($algorithm) => $call,
            Controller::NewReno($algorithm) => $call,
            Controller::Cubic($algorithm) => $call,
            Controller::Bbr($algorithm) => $call,
            Controller::Bbr3($algorithm) => $call,
        }
    };
}

impl Controller {
    pub(crate) fn new(algorithm: Congestion, params: Params, now: Time) -> Self {
        match algorithm {
            Congestion::Classic => Self::Classic(classic::Classic::new(params)),
            Congestion::NewReno => Self::NewReno(newreno::NewReno::new(params)),
            Congestion::Cubic => Self::Cubic(cubic::Cubic::new(params)),
            Congestion::Bbr => Self::Bbr(Box::new(bbr::Bbr::new(params, now))),
            Congestion::Bbr3 => Self::Bbr3(Box::new(bbr::v3::Bbr3::new(params, now))),
        }
    }

    /// A packet that counts as in flight has gone out.
    pub(crate) fn on_sent(
        &mut self,
        now: Time,
        packet_number: u64,
        bytes: u64,
        bytes_in_flight_after: u64,
    ) {
        match self {
            Self::Bbr(bbr) => bbr.on_sent(now, packet_number, bytes, bytes_in_flight_after),
            Self::Bbr3(bbr) => bbr.on_sent(now, packet_number, bytes, bytes_in_flight_after),
            Self::Classic(_) | Self::NewReno(_) | Self::Cubic(_) => {}
        }
    }

    /// After [`Self::on_loss`] of the same acknowledgement, if it showed any.
    pub(crate) fn on_ack(&mut self, ack: &AckInfo<'_>) {
        dispatch!(self, algorithm => algorithm.on_ack(ack));
    }

    /// One call for each acknowledgement or timer that declared losses.
    pub(crate) fn on_loss(&mut self, loss: &LossInfo) {
        dispatch!(self, algorithm => algorithm.on_loss(loss));
    }

    /// Every loss of the last episode proved not to be one.
    pub(crate) fn on_spurious(&mut self, now: Time) {
        dispatch!(self, algorithm => algorithm.on_spurious(now));
    }

    /// RFC 9002 §7.6: everything sent over several probe timeouts was lost.
    pub(crate) fn on_persistent_congestion(&mut self, now: Time) {
        dispatch!(self, algorithm => algorithm.on_persistent_congestion(now));
    }

    /// The network marked a packet sent at `sent_at` instead of dropping it.
    pub(crate) fn on_ce(&mut self, now: Time, sent_at: Time) {
        dispatch!(self, algorithm => algorithm.on_ce(now, sent_at));
    }

    /// The fixed timer of go-back-n ran out and everything in flight is given up.
    pub(crate) fn on_retransmission_timeout(&mut self, now: Time) {
        dispatch!(self, algorithm => algorithm.on_retransmission_timeout(now));
    }

    /// Bytes that may be in flight.
    pub(crate) fn window_bytes(&self) -> u64 {
        dispatch!(self, algorithm => algorithm.window_bytes())
    }

    /// Where slow start ends, if the algorithm has it and it is known.
    pub(crate) fn ssthresh_bytes(&self) -> Option<u64> {
        match self {
            Self::Classic(classic) => Some(classic.ssthresh_bytes()),
            Self::NewReno(newreno) => newreno.ssthresh_bytes(),
            Self::Cubic(cubic) => cubic.ssthresh_bytes(),
            Self::Bbr(_) | Self::Bbr3(_) => None,
        }
    }

    /// How fast to send; `None` is as fast as the window allows.
    pub(crate) fn pacing_rate_bytes_per_second(
        &self,
        smoothed_rtt: Option<Duration>,
    ) -> Option<u64> {
        match self {
            Self::Classic(_) => None,
            Self::NewReno(newreno) => window_pacing(
                newreno.window_bytes(),
                newreno.in_slow_start(),
                smoothed_rtt,
            ),
            Self::Cubic(cubic) => {
                window_pacing(cubic.window_bytes(), cubic.in_slow_start(), smoothed_rtt)
            }
            Self::Bbr(bbr) => Some(bbr.pacing_rate(smoothed_rtt)),
            Self::Bbr3(bbr) => Some(bbr.pacing_rate(smoothed_rtt)),
        }
    }

    /// The algorithm's state, for traces.
    pub(crate) fn phase(&self) -> &'static str {
        dispatch!(self, algorithm => algorithm.phase())
    }

    /// The path's datagram size has changed.
    pub(crate) fn set_mss(&mut self, mss_bytes: u64) {
        dispatch!(self, algorithm => algorithm.set_mss(mss_bytes));
    }
}

/// The window over the round trip, a little faster so that pacing never is what limits
/// (RFC 9002 §7.7), twice that in slow start, where the window doubles meanwhile.
fn window_pacing(window: u64, slow_start: bool, smoothed_rtt: Option<Duration>) -> Option<u64> {
    let rtt_ns = u128::from(nanos(smoothed_rtt?).max(1));
    let (numerator, denominator) = if slow_start { (2, 1) } else { (5, 4) };
    let rate = u128::from(window) * 1_000_000_000 * numerator / (rtt_ns * denominator);
    Some(u64::try_from(rate).unwrap_or(u64::MAX))
}

/// Whether the window was what held the sender back; one half full could grow without ever
/// having been tried (RFC 9002 §7.8).
fn window_was_used(ack: &AckInfo<'_>, window: u64) -> bool {
    !ack.app_limited && ack.prior_bytes_in_flight >= window / 2
}
