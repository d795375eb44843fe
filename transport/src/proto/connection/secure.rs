//! What the handshake's answers change, and the seal of every packet after it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::error::Refusal;
use super::handshake::{preferred_cipher, read_answer};
use super::timer::Timer;
use super::{Connection, ConnectionError, State};
use crate::Time;
use crate::crypto::keys::Keys;
use crate::crypto::stateless_reset::{self, ResetToken};
use crate::crypto::{Cipher, Peer};
use crate::proto::recovery::RttEstimator;
use crate::proto::send::Pacer;
use crate::wire::{COOKIE_BYTES, Header};

/// The reason in a RESET that turns a client away whose key the server does not accept.
pub(crate) const KEY_RESET: u32 = u32::MAX - 1;

/// What became of a SYN/ACK.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It was meant for this connection.
    Taken,
    /// It was not, or somebody changed it.
    Dropped,
    /// The server's key will not do; it is told with this connection id and echo.
    TurnedAway { server_id: u32, echo: u64 },
}

impl Connection {
    /// The server's answer to the SYN.
    pub(crate) fn on_syn_ack(&mut self, now: Time, noise: &[u8], bytes: usize) -> Answer {
        let State::Connecting(handshake) = &mut self.state else {
            // A repeat that was not needed.
            return Answer::Taken;
        };
        let Ok((payload, key)) = handshake.noise.read_second(noise) else {
            return Answer::Dropped;
        };
        self.stats.packets_received += 1;
        self.stats.bytes_received += bytes as u64;
        let round_trip = handshake.retry.round_trip(now);
        let peer = Peer::new(key, self.path.remote(), false);
        self.peer_key = Some(key);
        let Ok((server_id, reset_token, parameters)) = read_answer(&payload) else {
            self.drain(now, ConnectionError::Protocol("the answer to a SYN"));
            return Answer::Taken;
        };
        let preferred = preferred_cipher(&self.config);
        let Some(cipher) = Cipher::from_chosen(parameters.ciphers, preferred) else {
            self.drain(now, ConnectionError::Protocol("the choice of a cipher"));
            return Answer::Taken;
        };
        let verifier = self.config.verifier.as_ref();
        if verifier.is_some_and(|verifier| !verifier.verify(&peer)) {
            let echo = handshake.noise.refusal_echo();
            self.drain(now, ConnectionError::UntrustedPeer { key });
            return Answer::TurnedAway { server_id, echo };
        }
        let Ok(completed) = handshake.noise.complete() else {
            self.drain(now, ConnectionError::Protocol("the handshake"));
            return Answer::Taken;
        };
        self.remote_id = server_id;
        self.reset_token = Some(reset_token);
        self.third = Some(completed.third);
        let update_after = self.config.key_update_packets;
        let keys = Keys::new(cipher, &completed.secrets, true, update_after);
        self.keys = Some(Box::new(keys));
        self.wanted.ping = true;
        self.establish(now, parameters, round_trip);
        Answer::Taken
    }

    /// The server will not have this connection. Whether it was true is told.
    pub(crate) fn on_refuse(&mut self, now: Time, echo: u64, reason: u64) -> bool {
        let State::Connecting(handshake) = &self.state else {
            return false;
        };
        let is_true = echo == handshake.noise.echo();
        if is_true {
            self.drain(now, ConnectionError::Refused(Refusal::from_wire(reason)));
        }
        is_true
    }

    /// The server keeps nothing before this side has proved its address: the first such
    /// answer brings another SYN at once, later ones only change what is repeated.
    pub(crate) fn on_cookie(&mut self, now: Time, echo: u64, cookie: &[u8; COOKIE_BYTES]) -> bool {
        let State::Connecting(handshake) = &mut self.state else {
            return false;
        };
        if echo != handshake.noise.echo() {
            return false;
        }
        if handshake.cookie.replace(*cookie).is_none() && !handshake.retry.is_exhausted() {
            handshake.retry.begin_anew(now);
            self.timers.set(Timer::Handshake, now);
        }
        true
    }

    /// Whether this is the server's word that it has lost this connection.
    pub(crate) fn is_lost_by(&self, remote: SocketAddr, server_id: u32, told: &ResetToken) -> bool {
        let token = self.reset_token.as_ref();
        self.remote_id == server_id
            && self.remote() == remote
            && token.is_some_and(|token| stateless_reset::is_same(token, told))
    }

    /// Ends a connection with a client whose key the server does not accept, and tells it.
    pub(crate) fn turn_away(&mut self, now: Time, key: crate::PublicKey) {
        self.reset(now, KEY_RESET);
        self.error = Some(ConnectionError::UntrustedPeer { key });
        self.abandoned = true;
    }

    /// Appends the next packet's header and gives its length.
    pub(crate) fn put_header(&mut self, out: &mut Vec<u8>) -> usize {
        let start = out.len();
        let packet_number = self.sent.next_number();
        let destination = self.remote_id;
        let keys = self.keys.as_mut();
        let phase = keys.is_some_and(|keys| keys.sealer.next_phase());
        match &self.third {
            Some(third) => Header::Ack {
                destination,
                third,
                packet_number,
            },
            None => Header::Data {
                destination,
                phase,
                packet_number,
            },
        }
        .encode(out);
        out.len() - start
    }

    /// Seals the packet that begins at `start` and has the next number.
    pub(crate) fn seal(&mut self, out: &mut Vec<u8>, start: usize, header_bytes: usize) {
        let number = self.sent.next_number();
        if let Some(keys) = &mut self.keys {
            keys.sealer.seal(out, start, header_bytes, number);
        }
    }

    /// The peer has proved that it is somewhere else now.
    pub(super) fn on_moved(&mut self, now: Time, before: SocketAddr) {
        self.stats.migrations += 1;
        self.timers.stop(Timer::Path);
        if before.ip() != self.path.remote().ip() {
            // Another network: what was learnt of the old one means nothing (RFC 9000 §9.4).
            let mss = self.mtu.current();
            let config = Arc::clone(&self.config);
            self.controller = config.build_controller(&self.params(mss, now));
            self.pacer = Pacer::new(now, 2 * mss);
            self.rtt = RttEstimator::new(None);
        }
        // Something to acknowledge: it shows what was lost on the old path.
        self.wanted.ping = true;
        self.restart_probing(now);
    }
}
