//! The events a trace is made of, with qlog's names, and the [`Observer`] that takes them.

use std::fmt;
use std::net::SocketAddr;

use crate::Time;
use crate::proto::recovery::LossTrigger;

/// Receives the events of connections. Calls come from inside the state machine: be quick.
pub trait Observer: Send + Sync + fmt::Debug {
    /// Takes one event of one connection.
    fn observe(&self, now: Time, flow: FlowId, event: &TraceEvent);
}

/// A connection's name in traces, seen from one side.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId {
    /// This side started the connection.
    pub is_client: bool,
    /// This side's connection id.
    pub id: u32,
    /// The peer's address at the start.
    pub remote: SocketAddr,
}

/// The sender's state, as qlog's `recovery:metrics_updated` has it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Congestion window, bytes.
    pub congestion_window_bytes: u64,
    /// Slow-start threshold, bytes, where the controller has one and it is set.
    pub ssthresh_bytes: Option<u64>,
    /// Bytes sent, neither acknowledged nor declared lost.
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

/// One event.
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
        /// UDP payload, bytes.
        bytes: u32,
        /// The offset of its stream bytes; `None` when it carries none.
        offset: Option<u64>,
        /// The number of its stream bytes.
        length: u32,
        /// Some of them had been sent before.
        retransmission: bool,
    },
    /// A packet was declared lost.
    PacketLost {
        /// Its number.
        packet_number: u64,
        /// UDP payload, bytes.
        bytes: u32,
        /// The rule that declared it lost.
        trigger: LossTrigger,
    },
    /// A packet that had been declared lost was acknowledged after all.
    SpuriousLoss {
        /// Its number.
        packet_number: u64,
    },
    /// Stream bytes have arrived without a gap up to an offset.
    Received {
        /// The offset of the first byte still missing.
        contiguous_end: u64,
    },
    /// The connection is over.
    Closed,
}
