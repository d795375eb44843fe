//! The birth of a connection: a SYN about to be sent, its answers, a handshake completed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Connection;
use super::error::{ConnectionError, Refusal};
use super::handshake::{ClientHandshake, HalfOpen, preferred_cipher, read_answer};
use super::observe::{FlowId, TraceEvent};
use super::peer::RemotePeer;
use super::retry::Retry;
use super::timer::Timer;
use crate::Time;
use crate::config::Config;
use crate::crypto::keys::{Keys, Secrets};
use crate::crypto::noise::Initiator;
use crate::crypto::stateless_reset::ResetToken;
use crate::crypto::{Cipher, Peer, PublicKey};
use crate::prefix::is_same_address;
use crate::proto::recovery::{FirstRtt, SkipSecret};
use crate::wire::{COOKIE_BYTES, Parameters};

/// The reason in a RESET for a client whose key the server does not accept.
pub(super) const KEY_RESET: u32 = u32::MAX - 1;

/// The reason in a RESET for a client for which there is no place after its handshake.
pub(super) const LIMIT_RESET: u32 = u32::MAX - 2;

/// The effect of a SYN/ACK.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum SynAckOutcome {
    /// It was meant for this connection.
    Taken,
    /// It was not, or it was changed on its way.
    Dropped,
    /// The server's key is not accepted; the server is to be told, with this connection id and
    /// echo.
    KeyRejected { server_id: u32, echo: u64 },
}

impl Connection {
    /// A client's connection, about to send its SYN.
    pub(crate) fn connect(
        now: Time,
        config: Arc<Config>,
        flow: FlowId,
        noise: Initiator,
        secret: SkipSecret,
    ) -> Self {
        let handshake = ClientHandshake {
            noise,
            cookie: None,
            retry: Retry::eager(now, &config),
        };
        let window = config.receive_window_bytes;
        let mut connection = Self::new(now, config, flow, RemotePeer::default(), window, secret);
        // The retransmissions of the SYN have a limit of their own.
        connection.timers.stop(Timer::Idle);
        connection.timers.set(Timer::Handshake, now);
        connection.lifecycle.start_connecting(handshake);
        connection
    }

    /// A server's connection, whose handshake has just been completed.
    pub(crate) fn accept(
        now: Time,
        config: Arc<Config>,
        flow: FlowId,
        half: &HalfOpen,
        (peer_key, secrets): (PublicKey, &Secrets),
        secret: SkipSecret,
    ) -> Self {
        let round_trip = half.retry.round_trip(now);
        let keys = Keys::new(half.cipher, secrets, false, config.key_update_packets);
        let peer = RemotePeer::client(half.client_id, peer_key, half.key());
        let window = half.receive_window_bytes;
        let mut connection = Self::new(now, config, flow, peer, window, secret);
        connection.protection.install(keys);
        connection.establish(now, half.parameters, round_trip);
        connection
    }

    /// Takes what the peer said in its handshake: both sides know each other now.
    fn establish(&mut self, now: Time, parameters: Parameters, round_trip: Option<FirstRtt>) {
        self.lifecycle.establish();
        self.timers.stop(Timer::Handshake);
        self.path.limit_mss(parameters.max_datagram_bytes);
        self.send.on_limit(parameters.initial_rwnd);
        let max_ack_delay = Duration::from_micros(parameters.max_ack_delay_us);
        self.recovery.set_peer_max_ack_delay(max_ack_delay);
        if let Some(round_trip) = round_trip {
            self.path.on_handshake(round_trip);
        }
        self.events.established = true;
        self.events.writable = true;
        self.reset_idle_timer(now);
        self.trace(now, &TraceEvent::Established);
    }

    /// Takes the server's answer to the SYN.
    pub(crate) fn on_syn_ack(&mut self, now: Time, noise: &[u8], bytes: usize) -> SynAckOutcome {
        let Some(handshake) = self.lifecycle.handshake_mut() else {
            // A redundant retransmission.
            return SynAckOutcome::Taken;
        };
        let Ok((payload, key)) = handshake.noise.read_second(noise) else {
            return SynAckOutcome::Dropped;
        };
        self.stats.packets_received += 1;
        self.stats.bytes_received += bytes as u64;
        let round_trip = handshake.retry.round_trip(now);
        let peer = Peer::new(key, self.path.remote(), false);
        self.peer.set_key(key);
        // From here on the answer is authentic: what is wrong with it is the server's fault,
        // and waiting for another would not help.
        let Ok((server_id, reset_token, parameters)) = read_answer(&payload) else {
            self.drain(now, ConnectionError::Protocol("the answer to a SYN"));
            return SynAckOutcome::Taken;
        };
        let preferred = preferred_cipher(&self.config);
        let Some(cipher) = Cipher::from_chosen(parameters.ciphers, preferred) else {
            self.drain(now, ConnectionError::Protocol("the choice of a cipher"));
            return SynAckOutcome::Taken;
        };
        let verifier = self.config.verifier.as_ref();
        if verifier.is_some_and(|verifier| !verifier.verify(&peer)) {
            let echo = handshake.noise.refusal_echo();
            self.drain(now, ConnectionError::UntrustedPeer { key });
            return SynAckOutcome::KeyRejected { server_id, echo };
        }
        let Ok(completed) = handshake.noise.complete() else {
            self.drain(now, ConnectionError::Protocol("the handshake"));
            return SynAckOutcome::Taken;
        };
        self.peer.set_server(server_id, reset_token);
        self.protection
            .set_handshake_finish(completed.handshake_finish);
        let update_after = self.config.key_update_packets;
        let keys = Keys::new(cipher, &completed.secrets, true, update_after);
        self.protection.install(keys);
        // The server needs the last handshake message even if the application has nothing to
        // send yet.
        self.pending.ping = true;
        self.establish(now, parameters, round_trip);
        SynAckOutcome::Taken
    }

    /// Takes a refusal by the server; false when it does not answer this connection's SYN.
    pub(crate) fn on_refuse(&mut self, now: Time, echo: u64, reason: u64) -> bool {
        let handshake = self.lifecycle.handshake_mut();
        let is_genuine = handshake.is_some_and(|handshake| echo == handshake.noise.echo());
        if is_genuine {
            self.drain(now, ConnectionError::Refused(Refusal::from_wire(reason)));
        }
        is_genuine
    }

    /// Takes a cookie: the server keeps nothing before this side has proved its address. The
    /// first one brings another SYN at once, later ones only change what is retransmitted.
    /// False when it does not answer this connection's SYN.
    pub(crate) fn on_cookie(&mut self, now: Time, echo: u64, cookie: &[u8; COOKIE_BYTES]) -> bool {
        let Some(handshake) = self.lifecycle.handshake_mut() else {
            return false;
        };
        if echo != handshake.noise.echo() {
            return false;
        }
        if handshake.cookie.replace(*cookie).is_none() && !handshake.retry.is_exhausted() {
            handshake.retry.restart(now);
            self.timers.set(Timer::Handshake, now);
        }
        true
    }

    /// Tells whether `token` proves that the server at `remote` has lost this connection.
    pub(crate) fn is_lost_by(
        &self,
        remote: SocketAddr,
        server_id: u32,
        token: &ResetToken,
    ) -> bool {
        is_same_address(self.remote(), remote) && self.peer.has_lost(server_id, token)
    }

    /// Ends a connection with a client for which there is no place, and tells it.
    pub(crate) fn reject_client(&mut self, now: Time, refusal: Refusal) {
        self.reset(now, LIMIT_RESET);
        self.lifecycle
            .replace_error(ConnectionError::Refused(refusal));
        self.lifecycle.abandon();
    }

    /// Ends a connection with a client whose key the server does not accept, and tells it.
    pub(crate) fn reject_key(&mut self, now: Time, key: PublicKey) {
        self.reset(now, KEY_RESET);
        self.lifecycle
            .replace_error(ConnectionError::UntrustedPeer { key });
        self.lifecycle.abandon();
    }
}
