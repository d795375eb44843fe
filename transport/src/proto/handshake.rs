//! SYN, SYN/ACK, ACK.
//!
//! The client repeats its SYN, the server its SYN/ACK: at first evenly, as Linux does
//! (`tcp_syn_linear_timeouts`), because on a lossy path waiting longer helps nobody, then
//! twice as long each time, up to a few seconds.
//! The third message stands in front of the client's first packets: it proves the client's
//! key and its address, and only then does a connection exist. Up to there the server keeps a
//! [`HalfOpen`] of less than 4 KiB.

use std::net::SocketAddr;
use std::time::Duration;

use crate::Time;
use crate::config::Config;
use crate::crypto::Cipher;
use crate::crypto::noise::{Initiator, Responder};
use crate::wire::{COOKIE_BYTES, DecodeError, Header, Parameters, Reader};

/// So many repeats come after the same wait.
const LINEAR_RETRIES: u32 = 4;

/// Waits grow no longer than this: a path that comes back is found again within seconds.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// Before an address is proved, it is sent at most so many times what came from it (RFC 9000
/// §8.1).
pub(crate) const MAX_AMPLIFICATION: u64 = 3;

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

    /// Another message takes the place of this one, and is due at once.
    pub(crate) const fn begin_anew(&mut self, now: Time) {
        self.first_sent = None;
        self.sent = 0;
        self.next = now;
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
#[derive(Debug)]
pub(crate) struct ClientHandshake {
    pub(crate) noise: Initiator,
    /// What the server asked for before it would keep anything.
    pub(crate) cookie: Option<[u8; COOKIE_BYTES]>,
    pub(crate) retry: Retry,
}

/// Which SYNs are the same one again: where from, and a digest of what it says.
pub(crate) type SynKey = (SocketAddr, u64);

/// The server's side, up to the client's third message.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    pub(crate) remote: SocketAddr,
    pub(crate) key: SynKey,
    pub(crate) noise: Responder,
    pub(crate) parameters: Parameters,
    pub(crate) cipher: Cipher,
    pub(crate) retry: Retry,
    /// The client's connection id.
    pub(crate) client_id: u64,
    /// Bytes that came from the address, which is not proved yet, and that went there.
    pub(crate) received_bytes: u64,
    sent_bytes: u64,
}

impl HalfOpen {
    pub(crate) const fn new(
        remote: SocketAddr,
        key: SynKey,
        client_id: u64,
        noise: Responder,
        (parameters, cipher): (Parameters, Cipher),
        retry: Retry,
    ) -> Self {
        Self {
            remote,
            key,
            noise,
            parameters,
            cipher,
            retry,
            client_id,
            received_bytes: 0,
            sent_bytes: 0,
        }
    }

    /// The SYN/ACK, unless the address has been sent enough.
    pub(crate) fn answer(&mut self) -> Option<Vec<u8>> {
        let mut datagram = Vec::with_capacity(256);
        Header::SynAck {
            destination: self.client_id,
            noise: self.noise.second(),
        }
        .encode(&mut datagram);
        let sent = self.sent_bytes + datagram.len() as u64;
        if sent > MAX_AMPLIFICATION * self.received_bytes {
            return None;
        }
        self.sent_bytes = sent;
        Some(datagram)
    }
}

/// What this side tells the other.
pub(crate) fn parameters(config: &Config, ciphers: u64) -> Parameters {
    Parameters {
        max_datagram_bytes: 65_507,
        initial_rwnd: config.receive_window_bytes,
        max_ack_delay_us: config.max_ack_delay.as_micros().min(10_000_000) as u64,
        ciphers,
    }
}

/// The payload of a SYN's Noise message.
pub(crate) fn syn_payload(config: &Config) -> Vec<u8> {
    let mut payload = Vec::with_capacity(32);
    parameters(config, preferred_cipher(config).offer()).encode(&mut payload);
    payload
}

/// The payload of a SYN/ACK's Noise message: the connection that will be called `id`.
pub(crate) fn answer_payload(config: &Config, id: u64, cipher: Cipher) -> Vec<u8> {
    let mut payload = Vec::with_capacity(40);
    payload.extend_from_slice(&id.to_be_bytes());
    parameters(config, cipher.chosen()).encode(&mut payload);
    payload
}

/// Reads [`answer_payload`].
pub(crate) fn read_answer(payload: &[u8]) -> Result<(u64, Parameters), DecodeError> {
    let mut reader = Reader::new(payload);
    Ok((reader.u64()?, Parameters::decode(&mut reader)?))
}

/// The cipher this side would have.
pub(crate) fn preferred_cipher(config: &Config) -> Cipher {
    config.cipher.unwrap_or_else(Cipher::preferred)
}
