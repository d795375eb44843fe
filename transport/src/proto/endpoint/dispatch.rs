//! Datagrams in: which connection one belongs to, and which part of it is to look at it.

use std::net::SocketAddr;

use super::Endpoint;
use super::listen::Syn;
use crate::crypto::stateless_reset::ResetToken;
use crate::proto::connection::{Answer, Connection, ConnectionError, Refusal, Sealed};
use crate::wire::Header;
use crate::{Ecn, Time};

impl Endpoint {
    /// Takes one datagram, and opens it where it lies. One that is damaged, forged, or belongs
    /// to nobody is counted and dropped.
    pub fn handle_datagram(
        &mut self,
        now: Time,
        remote: SocketAddr,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) {
        let bytes = datagram.len();
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
                let syn = Syn::new(source, cookie, noise, bytes);
                self.on_syn(now, remote, &syn);
            }
            Header::SynAck { destination, noise } => {
                self.on_syn_ack(now, remote, destination, noise, bytes);
            }
            Header::Ack {
                destination,
                third,
                packet_number: number,
            } => {
                if !self.on_third(now, remote, destination, third) {
                    self.dropped_datagrams += 1;
                    return;
                }
                let packet = Sealed {
                    number,
                    phase: false,
                    has_third: true,
                    header_bytes,
                };
                self.open(now, (remote, ecn), destination, packet, datagram);
            }
            Header::Data {
                destination,
                phase,
                packet_number: number,
            } => {
                let packet = Sealed {
                    number,
                    phase,
                    has_third: false,
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
            } => self.tell(remote, destination, |connection| {
                connection.on_cookie(now, echo, cookie)
            }),
            Header::Lost { source, token } => self.on_lost(now, remote, source, token),
        }
    }

    /// Hands a packet to its connection, to be opened.
    fn open(
        &mut self,
        now: Time,
        from: (SocketAddr, Option<Ecn>),
        id: u32,
        packet: Sealed,
        datagram: &mut [u8],
    ) {
        let connection = self.connections.get_mut(&id);
        if connection.is_none() && !self.half_open.contains_key(&id) {
            self.dropped_datagrams += 1;
            return self.tell_lost(from.0, id, datagram.len());
        }
        // A server stays where it is; a client's packets may come from anywhere.
        let Some(connection) = connection.filter(|it| !it.flow.is_client || it.remote() == from.0)
        else {
            self.dropped_datagrams += 1;
            return;
        };
        if !connection.handle_sealed(now, from, packet, datagram) {
            self.dropped_datagrams += 1;
        }
        if let Some((addr, bytes)) = connection.stranger.take() {
            let token = u64::from_be_bytes(self.random());
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.path.challenge(addr, bytes, token);
            }
        }
        self.after(id);
    }

    /// The server's word that it has lost the connection which it called `server_id`.
    fn on_lost(&mut self, now: Time, remote: SocketAddr, server_id: u32, token: &ResetToken) {
        let mut connections = self.connections.iter_mut();
        let lost = connections.find(|(_, it)| it.is_lost_by(remote, server_id, token));
        let Some((&id, connection)) = lost else {
            self.dropped_datagrams += 1;
            return;
        };
        // Nobody is there to be told anything.
        connection.drain(now, ConnectionError::Lost);
        self.after(id);
    }

    /// Either side's refusal, before there are keys.
    fn on_refuse(&mut self, now: Time, remote: SocketAddr, id: u32, (echo, reason): (u64, u64)) {
        if self.half_open.contains_key(&id) {
            self.on_refused_by_client(remote, id, echo);
        } else {
            self.tell(remote, id, |connection| {
                connection.on_refuse(now, echo, reason)
            });
        }
    }

    fn on_syn_ack(&mut self, now: Time, remote: SocketAddr, id: u32, noise: &[u8], bytes: usize) {
        let connection = self.connections.get_mut(&id);
        let answer = connection
            .filter(|connection| connection.remote() == remote)
            .map_or(Answer::Dropped, |connection| {
                connection.on_syn_ack(now, noise, bytes)
            });
        match answer {
            Answer::Taken => {}
            Answer::Dropped => self.dropped_datagrams += 1,
            Answer::TurnedAway { server_id, echo } => {
                self.send_refusal(remote, server_id, echo, Refusal::UntrustedKey);
            }
        }
        self.after(id);
    }

    /// Tells a client's connection of an answer that came before there were keys.
    fn tell(&mut self, remote: SocketAddr, id: u32, act: impl FnOnce(&mut Connection) -> bool) {
        let connection = self.connections.get_mut(&id);
        let taken = connection
            .filter(|connection| connection.remote() == remote)
            .is_some_and(act);
        if taken {
            self.after(id);
        } else {
            self.dropped_datagrams += 1;
        }
    }
}
