//! The interface of a congestion controller, and the arguments of its calls.
//!
//! A controller owns both the window and the pacing rate. The connection calls it for every packet
//! that counts as in flight and reads both back before it sends the next one. All sizes are bytes
//! of UDP payload, all times are handed in: a controller reads no clock and uses no randomness,
//! so that a seed gives the same run again.

use std::fmt;
use std::time::Duration;

use crate::Time;
use crate::proto::recovery::RateSample;
use crate::time::nanos;

/// A connection's congestion controller: window and pacing rate.
///
/// Order of the calls for one acknowledgement: [`on_lost`](Self::on_lost) if it showed losses,
/// [`on_ce`](Self::on_ce) if it reported marks, then [`on_acked`](Self::on_acked).
pub trait Controller: fmt::Debug + Send + Sync {
    /// Bytes that may be in flight. Less than one datagram sends nothing ever again.
    fn window_bytes(&self) -> u64;

    /// Handles an acknowledgement of at least one packet.
    fn on_acked(&mut self, ack: &AckInfo<'_>);

    /// Handles losses, once for each acknowledgement or timer that declared any.
    fn on_lost(&mut self, loss: &LossInfo);

    /// Handles a congestion mark (CE) on a packet sent at `sent_at`.
    ///
    /// Required, because RFC 3168 §5 asks for the same answer as to a loss: to ignore a mark is
    /// a decision. A connection with [`Config::ecn`](crate::Config::ecn) off never calls it.
    fn on_ce(&mut self, now: Time, sent_at: Time);

    /// Handles persistent congestion: everything sent over several probe timeouts was lost.
    /// RFC 9002 §7.6.2 asks for the minimum window.
    fn on_persistent_congestion(&mut self, now: Time);

    /// Handles the fixed timer of go-back-n, which declares everything in flight lost.
    fn on_retransmission_timeout(&mut self, now: Time) {
        self.on_persistent_congestion(now);
    }

    /// Handles a packet that counts as in flight and has just been sent.
    fn on_sent(&mut self, _sent: &SentInfo) {}

    /// Handles the end of an episode of which every loss was spurious (RFC 9438 §4.9).
    fn on_spurious(&mut self, _now: Time) {}

    /// Handles a change of the path's datagram size, in either direction.
    fn on_mtu(&mut self, _mss_bytes: u64) {}

    /// Pacing rate, bytes a second; `None` sends as fast as the window allows.
    ///
    /// `smoothed_rtt` is `None` before the first sample. The connection sends a packet a round trip
    /// at least, whatever the rate. The default spreads the window over the
    /// round trip (RFC 9002 §7.7), which serves a controller that decides by its window alone.
    fn pacing_rate_bytes_per_second(&self, smoothed_rtt: Option<Duration>) -> Option<u64> {
        window_pacing(self.window_bytes(), self.in_slow_start(), smoothed_rtt)
    }

    /// Slow-start threshold, bytes, where the algorithm has one and it is set.
    fn ssthresh_bytes(&self) -> Option<u64> {
        None
    }

    /// Returns true while the window doubles each round trip; the default pacing is then twice
    /// as fast as the window.
    fn in_slow_start(&self) -> bool {
        self.ssthresh_bytes()
            .is_some_and(|ssthresh| self.window_bytes() < ssthresh)
    }

    /// Name of the present state, for traces.
    fn phase(&self) -> &'static str {
        if self.in_slow_start() {
            "slow-start"
        } else {
            "congestion-avoidance"
        }
    }

    /// Reports further numbers for traces, each with a name that ends in its unit; they reach an
    /// [`Observer`](crate::Observer) as
    /// [`TraceEvent::ControllerField`](crate::TraceEvent::ControllerField). Called only when there
    /// is one.
    fn trace_fields(&self, _report: &mut dyn FnMut(&'static str, u64)) {}
}

/// Creates the controllers of an endpoint's connections.
///
/// [`Congestion`](super::Congestion) is one for each built-in algorithm. One of the caller's own
/// goes into [`Config::controller_factory`](crate::Config::controller_factory); see
/// `examples/own_controller.rs`.
pub trait ControllerFactory: fmt::Debug + Send + Sync {
    /// Creates the controller of a new connection, or of one that has moved to another network.
    fn build(&self, params: &Params) -> Box<dyn Controller>;
}

/// Initial parameters of a controller.
#[derive(Copy, Clone, Debug)]
pub struct Params {
    /// The present time.
    pub now: Time,
    /// Largest datagram sent, bytes of UDP payload.
    pub mss_bytes: u64,
    /// [`Config::initial_window_packets`](crate::Config::initial_window_packets).
    pub initial_window_packets: u64,
}

/// A packet that has just been sent.
#[derive(Copy, Clone, Debug)]
pub struct SentInfo {
    /// The present time.
    pub now: Time,
    /// Its number; numbers rise and are never reused.
    pub packet_number: u64,
    /// Its size.
    pub bytes: u64,
    /// Bytes in flight, this packet included.
    pub bytes_in_flight: u64,
}

/// One acknowledgement.
#[derive(Copy, Clone, Debug)]
pub struct AckInfo<'a> {
    /// The present time.
    pub now: Time,
    /// Delivery rate, round-trip time and byte counts.
    pub sample: &'a RateSample,
    /// Bytes in flight after this acknowledgement and the losses it showed.
    pub bytes_in_flight: u64,
    /// Bytes in flight before both.
    pub prior_bytes_in_flight: u64,
    /// Highest packet number newly acknowledged.
    pub largest_acked: u64,
    /// Time at which that packet was sent.
    pub largest_acked_sent_at: Time,
    /// Smoothed round-trip time (RFC 9002 §5.3).
    pub smoothed_rtt: Duration,
    /// True if the application, not the window, limited the sender when that packet was sent:
    /// the acknowledgement says nothing about the network (RFC 9002 §7.8).
    pub app_limited: bool,
    /// Number of the next packet.
    pub next_packet_number: u64,
}

/// The losses that one acknowledgement or timer declared.
#[derive(Copy, Clone, Debug)]
pub struct LossInfo {
    /// The present time.
    pub now: Time,
    /// Bytes declared lost.
    pub lost_bytes: u64,
    /// Highest packet number declared lost.
    pub largest_lost: u64,
    /// Time at which that packet was sent.
    pub largest_lost_sent_at: Time,
    /// Bytes in flight right after that packet was sent.
    pub tx_in_flight: u64,
    /// Bytes declared lost since then, these included.
    pub lost_since_sent: u64,
    /// Bytes in flight after the losses.
    pub bytes_in_flight: u64,
    /// Number of the next packet.
    pub next_packet_number: u64,
}

impl AckInfo<'_> {
    /// Returns true if `window` was what held the sender back. One half full could otherwise grow
    /// without ever having been tried (RFC 9002 §7.8).
    pub fn window_was_used(&self, window: u64) -> bool {
        !self.app_limited && self.prior_bytes_in_flight >= window / 2
    }
}

/// The window over the round trip, bytes a second.
fn window_pacing(window: u64, slow_start: bool, smoothed_rtt: Option<Duration>) -> Option<u64> {
    let rtt_ns = u128::from(nanos(smoothed_rtt?).max(1));
    // A quarter faster than the window, so that pacing is never the limit (RFC 9002 §7.7); twice
    // as fast in slow start, where the window doubles within the round trip.
    let (numerator, denominator) = if slow_start { (2, 1) } else { (5, 4) };
    let rate = u128::from(window) * 1_000_000_000 * numerator / (rtt_ns * denominator);
    Some(u64::try_from(rate).unwrap_or(u64::MAX))
}
