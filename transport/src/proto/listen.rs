//! The listening side: what a SYN sets going, up to the echo that makes it a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use super::connection::Connection;
use super::endpoint::{ConnectionId, Endpoint};
use super::event::{Event, Refusal};
use super::handshake::{self, HalfOpen};
use super::observe::FlowId;
use crate::Time;
use crate::wire::{self, Header};

/// Replies that belong to no connection and wait to be sent; beyond that they are dropped.
const MAX_REPLIES: usize = 64;

impl Endpoint {
    pub(super) fn on_syn(
        &mut self,
        now: Time,
        remote: SocketAddr,
        syn: (u64, u64, wire::Parameters),
    ) {
        if let Some(&id) = self.by_client.get(&(remote, syn.0)) {
            // The client has not heard the SYN/ACK, or not yet: it is worth another. That is
            // beside the server's own repeats: an answer is far smaller than a SYN, so nobody
            // can make a server send much, and a client at high loss needs every chance.
            if let Some(half) = self.half_open.get_mut(&id) {
                half.retry.on_sent_besides();
                self.send_answer(id);
            }
            return;
        }
        if !self.listening {
            return self.refuse(remote, syn.0, syn.1, Refusal::NotListening);
        }
        if self.connections.len() + self.half_open.len() >= self.config.listen_limit {
            return self.refuse(remote, syn.0, syn.1, Refusal::ListenLimit);
        }
        if self.half_open.len() >= self.config.half_open_limit {
            self.dropped_datagrams += 1;
            return;
        }
        let id = self.unused_id();
        let nonce = self.random_u64();
        self.half_open
            .insert(id, HalfOpen::new(now, &self.config, remote, syn, nonce));
        self.by_client.insert((remote, syn.0), id);
        self.answer_syn(now, id);
    }

    /// Sends a half-open connection's SYN/ACK, and again when the time has come.
    pub(super) fn answer_syn(&mut self, now: Time, id: u64) {
        let Some(half) = self.half_open.get_mut(&id) else {
            return;
        };
        half.retry.on_sent(now);
        let next = half.retry.next();
        self.send_answer(id);
        self.arm(id, Some(next));
    }

    fn send_answer(&mut self, id: u64) {
        let Some(half) = self.half_open.get(&id) else {
            return;
        };
        let mut datagram = Vec::with_capacity(64);
        half.answer(id, handshake::parameters(&self.config))
            .encode(&mut datagram);
        wire::seal(&mut datagram, 0);
        self.reply(half.remote, datagram);
    }

    /// The client's third message: from here on there is a connection.
    pub(super) fn on_echo(&mut self, now: Time, remote: SocketAddr, id: u64, echo: u64) {
        let proved = self
            .half_open
            .get(&id)
            .is_some_and(|half| half.remote == remote && half.nonce == echo);
        if !proved {
            return;
        }
        let Some(half) = self.half_open.remove(&id) else {
            return;
        };
        let flow = FlowId {
            is_client: false,
            id,
            remote,
        };
        let connection = Connection::accept(now, Arc::clone(&self.config), flow, &half);
        self.connections.insert(id, connection);
        self.events.push_back(Event::Accepted(ConnectionId(id)));
    }

    pub(super) fn forget_half_open(&mut self, id: u64) {
        if let Some(half) = self.half_open.remove(&id) {
            self.by_client.remove(&(half.remote, half.client_id));
        }
    }

    fn refuse(&mut self, remote: SocketAddr, destination: u64, echo: u64, refusal: Refusal) {
        let mut datagram = Vec::with_capacity(48);
        Header::Refuse {
            destination,
            echo,
            reason: refusal.to_wire(),
        }
        .encode(&mut datagram);
        wire::seal(&mut datagram, 0);
        self.reply(remote, datagram);
    }

    fn reply(&mut self, remote: SocketAddr, datagram: Vec<u8>) {
        if self.replies.len() < MAX_REPLIES {
            self.replies.push_back((remote, datagram));
        }
    }
}
