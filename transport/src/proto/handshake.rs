//! SYN, SYN/ACK, ACK.
//!
//! The client repeats its SYN, the server its SYN/ACK: at first evenly, as Linux does
//! (`tcp_syn_linear_timeouts`), because on a lossy path waiting longer helps nobody, then
//! twice as long each time, up to a few seconds.
//! The third message is the echo of the server's nonce in front of the client's first
//! packets: it proves the client's address, and only then does a connection exist. Up to
//! there the server keeps a [`HalfOpen`] of some hundred bytes.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Time;
use crate::config::Config;
use crate::wire::{Header, Parameters};

/// So many repeats come after the same wait.
const LINEAR_RETRIES: u32 = 4;

/// Waits grow no longer than this: a path that comes back is found again within seconds.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// A repeated message: when it was first sent and when it is due again.
#[derive(Clone, Debug)]
pub(crate) struct Retry {
    first_sent: Option<Time>,
    next: Time,
    wait: Duration,
    left: u32,
    sent: u32,
}

impl Retry {
    pub(crate) const fn new(now: Time, config: &Config) -> Self {
        Self {
            first_sent: None,
            next: now,
            wait: config.handshake_retry,
            left: config.handshake_retries + 1,
            sent: 0,
        }
    }

    /// When the message is to be sent, or, after the last time, when to give up.
    pub(crate) const fn next(&self) -> Time {
        self.next
    }

    pub(crate) const fn is_exhausted(&self) -> bool {
        self.left == 0
    }

    pub(crate) fn on_sent(&mut self, now: Time) {
        self.first_sent.get_or_insert(now);
        self.left -= 1;
        self.next = now + self.wait;
        self.sent += 1;
        if self.sent > LINEAR_RETRIES {
            self.wait = (self.wait * 2).min(self.wait.max(MAX_WAIT));
        }
    }

    /// The message was sent out of turn: an answer no longer tells which one it answers.
    pub(crate) const fn on_sent_besides(&mut self) {
        self.first_sent = None;
    }

    /// The round trip that an answer now proves; none when the message was repeated and it
    /// is unknown which one was answered (Karn's rule).
    pub(crate) fn round_trip(&self, now: Time) -> Option<Duration> {
        let only_once = self.sent == 1;
        self.first_sent
            .filter(|_| only_once)
            .map(|sent| now.saturating_since(sent))
    }
}

/// The client's side, up to the server's answer.
#[derive(Clone, Debug)]
pub(crate) struct ClientHandshake {
    pub(crate) nonce: u64,
    pub(crate) retry: Retry,
}

/// The server's side, up to the client's echo.
#[derive(Clone, Debug)]
pub(crate) struct HalfOpen {
    pub(crate) remote: SocketAddr,
    pub(crate) client_id: u64,
    client_nonce: u64,
    pub(crate) nonce: u64,
    pub(crate) parameters: Parameters,
    pub(crate) retry: Retry,
}

impl HalfOpen {
    pub(crate) const fn new(
        now: Time,
        config: &Config,
        remote: SocketAddr,
        syn: (u64, u64, Parameters),
        nonce: u64,
    ) -> Self {
        let (client_id, client_nonce, parameters) = syn;
        Self {
            remote,
            client_id,
            client_nonce,
            nonce,
            parameters,
            retry: Retry::new(now, config),
        }
    }

    /// The SYN/ACK of the connection that will be called `id`.
    pub(crate) const fn answer(&self, id: u64, parameters: Parameters) -> Header {
        Header::SynAck {
            destination: self.client_id,
            source: id,
            echo: self.client_nonce,
            nonce: self.nonce,
            parameters,
        }
    }
}

/// What this side tells the other.
pub(crate) fn parameters(config: &Config) -> Parameters {
    Parameters {
        max_datagram_bytes: 65_507,
        initial_rwnd: config.receive_window_bytes,
        max_ack_delay_us: config.max_ack_delay.as_micros().min(10_000_000) as u64,
    }
}
