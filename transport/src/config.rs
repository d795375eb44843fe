//! Every knob of the transport, its default, and why that is the default.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::{Cipher, Identity, PeerVerifier};
use crate::proto::Observer;
pub use crate::proto::congestion::Congestion;

/// How lost data is found and sent again.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovery {
    /// Acknowledged ranges, packet and time thresholds, probe timeouts (RFC 9002, RFC 8985).
    #[default]
    Selective,
    /// The seed's: the receiver takes nothing out of order, the sender starts again at the
    /// first missing byte when a fixed timer runs out. The baseline.
    GoBackN,
}

impl Recovery {
    /// The name used in scenarios and on command lines.
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

/// No recovery has that name.
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

/// The settings of an endpoint and its connections.
///
/// # Memory
///
/// What peers can make this side hold, at most; `tests/memory.rs` counts it in the allocator.
///
/// | for each | bytes |
/// |---|---|
/// | handshake under way | 4 KiB; [`half_open_limit`](Self::half_open_limit) of them |
/// | connection on which nothing is under way | 16 KiB; [`listen_limit`](Self::listen_limit) of them |
/// | and what was received and not read | [`max_receive_window_bytes`](Self::max_receive_window_bytes), and six blocks of 64 KiB |
/// | and what was written and not acknowledged | [`send_buffer_bytes`](Self::send_buffer_bytes), and the one write that went beyond it |
/// | and packets sent in the last few round trips | 256 each, a sixth of the bytes in them |
/// | and gaps in what arrived | 512 ranges of packet numbers, 16 KiB; older ones count as arrived |
/// | stranger's reply that waits to be sent | 1.5 KiB; 64 of them |
///
/// A stranger that has been asked for a cookie costs nothing. One address, or one /64 of IPv6,
/// has [`address_limit`](Self::address_limit) handshakes and connections. A driver adds nothing
/// of note; all that run on one thread share 0.6 MiB.
#[derive(Clone, Debug)]
pub struct Config {
    /// Congestion control. Default `bbr`: the only one here that keeps a lossy link busy.
    pub congestion: Congestion,
    /// Loss recovery. Default `selective`. Both ends should agree.
    pub recovery: Recovery,
    /// The largest datagram sent, in bytes of UDP payload; an IPv6 path takes 20 fewer.
    /// Default 1,472: what a 1,500-byte MTU leaves behind IPv4 and UDP headers.
    pub max_datagram_bytes: usize,
    /// Packets sent before the first acknowledgement. Default 32: above the 10 of RFC 9002
    /// §7.2, but paced over the round trip that the handshake has just measured.
    pub initial_window_packets: u32,
    /// An upper bound on packets in flight, whatever the controller says. Default none; the
    /// seed's is 16.
    pub fixed_window_packets: Option<u32>,
    /// Scales the pacing rate, in thousandths. Default 1,000. For experiments.
    pub pacing_permille: u32,
    /// The receive window at the start, in bytes. Default 8 MiB: start-up on a long, fast path is
    /// not to wait for it.
    pub receive_window_bytes: u64,
    /// How far the receive window may grow, in bytes: the most one peer can make this side
    /// hold. Default 64 MiB, 5 BDP of 500 Mbit/s over 200 ms.
    pub max_receive_window_bytes: u64,
    /// The bytes the application may write ahead of acknowledgements. Default 64 MiB: an
    /// in-order window at 10 % loss holds 5 to 6 BDP.
    pub send_buffer_bytes: u64,
    /// Bytes written and not sent yet, beyond which the application waits (Linux's
    /// `TCP_NOTSENT_LOWAT`): what is sent soon after it was made is still in the processor's
    /// cache. Default 1 MiB.
    pub unsent_bytes: u64,
    /// Silence after which a connection is given up. Default 30 s.
    pub idle_timeout: Duration,
    /// Silence after which a sign of life is asked for, unless something is under way that has to
    /// be acknowledged anyway. Default none.
    pub keep_alive: Option<Duration>,
    /// What is known of the round trip before the first packet, from an earlier connection on
    /// the same path (RFC 9002 §6.2.2). Default nothing.
    pub initial_rtt: Option<Duration>,
    /// The wait for an answer to a handshake packet; from the fifth on it doubles, up to 3 s. A
    /// client waits a quarter and half of it the first two times, or one and a half times
    /// [`initial_rtt`](Self::initial_rtt) where that is known. Default 200 ms: longer than most
    /// paths, and on a lossy one the seed's whole second (and RFC 6298's) is what a short transfer
    /// mostly waits for. Where the path is longer, a SYN is sent in vain.
    pub handshake_retry: Duration,
    /// How often a handshake packet is repeated. Default 20, together 43 s (the seed's 3 give
    /// up too soon at 40 % loss).
    pub handshake_retries: u32,
    /// Connections a listener has at once; a SYN beyond is refused. Default 1,024.
    pub listen_limit: usize,
    /// Handshakes a listener has under way at once; a SYN beyond is ignored. Default 256; each
    /// holds less than 4 KiB.
    pub half_open_limit: usize,
    /// Handshakes under way from which on a client has to prove its address by a cookie
    /// before a listener keeps anything for it. Default 64.
    pub cookie_threshold: usize,
    /// Connections and handshakes that one IPv4 address, or one /64 of IPv6, has with a
    /// listener at once; a SYN beyond is refused. Default 256.
    pub address_limit: usize,
    /// This side's key pair. Default none: every endpoint draws one of its own.
    pub identity: Option<Identity>,
    /// Decides which peers are let in. Default none: all are.
    pub verifier: Option<Arc<dyn PeerVerifier>>,
    /// The cipher this side would have. Default none: what the processor is best at. AES is
    /// used when both sides would have it.
    pub cipher: Option<Cipher>,
    /// Packets that one key seals before it is changed. Default 2²⁰, an eighth of what
    /// AES-GCM allows.
    pub key_update_packets: u64,
    /// The longest an acknowledgement is held back. Default 25 ms (RFC 9000 §18.2); on a
    /// short path an eighth of the round trip.
    pub max_ack_delay: Duration,
    /// The fixed retransmission timer of `go-back-n`. Default 1 s, the seed's.
    pub go_back_n_timeout: Duration,
    /// Marks packets ECT(0) and reacts to CE. Default on.
    pub ecn: bool,
    /// Told what every connection does. Default none.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            congestion: Congestion::Bbr,
            recovery: Recovery::Selective,
            max_datagram_bytes: 1472,
            initial_window_packets: 32,
            fixed_window_packets: None,
            pacing_permille: 1000,
            receive_window_bytes: 8 << 20,
            max_receive_window_bytes: 64 << 20,
            send_buffer_bytes: 64 << 20,
            unsent_bytes: 1 << 20,
            idle_timeout: Duration::from_secs(30),
            keep_alive: None,
            initial_rtt: None,
            handshake_retry: Duration::from_millis(200),
            handshake_retries: 20,
            listen_limit: 1024,
            half_open_limit: 256,
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
    /// The seed's transport: `classic` and `go-back-n`, a window of 16 packets of 1,024 bytes.
    pub fn seed() -> Self {
        Self {
            congestion: Congestion::Classic,
            recovery: Recovery::GoBackN,
            max_datagram_bytes: 1024 + crate::proto::DATA_OVERHEAD_BYTES,
            fixed_window_packets: Some(16),
            ..Self::default()
        }
    }
}
