//! SYN, SYN/ACK, ACK: the state of a handshake on either side, and the payloads of its messages.
//!
//! The client retransmits its SYN, the server its SYN/ACK. The last handshake message stands in
//! front of the client's first packets: it proves the client's key and its address, and only
//! then does a connection exist. Until then the server keeps a [`HalfOpen`] of less than 4 KiB.

use std::net::SocketAddr;

use super::retry::Retry;
use crate::config::Config;
use crate::crypto::Cipher;
use crate::crypto::noise::{Initiator, Responder};
use crate::crypto::stateless_reset::ResetToken;
use crate::proto::MAX_AMPLIFICATION;
use crate::wire::{COOKIE_BYTES, DecodeError, Header, Parameters, Reader};

/// The client's side, up to the server's answer.
#[derive(Debug)]
pub(crate) struct ClientHandshake {
    pub(crate) noise: Initiator,
    /// The cookie that the server asked for before it would keep anything.
    pub(crate) cookie: Option<[u8; COOKIE_BYTES]>,
    pub(crate) retry: Retry,
}

/// Identifies the copies of one SYN: their origin, and a digest of their contents.
pub(crate) type SynKey = (SocketAddr, u64);

/// The server's side, up to the last handshake message.
#[derive(Debug)]
pub(crate) struct HalfOpen {
    remote: SocketAddr,
    key: SynKey,
    pub(crate) noise: Responder,
    pub(super) parameters: Parameters,
    pub(super) cipher: Cipher,
    /// The receive window that the client is told, bytes.
    pub(super) receive_window_bytes: u64,
    pub(crate) retry: Retry,
    /// The client's connection id.
    pub(super) client_id: u32,
    /// Bytes that came from the address, which is not validated yet, and that went there.
    received_bytes: u64,
    sent_bytes: u64,
}

impl HalfOpen {
    /// The handshake that a SYN of `received_bytes` has started.
    pub(crate) const fn new(
        (remote, key): (SocketAddr, SynKey),
        client_id: u32,
        noise: Responder,
        (parameters, cipher): (Parameters, Cipher),
        receive_window_bytes: u64,
        retry: Retry,
        received_bytes: u64,
    ) -> Self {
        Self {
            remote,
            key,
            noise,
            parameters,
            cipher,
            receive_window_bytes,
            retry,
            client_id,
            received_bytes,
            sent_bytes: 0,
        }
    }

    pub(crate) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub(crate) const fn key(&self) -> SynKey {
        self.key
    }

    /// Takes another copy of the SYN, which brings another answer out of turn.
    pub(crate) const fn on_syn_repeated(&mut self, bytes: u64) {
        self.retry.on_sent_out_of_turn();
        self.received_bytes += bytes;
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
        // The address may be forged, and its owner the victim (RFC 9000 §8.1).
        if sent > MAX_AMPLIFICATION * self.received_bytes {
            return None;
        }
        self.sent_bytes = sent;
        Some(datagram)
    }
}

/// The parameters that this side announces.
pub(crate) fn parameters(config: &Config, receive_window_bytes: u64, ciphers: u64) -> Parameters {
    Parameters {
        max_datagram_bytes: 65_507,
        initial_rwnd: receive_window_bytes,
        max_ack_delay_us: config.max_ack_delay.as_micros().min(10_000_000) as u64,
        ciphers,
    }
}

/// The payload of a SYN's Noise message.
pub(crate) fn syn_payload(config: &Config) -> Vec<u8> {
    let mut payload = Vec::with_capacity(32);
    let window = config.receive_window_bytes;
    parameters(config, window, preferred_cipher(config).offer()).encode(&mut payload);
    payload
}

/// The payload of a SYN/ACK's Noise message: the server's id of the connection, and the token
/// that will prove its loss.
pub(crate) fn answer_payload(
    config: &Config,
    id: u32,
    token: &ResetToken,
    receive_window_bytes: u64,
    cipher: Cipher,
) -> Vec<u8> {
    let mut payload = Vec::with_capacity(64);
    payload.extend_from_slice(&id.to_be_bytes());
    payload.extend_from_slice(token);
    parameters(config, receive_window_bytes, cipher.chosen()).encode(&mut payload);
    payload
}

/// Reads [`answer_payload`].
pub(crate) fn read_answer(payload: &[u8]) -> Result<(u32, ResetToken, Parameters), DecodeError> {
    let mut reader = Reader::new(payload);
    let (id, token) = (reader.u32()?, *reader.array()?);
    Ok((id, token, Parameters::decode(&mut reader)?))
}

/// The cipher that this side prefers.
pub(crate) fn preferred_cipher(config: &Config) -> Cipher {
    config.cipher.unwrap_or_else(Cipher::preferred)
}
