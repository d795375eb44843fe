//! Counters of one connection.

use std::time::Duration;

/// What a connection has done so far, and its state. Sizes are bytes of UDP payload.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams sent.
    pub packets_sent: u64,
    /// Of those, the ones that carry data or ask for an answer.
    pub packets_sent_eliciting: u64,
    /// Packets that carried stream bytes for a second or later time.
    pub packets_retransmitted: u64,
    /// Packets given up as lost.
    pub packets_lost: u64,
    /// Of those, the ones acknowledged after all.
    pub spurious_losses: u64,
    /// Stream bytes that the peer has acknowledged. Bytes only written may wait in a send buffer of
    /// many megabytes; these have arrived.
    pub delivered_bytes: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Stream bytes sent for a second or later time.
    pub bytes_retransmitted: u64,
    /// Datagrams received.
    pub packets_received: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Datagrams received whose number had been received before.
    pub duplicates_received: u64,
    /// Stream bytes received that were there already.
    pub redundant_bytes_received: u64,
    /// Probe timeouts.
    pub probe_timeouts: u64,
    /// Times a packet could not be sent because the peer's window was full.
    pub rwnd_blocked: u64,
    /// Times the peer has proved a new address.
    pub migrations: u64,
    /// Times this side's key was changed.
    pub key_updates: u64,
    /// Samples of the round-trip time. Where there are none yet, the times below are guessed.
    pub rtt_samples: u64,
    /// Latest round-trip sample.
    pub latest_rtt: Duration,
    /// Smoothed round-trip time.
    pub smoothed_rtt: Duration,
    /// Least round-trip time.
    pub min_rtt: Duration,
    /// Congestion window.
    pub congestion_window_bytes: u64,
    /// Sent, neither acknowledged nor given up.
    pub bytes_in_flight: u64,
    /// The receive window now offered.
    pub receive_window_bytes: u64,
}
