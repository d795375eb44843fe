//! Counters of one connection.

use std::time::Duration;

/// Counters of a connection and its present state. Sizes are bytes of UDP payload.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams sent.
    pub packets_sent: u64,
    /// Of those, the ones that are ack-eliciting: they carry data or ask for an answer.
    pub packets_sent_eliciting: u64,
    /// Packets that retransmitted stream bytes.
    pub packets_retransmitted: u64,
    /// Packets declared lost.
    pub packets_lost: u64,
    /// Of those, the ones acknowledged after all (spurious losses).
    pub spurious_losses: u64,
    /// Stream bytes that the peer has acknowledged. Bytes only written may wait in a send buffer of
    /// many megabytes; these have arrived.
    pub delivered_bytes: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Stream bytes retransmitted.
    pub bytes_retransmitted: u64,
    /// Datagrams received.
    pub packets_received: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Datagrams received whose number had been received before.
    pub duplicates_received: u64,
    /// Stream bytes received more than once.
    pub redundant_bytes_received: u64,
    /// Probe timeouts.
    pub probe_timeouts: u64,
    /// Times a packet could not be sent because the peer's window was full.
    pub rwnd_blocked: u64,
    /// Times the peer has moved to a new address and validated it.
    pub migrations: u64,
    /// Times this side's key was changed.
    pub key_updates: u64,
    /// Samples of the round-trip time. While there are none the times below are guesses.
    pub rtt_samples: u64,
    /// Latest round-trip sample.
    pub latest_rtt: Duration,
    /// Smoothed round-trip time.
    pub smoothed_rtt: Duration,
    /// Minimum round-trip time.
    pub min_rtt: Duration,
    /// Congestion window.
    pub congestion_window_bytes: u64,
    /// Bytes sent, neither acknowledged nor declared lost.
    pub bytes_in_flight: u64,
    /// The receive window, bytes.
    pub receive_window_bytes: u64,
}
