//! Datagrams in: the connection that each belongs to.

use std::net::SocketAddr;

use super::Endpoint;
use super::admission::Syn;
use crate::crypto::stateless_reset::ResetToken;
use crate::prefix::is_same_address;
use crate::proto::connection::{
    Connection, ConnectionError, ProtectedPacket, Refusal, SynAckOutcome,
};
use crate::wire::Header;
use crate::{Ecn, Time};

impl Endpoint {
    /// Takes one datagram and decrypts it in place. One that is damaged, forged, or belongs to
    /// no connection is counted and dropped.
    pub fn handle_datagram(
        &mut self,
        now: Time,
        remote: SocketAddr,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) {
        let bytes = datagram.len();
        // No answer reaches port 0 (RFC 768 has it for a sender that wants none).
        if remote.port() == 0 {
            self.dropped_datagrams += 1;
            return;
        }
        let Ok((header, header_bytes)) = Header::decode(datagram) else {
            self.dropped_datagrams += 1;
            return;
        };
        match header {
            Header::Syn {
                source,
                cookie,
                noise,
            } => {
                let syn = Syn {
                    source,
                    cookie,
                    noise,
                    bytes,
                };
                self.on_syn(now, remote, &syn);
            }
            Header::SynAck { destination, noise } => {
                self.on_syn_ack(now, remote, destination, noise, bytes);
            }
            Header::Ack {
                destination,
                handshake_finish,
                packet_number: number,
            } => {
                if !self.on_handshake_finish(now, remote, destination, handshake_finish) {
                    self.dropped_datagrams += 1;
                    return;
                }
                let packet = ProtectedPacket {
                    number,
                    phase: false,
                    has_handshake_finish: true,
                    header_bytes,
                };
                self.open(now, (remote, ecn), destination, packet, datagram);
            }
            Header::Data {
                destination,
                phase,
                packet_number: number,
            } => {
                let packet = ProtectedPacket {
                    number,
                    phase,
                    has_handshake_finish: false,
                    header_bytes,
                };
                self.open(now, (remote, ecn), destination, packet, datagram);
            }
            Header::Refuse {
                destination,
                echo,
                reason,
            } => self.on_refuse(now, remote, destination, (echo, reason)),
            Header::Cookie {
                destination,
                echo,
                cookie,
            } => self.hand_unsealed(remote, destination, |connection| {
                connection.on_cookie(now, echo, cookie)
            }),
            Header::StatelessReset { source, token } => self.on_lost(now, remote, source, token),
        }
    }

    /// Hands a packet to its connection, to be opened.
    fn open(
        &mut self,
        now: Time,
        from: (SocketAddr, Option<Ecn>),
        id: u32,
        packet: ProtectedPacket,
        datagram: &mut [u8],
    ) {
        self.allot_memory(id);
        let connection = self.connections.get_mut(&id);
        if connection.is_none() && !self.half_open.contains_key(&id) {
            self.dropped_datagrams += 1;
            return self.send_stateless_reset(from.0, id, datagram.len());
        }
        // A server stays where it is; a client may move, and its packets are known by their
        // seal (RFC 9000 §9).
        let Some(connection) =
            connection.filter(|it| !it.flow().is_client || is_same_address(it.remote(), from.0))
        else {
            self.dropped_datagrams += 1;
            return;
        };
        if !connection.handle_packet(now, from, packet, datagram) {
            self.dropped_datagrams += 1;
        }
        let is_starved = connection.take_starved();
        if connection.has_new_address() {
            let token = u64::from_be_bytes(self.random());
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.challenge_new_address(token);
            }
        }
        self.after_change(id);
        if is_starved {
            self.reclaim_memory(now, id);
        } else {
            self.reclaim_when_scarce(now, id);
        }
    }

    /// Takes a stateless reset: the server has lost the connection it called `server_id`.
    fn on_lost(&mut self, now: Time, remote: SocketAddr, server_id: u32, token: &ResetToken) {
        let mut connections = self.connections.iter_mut();
        let lost = connections.find(|(_, it)| it.is_lost_by(remote, server_id, token));
        let Some((&id, connection)) = lost else {
            self.dropped_datagrams += 1;
            return;
        };
        // There is no peer left to tell.
        connection.drain(now, ConnectionError::StatelessReset);
        self.after_change(id);
    }

    /// Takes a refusal, by either side, from before there are keys.
    fn on_refuse(&mut self, now: Time, remote: SocketAddr, id: u32, (echo, reason): (u64, u64)) {
        if self.half_open.contains_key(&id) {
            self.on_refused_by_client(remote, id, echo);
        } else {
            self.hand_unsealed(remote, id, |connection| {
                connection.on_refuse(now, echo, reason)
            });
        }
    }

    fn on_syn_ack(&mut self, now: Time, remote: SocketAddr, id: u32, noise: &[u8], bytes: usize) {
        let connection = self.connections.get_mut(&id);
        let outcome = connection
            .filter(|connection| is_same_address(connection.remote(), remote))
            .map_or(SynAckOutcome::Dropped, |connection| {
                connection.on_syn_ack(now, noise, bytes)
            });
        match outcome {
            SynAckOutcome::Taken => {}
            SynAckOutcome::Dropped => self.dropped_datagrams += 1,
            SynAckOutcome::KeyRejected { server_id, echo } => {
                self.send_refusal(remote, server_id, echo, Refusal::UntrustedKey);
            }
        }
        self.after_change(id);
    }

    /// Hands a client's connection an answer from before there are keys.
    fn hand_unsealed(
        &mut self,
        remote: SocketAddr,
        id: u32,
        act: impl FnOnce(&mut Connection) -> bool,
    ) {
        let connection = self.connections.get_mut(&id);
        let taken = connection
            .filter(|connection| is_same_address(connection.remote(), remote))
            .is_some_and(act);
        if taken {
            self.after_change(id);
        } else {
            self.dropped_datagrams += 1;
        }
    }
}
