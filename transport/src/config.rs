//! Every setting of the transport, its default, and the reason for the default.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::crypto::{Cipher, Identity, PeerVerifier};
use crate::proto::Observer;
pub use crate::proto::congestion::Congestion;
use crate::proto::congestion::{Controller, ControllerFactory, Params};

/// Loss detection and retransmission.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// Acknowledged ranges, packet and time thresholds, probe timeouts (RFC 9002, RFC 8985).
    #[default]
    Selective,
    /// The seed's, as a baseline: the receiver drops what is out of order, and the sender starts
    /// again at the first missing byte when a fixed timer expires.
    GoBackN,
}

impl Recovery {
    /// The name in scenarios and on command lines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Selective => "selective",
            Self::GoBackN => "go-back-n",
        }
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of an unknown recovery name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no recovery is called {0:?}; there are \"selective\" and \"go-back-n\"")]
pub struct UnknownRecovery(String);

impl FromStr for Recovery {
    type Err = UnknownRecovery;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Selective, Self::GoBackN]
            .into_iter()
            .find(|recovery| recovery.as_str() == name)
            .ok_or_else(|| UnknownRecovery(name.to_owned()))
    }
}

/// Memory that several listeners share: those whose settings hold clones of one value are bounded
/// together by [`Config::memory_limit_bytes`], which should then be the same for all.
#[derive(Clone, Debug, Default)]
pub struct SharedMemory {
    used_bytes: Arc<AtomicU64>,
}

impl SharedMemory {
    /// Bytes that all listeners together hold for their peers.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Counts `after` bytes in the place of `before`.
    pub(crate) fn change(&self, before: u64, after: u64) {
        // Two's complement: what wraps below zero wraps back.
        self.used_bytes
            .fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }
}

/// The settings of an endpoint and its connections.
///
/// # Memory
///
/// The most that peers can make this side hold; `tests/memory.rs` and `tests/siege.rs` measure it
/// in the allocator. How it is shared, and what happens beyond: `docs/RESOURCES.md`.
///
/// | for each | bytes |
/// |---|---|
/// | half-open handshake | 4 KiB for the first 64, 3 KiB for each beyond; [`half_open_limit`](Self::half_open_limit) of them |
/// | idle connection | 16 KiB; [`listen_limit`](Self::listen_limit) of them |
/// | and unread received bytes | [`max_receive_window_bytes`](Self::max_receive_window_bytes), and six blocks of 64 KiB |
/// | and ranges of them behind gaps | 32 each; 16,384 of them |
/// | and unacknowledged written bytes | [`send_buffer_bytes`](Self::send_buffer_bytes), and the one write that exceeded it |
/// | all of these of a listener | [`memory_limit_bytes`](Self::memory_limit_bytes) |
/// | and packets sent in the last few round trips | 256 each, a sixth of the bytes in them |
/// | and gaps in the received packets | 512 ranges of packet numbers, 16 KiB; older numbers count as received |
/// | queued reply to an unvalidated address | 1.5 KiB; 64 of them |
///
/// A client that has been sent a cookie costs nothing. One IPv4 address, or one /64 of IPv6, is
/// limited to [`address_limit`](Self::address_limit) handshakes and connections. The drivers of one
/// thread share 0.6 MiB of buffers and add nothing else of note.
#[derive(Clone, Debug)]
pub struct Config {
    /// Congestion control. Default `fathom`: the only one here that keeps a lossy link busy.
    pub congestion: Congestion,
    /// Congestion control of the caller's own, in place of [`congestion`](Self::congestion).
    /// Default none.
    pub controller_factory: Option<Arc<dyn ControllerFactory>>,
    /// Loss recovery. Default `selective`. Both ends should agree.
    pub recovery: Recovery,
    /// The largest datagram sent, in bytes of UDP payload; 20 fewer on an IPv6 path.
    /// Default 1,472: a 1,500-byte MTU less the IPv4 and UDP headers.
    pub max_datagram_bytes: usize,
    /// The initial congestion window, in packets. Default 32: above the 10 of RFC 9002 §7.2, but
    /// paced over the round trip that the handshake has just measured.
    pub initial_window_packets: u32,
    /// An upper bound on packets in flight, whatever the controller says. Default none; the
    /// seed's is 16.
    pub fixed_window_packets: Option<u32>,
    /// A factor on the pacing rate, in thousandths, for experiments. Default 1,000.
    pub pacing_permille: u32,
    /// The initial receive window, in bytes. Default 8 MiB, so that start-up on a long, fast path
    /// is not limited by it.
    pub receive_window_bytes: u64,
    /// The upper bound of the receive window, in bytes. Default 64 MiB, 5 BDP of 500 Mbit/s over
    /// 200 ms; a listener's is lower, by [`memory_limit_bytes`](Self::memory_limit_bytes).
    pub max_receive_window_bytes: u64,
    /// The send buffer, in bytes written but not yet acknowledged. Default 64 MiB: at 10 % loss, the
    /// unacknowledged range spans 5 to 6 BDP.
    pub send_buffer_bytes: u64,
    /// The memory that the peers of a listener can make it hold, bytes: 24 KiB for each
    /// connection, 3 KiB for each half-open handshake, and what accepted connections hold
    /// beyond that: received bytes that wait, by what is allocated for them, and written bytes
    /// that are not acknowledged. In the last quarter a network (IPv4 /24, IPv6 /48) gets
    /// half of an equal share; a connection that gets nothing loses packets as if the path had, and those
    /// that hold memory and have made no progress for seconds are ended. Default 56 MiB: 42 MiB
    /// for one connection alone, 3 BDP of 500 Mbit/s over 200 ms.
    pub memory_limit_bytes: u64,
    /// The other listeners with which [`memory_limit_bytes`](Self::memory_limit_bytes) is shared.
    /// Default none.
    pub shared_memory: Option<SharedMemory>,
    /// Bytes written but not yet sent beyond which a write waits (Linux's `TCP_NOTSENT_LOWAT`):
    /// bytes sent soon after they were written are still in the processor's cache. Default 1 MiB.
    pub unsent_bytes: u64,
    /// Time without a packet from the peer after which a connection fails. Default 30 s.
    pub idle_timeout: Duration,
    /// Time without a packet from the peer after which a PING is sent, unless packets are in flight
    /// that must be acknowledged anyway. Default none.
    pub keep_alive: Option<Duration>,
    /// The round-trip time of an earlier connection on the same path (RFC 9002 §6.2.2). Default
    /// none.
    pub initial_rtt: Option<Duration>,
    /// The retransmission timeout of handshake packets; from the fifth on it doubles, up to 3 s. A
    /// client's first two timeouts are a quarter and a half of it, or one and a half times
    /// [`initial_rtt`](Self::initial_rtt) where that is known. Default 200 ms: longer than the round
    /// trip of most paths; on a lossy path, the whole second of RFC 6298 would make up most of a
    /// short transfer. On a longer path, a SYN is retransmitted needlessly.
    pub handshake_retry: Duration,
    /// The most retransmissions of a handshake packet. Default 20, 43 s in all (3, as in the original
    /// protocol, fail too soon at 40 % loss).
    pub handshake_retries: u32,
    /// The most connections of a listener. Beyond, a newcomer gets the place of the connection
    /// that has been silent longest, of the host that holds most in the network (IPv4 /24, IPv6
    /// /48) that holds most, or else in its own; it is refused if it would then hold as many.
    /// Those that are over and wait for late packets do not count. Default 1,024.
    pub listen_limit: usize,
    /// The most half-open handshakes of a listener. Beyond, a client that has shown a cookie gets
    /// the place of the oldest handshake of the host that holds most, in the network (IPv4 /24,
    /// IPv6 /48) that holds most. Default 8,192: a client keeps its place against an attacker with
    /// fewer networks than that.
    pub half_open_limit: usize,
    /// Half-open handshakes from which on a listener keeps no state for a client until it has
    /// validated its address by a cookie. Default 64.
    pub cookie_threshold: usize,
    /// The most connections and handshakes of one IPv4 address, or one /64 of IPv6, with a listener.
    /// Beyond, its oldest handshake is given up if it is older than a second, and else further
    /// SYNs are refused. Default 256.
    pub address_limit: usize,
    /// This side's key pair. Default none: every endpoint generates one of its own.
    pub identity: Option<Identity>,
    /// Decides which peers may connect. Default none: all may.
    pub verifier: Option<Arc<dyn PeerVerifier>>,
    /// The preferred cipher. Default none: the processor's fastest. AES is used when both sides
    /// prefer it.
    pub cipher: Option<Cipher>,
    /// Packets sealed with one key before it is updated. Default 2²⁰, an eighth of AES-GCM's limit.
    pub key_update_packets: u64,
    /// The longest delay of an acknowledgement. Default 25 ms (RFC 9000 §18.2); on a short path an
    /// eighth of the round trip.
    pub max_ack_delay: Duration,
    /// The fixed retransmission timer of `go-back-n`. Default 1 s, as in the original protocol.
    pub go_back_n_timeout: Duration,
    /// Marks packets ECT(0) and responds to CE. Default on.
    pub ecn: bool,
    /// Receives the trace events of every connection. Default none.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            congestion: Congestion::default(),
            controller_factory: None,
            recovery: Recovery::Selective,
            max_datagram_bytes: 1472,
            initial_window_packets: 32,
            fixed_window_packets: None,
            pacing_permille: 1000,
            receive_window_bytes: 8 << 20,
            max_receive_window_bytes: 64 << 20,
            send_buffer_bytes: 64 << 20,
            memory_limit_bytes: 56 << 20,
            shared_memory: None,
            unsent_bytes: 1 << 20,
            idle_timeout: Duration::from_secs(30),
            keep_alive: None,
            initial_rtt: None,
            handshake_retry: Duration::from_millis(200),
            handshake_retries: 20,
            listen_limit: 1024,
            half_open_limit: 8192,
            cookie_threshold: 64,
            address_limit: 256,
            identity: None,
            verifier: None,
            cipher: None,
            key_update_packets: 1 << 20,
            max_ack_delay: Duration::from_millis(25),
            go_back_n_timeout: Duration::from_secs(1),
            ecn: true,
            observer: None,
        }
    }
}

impl Config {
    /// Creates the controller of a connection.
    pub(crate) fn build_controller(&self, params: &Params) -> Box<dyn Controller> {
        match &self.controller_factory {
            Some(factory) => factory.build(params),
            None => self.congestion.build(params),
        }
    }

    /// The transport of the original protocol: `classic` and `go-back-n`, a window of 16
    /// packets of 1,024 bytes.
    pub fn original() -> Self {
        Self {
            congestion: Congestion::Classic,
            recovery: Recovery::GoBackN,
            max_datagram_bytes: 1024 + crate::proto::DATA_OVERHEAD_BYTES,
            fixed_window_packets: Some(16),
            ..Self::default()
        }
    }
}
