//! What a connection tells an [`Observer`]: the events a trace is made of, with qlog's names.

use std::fmt;
use std::net::SocketAddr;

use super::Connection;
use crate::Time;
use crate::time::nanos;

/// Is told what connections do. Calls come from inside the state machine: be quick.
pub trait Observer: Send + Sync + fmt::Debug {
    /// One event of one connection.
    fn observe(&self, now: Time, flow: FlowId, event: &TraceEvent);
}

/// Which connection, seen from which side.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    /// Whether this side began the connection.
    pub is_client: bool,
    /// This side's connection id.
    pub id: u32,
    /// The peer.
    pub remote: SocketAddr,
}

/// Why a packet was given up.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossTrigger {
    /// Enough later packets were acknowledged.
    PacketThreshold,
    /// A later packet was acknowledged long enough ago.
    TimeThreshold,
    /// A timer ran out with nothing heard.
    Timeout,
}

/// The sender's state, as qlog's `recovery:metrics_updated` has it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Congestion window, bytes.
    pub congestion_window_bytes: u64,
    /// Slow-start threshold, bytes, where the controller has one and it is set.
    pub ssthresh_bytes: Option<u64>,
    /// Sent, neither acknowledged nor given up, bytes.
    pub bytes_in_flight: u64,
    /// Smoothed round-trip time, ns.
    pub smoothed_rtt_ns: Option<u64>,
    /// Latest round-trip sample, ns.
    pub latest_rtt_ns: Option<u64>,
    /// Least round-trip time, ns.
    pub min_rtt_ns: Option<u64>,
    /// Pacing rate, bits a second, where the controller paces.
    pub pacing_rate_bps: Option<u64>,
    /// Bytes the peer's receive window still takes.
    pub rwnd_bytes: u64,
    /// Stream bytes acknowledged so far.
    pub delivered_bytes: u64,
    /// Probe timeouts in a row.
    pub pto_count: u32,
    /// The controller's state.
    pub phase: &'static str,
}

/// One thing that happened.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceEvent {
    /// The handshake is complete.
    Established,
    /// The sender's state after an acknowledgement, a loss or a timeout.
    MetricsUpdated(Metrics),
    /// A further number of the congestion controller
    /// ([`Controller::trace_fields`](crate::congestion::Controller::trace_fields)), after
    /// [`MetricsUpdated`](Self::MetricsUpdated).
    ControllerField {
        /// Its name, which ends in its unit.
        name: &'static str,
        /// Its value.
        value: u64,
    },
    /// A packet that carries data or asks for an answer was sent.
    PacketSent {
        /// Its number.
        packet_number: u64,
        /// UDP payload.
        bytes: u32,
        /// The stream bytes it carries: where they begin,
        offset: Option<u64>,
        /// and how many.
        length: u32,
        /// Whether any of them was sent before.
        retransmission: bool,
    },
    /// A packet was given up.
    PacketLost {
        /// Its number.
        packet_number: u64,
        /// UDP payload.
        bytes: u32,
        /// Why.
        trigger: LossTrigger,
    },
    /// A packet that had been given up was acknowledged after all.
    SpuriousLoss {
        /// Its number.
        packet_number: u64,
    },
    /// Stream bytes can be read in order up to this offset.
    Received {
        /// The first byte still missing.
        contiguous_end: u64,
    },
    /// The connection is over.
    Closed,
}

impl Connection {
    /// Tells the sender's state.
    pub(crate) fn trace_metrics(&self, now: Time) {
        if self.config.observer.is_none() {
            return;
        }
        let sampled = self.rtt.is_sampled();
        let known = |duration| sampled.then(|| nanos(duration));
        self.trace(
            now,
            &TraceEvent::MetricsUpdated(Metrics {
                congestion_window_bytes: self.controller.window_bytes(),
                ssthresh_bytes: self.controller.ssthresh_bytes(),
                bytes_in_flight: self.sent.bytes_in_flight(),
                smoothed_rtt_ns: known(self.rtt.smoothed()),
                latest_rtt_ns: known(self.rtt.latest()),
                min_rtt_ns: known(self.rtt.min()),
                pacing_rate_bps: self.pacing_rate().map(|rate| rate.saturating_mul(8)),
                rwnd_bytes: self.send_window.limit().saturating_sub(self.highest_sent),
                delivered_bytes: self.recover.delivered_bytes(),
                pto_count: self.recover.pto_count(),
                phase: self.controller.phase(),
            }),
        );
        self.controller.trace_fields(&mut |name, value| {
            self.trace(now, &TraceEvent::ControllerField { name, value });
        });
    }
}
