//! The results of a run: the rows of the CSV files and the object of `summary.json`.
//!
//! Names are qlog's with a unit behind them; values are integers; empty means unknown.

use serde::{Deserialize, Serialize};

/// The results of one run, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunRecord {
    /// The numbers.
    pub summary: Summary,
    /// The senders' state over time.
    pub trace: Vec<TraceRow>,
    /// Every packet at the link, in the order of entry.
    pub packets: Vec<PacketRow>,
    /// Per interval.
    pub throughput: Vec<ThroughputRow>,
    /// The scenario, as TOML, with every `--set` applied.
    pub scenario_toml: String,
    /// The command that repeats this run.
    pub command: String,
    /// The bottleneck's queue limit, bytes on the link, where it has one.
    pub queue_limit_bytes: Option<u64>,
    /// The link's own round trip without queues, ns.
    pub link_rtt_ns: u64,
    /// The forward link's rate at the start, bits a second, where it has one.
    pub link_rate_bps: Option<u64>,
}

/// The object of `summary.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// The scenario's name.
    pub scenario: String,
    /// `real` or `virtual`.
    pub clock: String,
    /// The seed of everything random.
    pub seed: u64,
    /// In `compare`: the transport.
    #[serde(default)]
    pub peer: Option<String>,
    /// Congestion control.
    pub congestion: String,
    /// Loss recovery.
    pub recovery: String,
    /// True if every receiver's file equals its sender's.
    pub intact: bool,
    /// The reason why a transfer failed.
    #[serde(default)]
    pub failure: Option<String>,
    /// Bytes of the files.
    pub bytes: u64,
    /// Files transferred at once.
    pub flows: u32,
    /// From connect to the last byte confirmed.
    pub duration_ns: u64,
    /// `bytes` × 8 / duration.
    pub goodput_bps: u64,
    /// The UDP payload that can survive the link, independent of the protocol.
    pub achievable_bps: Option<u64>,
    /// Goodput / achievable.
    pub efficiency_ratio: Option<f64>,
    /// The same between 20 % and 95 % of the bytes.
    pub steady_ratio: Option<f64>,
    /// Jain's index over the flows' goodput.
    pub jain_index: Option<f64>,
    /// Each flow's share of the goodput in the last half of the time in which all of them ran,
    /// per cent, in the scenario's order, joined by `+`.
    #[serde(default)]
    pub shared_percent: Option<String>,
    /// Jain's index over the flows' goodput in that time.
    #[serde(default)]
    pub shared_jain_index: Option<f64>,
    /// For each change of the link's rate and each end of a blackout or pause: milliseconds
    /// until 90 % of the achievable rate has arrived for five round trips, or `never`; joined
    /// by `+`.
    #[serde(default)]
    pub recovery_ms: Option<String>,
    /// Datagrams sent by the data senders.
    pub packets_sent: u64,
    /// Of those, the ones with stream bytes sent before.
    pub packets_retransmitted: u64,
    /// Packets the link lost, both directions, queue drops included.
    pub packets_lost_on_link: u64,
    /// Of those, the bottleneck queue's.
    pub queue_drops: u64,
    /// Packets declared lost that had arrived.
    pub spurious_retransmissions: u64,
    /// Stream bytes that arrived more than once.
    pub redundant_bytes: u64,
    /// Bytes on the link, both directions, headers included.
    pub wire_bytes: u64,
    /// Round-trip samples of the data senders.
    pub rtt_min_ns: Option<u64>,
    /// Median.
    pub rtt_p50_ns: Option<u64>,
    /// 95th percentile.
    pub rtt_p95_ns: Option<u64>,
    /// 95th percentile of the forward packets' time in the link beyond its own delay.
    pub queue_delay_p95_ns: Option<u64>,
    /// True if the numbers are valid.
    pub valid: bool,
    /// The reason for either.
    pub validity: String,
    /// Median lateness of the proxy; 0 in virtual time.
    pub lateness_p50_ns: u64,
    /// 99th percentile.
    pub lateness_p99_ns: u64,
    /// Worst.
    pub lateness_max_ns: u64,
    /// Drops by the proxy itself.
    pub own_drops: u64,
    /// SHA-256 of every packet's times, size and outcome and of every event of the trace: equal
    /// if two runs are.
    pub trace_sha256: String,
    /// The version of the program.
    pub version: String,
}

/// A row of `trace.csv`: the state of one data sender.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct TraceRow {
    /// Since the start of the run.
    pub t_ns: u64,
    /// The transfer, counted from 0.
    pub flow: u32,
    /// `metrics_updated`, `packet_sent`, `packet_lost`, `spurious_loss`, ...
    pub event: &'static str,
    /// Congestion window.
    pub congestion_window_bytes: Option<u64>,
    /// Slow-start threshold.
    pub ssthresh_bytes: Option<u64>,
    /// Bytes sent, neither acknowledged nor declared lost.
    pub bytes_in_flight: Option<u64>,
    /// Smoothed round trip.
    pub smoothed_rtt_ns: Option<u64>,
    /// Latest sample.
    pub latest_rtt_ns: Option<u64>,
    /// Least sample.
    pub min_rtt_ns: Option<u64>,
    /// Pacing rate, bits a second.
    pub pacing_rate_bps: Option<u64>,
    /// Bytes left in the peer's receive window.
    pub rwnd_bytes: Option<u64>,
    /// Stream bytes acknowledged.
    pub delivered_bytes: Option<u64>,
    /// Probe timeouts in a row.
    pub pto_count: Option<u32>,
    /// The controller's state.
    pub phase: &'static str,
    /// For events of one packet: its number.
    pub packet_number: Option<u64>,
    /// Its size, UDP payload.
    pub packet_bytes: Option<u32>,
    /// The offset of its stream bytes.
    pub offset: Option<u64>,
    /// The number of its stream bytes.
    pub length: Option<u32>,
    /// `first` or `again` for a sent packet; the trigger for a lost one.
    pub detail: &'static str,
}

/// A row of `packets.csv`: one packet at the link.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct PacketRow {
    /// The time at which it entered the link.
    pub t_ns: u64,
    /// `forward` (with the data) or `reverse`.
    pub direction: &'static str,
    /// Its index among the packets of its direction.
    pub index: u64,
    /// Bytes on the link: UDP payload and headers.
    pub link_bytes: u32,
    /// UDP payload.
    pub payload_bytes: u32,
    /// Its outcome: `delivered`, `duplicate`, `corrupted`, or the cause of its loss: `lost`, `queue-drop`, ...
    pub fate: &'static str,
    /// The time at which it left the link, if it did.
    pub delivered_ns: Option<u64>,
    /// From entry to exit.
    pub one_way_delay_ns: Option<u64>,
    /// Bytes that waited in the bottleneck queue when it entered.
    pub queue_bytes: Option<u64>,
}

/// A row of `throughput.csv`: one interval.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct ThroughputRow {
    /// The start of the interval.
    pub t_ns: u64,
    /// The length of the interval.
    pub interval_ns: u64,
    /// UDP payload that entered the forward link.
    pub sent_bytes: u64,
    /// UDP payload that left it.
    pub delivered_bytes: u64,
    /// New stream bytes acknowledged, over all flows.
    pub goodput_bytes: u64,
    /// The most bytes that waited in the bottleneck queue.
    pub queue_bytes: u64,
    /// Packets dropped by that queue.
    pub queue_drops: u64,
    /// Packets lost on the wire, forward.
    pub lost_packets: u64,
    /// The capacity of the forward link in the interval, bytes on the link; empty: no limit.
    pub capacity_bytes: Option<u64>,
}
