//! SYN, SYN/ACK, ACK.
//!
//! The client repeats its SYN, the server its SYN/ACK. The third message stands in front of the client's first packets: it proves the client's
//! key and its address, and only then does a connection exist. Up to there the server keeps a
//! [`HalfOpen`] of less than 4 KiB.

use std::net::SocketAddr;

use super::retry::Retry;
use crate::config::Config;
use crate::crypto::Cipher;
use crate::crypto::noise::{Initiator, Responder};
use crate::crypto::stateless_reset::ResetToken;
use crate::wire::{COOKIE_BYTES, DecodeError, Header, Parameters, Reader};

/// Before an address is proved, it is sent at most so many times what came from it (RFC 9000
/// §8.1).
pub(crate) const MAX_AMPLIFICATION: u64 = 3;

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
    pub(crate) client_id: u32,
    /// Bytes that came from the address, which is not proved yet, and that went there.
    pub(crate) received_bytes: u64,
    sent_bytes: u64,
}

impl HalfOpen {
    pub(crate) const fn new(
        remote: SocketAddr,
        key: SynKey,
        client_id: u32,
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

/// The payload of a SYN/ACK's Noise message: the connection that will be called `id`, and what
/// its client will know its loss by.
pub(crate) fn answer_payload(
    config: &Config,
    id: u32,
    token: &ResetToken,
    cipher: Cipher,
) -> Vec<u8> {
    let mut payload = Vec::with_capacity(64);
    payload.extend_from_slice(&id.to_be_bytes());
    payload.extend_from_slice(token);
    parameters(config, cipher.chosen()).encode(&mut payload);
    payload
}

/// Reads [`answer_payload`].
pub(crate) fn read_answer(payload: &[u8]) -> Result<(u32, ResetToken, Parameters), DecodeError> {
    let mut reader = Reader::new(payload);
    let (id, token) = (reader.u32()?, *reader.array()?);
    Ok((id, token, Parameters::decode(&mut reader)?))
}

/// The cipher this side would have.
pub(crate) fn preferred_cipher(config: &Config) -> Cipher {
    config.cipher.unwrap_or_else(Cipher::preferred)
}
