//! Admission: from a SYN to the last handshake message, which makes it a connection.
//!
//! What clients with unvalidated addresses can make this side hold is bounded, and shared by
//! address prefix ([`shares`](super::shares)): [`Config::half_open_limit`] handshakes, beyond
//! which one of those who hold most is given up for a newcomer; [`Config::address_limit`] of
//! them and of connections for one host, beyond which its oldest handshake goes first; and 64
//! replies that wait to be sent. From [`Config::cookie_threshold`] handshakes on, a SYN without
//! a cookie is answered with one, and nothing is kept; and a host and a network start no more
//! than a [`rate`](super::rate) of handshakes, whose key exchanges cost time. When all
//! [`Config::listen_limit`] connections exist, a newcomer gets the place of one of those who
//! hold most. Connections that are over and only wait
//! for late packets count against none of this.
//!
//! [`Config::listen_limit`]: crate::Config::listen_limit
//! [`Config::half_open_limit`]: crate::Config::half_open_limit
//! [`Config::address_limit`]: crate::Config::address_limit
//! [`Config::cookie_threshold`]: crate::Config::cookie_threshold

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::event::Event;
use super::{ConnectionId, Endpoint};
use crate::Time;
use crate::crypto::Peer;
use crate::crypto::noise::{self, Responder};
use crate::prefix::{canonical, is_same_address};
use crate::proto::connection::{
    Connection, FlowId, HalfOpen, Refusal, Retry, SynKey, answer_payload, preferred_cipher,
};
use crate::wire::{self, COOKIE_BYTES, HANDSHAKE_FINISH_BYTES, Parameters, Reader};

/// Half-open handshakes beyond which the state of a further one is not kept but computed again
/// when its client answers: less memory, at the price of a Diffie-Hellman.
const MAX_READY: usize = 64;

/// The age from which on a handshake gives way to another of the same address: a client that is
/// still there has been sent the SYN/ACK five times.
const STALE_AFTER: Duration = Duration::from_secs(1);

/// How often the state of one handshake is computed again. It takes more only when messages are
/// forged by someone who can read the client's.
const MAX_REPLAYS: u32 = 4;

/// The fields of a SYN.
pub(super) struct Syn<'a> {
    pub(super) source: u32,
    pub(super) cookie: Option<&'a [u8; COOKIE_BYTES]>,
    pub(super) noise: &'a [u8],
    /// The datagram's length.
    pub(super) bytes: usize,
}

impl Syn<'_> {
    fn key(&self, remote: SocketAddr) -> SynKey {
        let digest = wire::digest(self.noise) ^ u64::from(self.source);
        (canonical(remote), digest)
    }

    fn parameters(&self) -> Option<Parameters> {
        let payload = noise::first_payload(self.noise).ok()?;
        Parameters::decode(&mut Reader::new(payload)).ok()
    }
}

impl Endpoint {
    /// Takes a SYN: answers it, refuses it, or drops it.
    pub(super) fn on_syn(&mut self, now: Time, remote: SocketAddr, syn: &Syn<'_>) {
        let key = syn.key(remote);
        if let Some(&id) = self.by_client.get(&key) {
            // The SYN/ACK has not arrived, or not yet: it is worth another. That is beside the
            // server's own retransmissions: an answer is far smaller than a SYN, so there is
            // nothing to amplify, and a client at high loss needs every chance.
            if let Some(half) = self.half_open.get_mut(&id) {
                half.on_syn_repeated(syn.bytes as u64);
                self.send_answer(id);
            }
            return;
        }
        if !self.listening {
            return self.refuse(remote, syn, Refusal::NotListening);
        }
        // The checks stand in order of what they cost this side: a flood from forged addresses
        // must meet the cookie before it meets a limit that it could exhaust for others.
        let is_validated = self.has_valid_cookie(now, remote, syn);
        // Nor may one take a place from another.
        let threshold = self
            .config
            .cookie_threshold
            .min(self.config.half_open_limit);
        if !is_validated && self.half_open.len() >= threshold {
            return self.ask_for_cookie(now, remote, syn);
        }
        if !self.has_place_for(remote.ip()) {
            return self.refuse(remote, syn, Refusal::ListenLimit);
        }
        // From here on a SYN costs key exchanges. The client sends it again by itself.
        let is_loaded = self.half_open.len() >= threshold;
        if is_loaded && !self.handshake_rate.admit(now, remote.ip()) {
            self.dropped_datagrams += 1;
            return;
        }
        if !self.make_room_for(now, remote.ip()) {
            return self.refuse(remote, syn, Refusal::AddressLimit);
        }
        match self.open_half(now, remote, syn) {
            Some((id, half)) => {
                self.by_client.insert(key, id);
                self.half_open.insert(id, half);
                self.half_open_shares.insert(remote.ip(), id);
                self.publish_memory();
                self.answer_syn(now, id);
                self.reclaim_when_scarce(now, id);
            }
            None => self.dropped_datagrams += 1,
        }
    }

    /// Starts to answer a SYN; `None` when it cannot be parsed.
    fn open_half(
        &mut self,
        now: Time,
        remote: SocketAddr,
        syn: &Syn<'_>,
    ) -> Option<(u32, HalfOpen)> {
        let parameters = syn.parameters()?;
        let cipher = preferred_cipher(&self.config).choose(parameters.ciphers)?;
        let id = self.unused_id();
        let token = self.reset_key().token(id, remote);
        let window = self.first_window(remote.ip());
        let payload = answer_payload(&self.config, id, &token, window, cipher);
        let seed = self.random_seed();
        let mut noise = Responder::new(&self.identity, seed, syn.noise, payload).ok()?;
        if self.half_open.len() >= MAX_READY {
            noise.compact();
        }
        let half = HalfOpen::new(
            (remote, syn.key(remote)),
            syn.source,
            noise,
            (parameters, cipher),
            window,
            Retry::even(now, &self.config),
            syn.bytes as u64,
        );
        Some((id, half))
    }

    /// Sends the SYN/ACK of a half-open handshake and sets the deadline for the next.
    pub(super) fn answer_syn(&mut self, now: Time, id: u32) {
        let Some(half) = self.half_open.get_mut(&id) else {
            return;
        };
        half.retry.on_sent(now);
        let next = half.retry.next();
        self.send_answer(id);
        self.deadlines.set(id, Some(next));
    }

    fn send_answer(&mut self, id: u32) {
        let Some(half) = self.half_open.get_mut(&id) else {
            return;
        };
        let remote = half.remote();
        if let Some(datagram) = half.answer() {
            self.reply(remote, datagram);
        }
    }

    /// Takes the client's last handshake message: from here on there is a connection. False
    /// when it is not what the client of this handshake would have sent.
    pub(super) fn on_handshake_finish(
        &mut self,
        now: Time,
        remote: SocketAddr,
        id: u32,
        message: &[u8; HANDSHAKE_FINISH_BYTES],
    ) -> bool {
        let Some(half) = self.half_open.get_mut(&id) else {
            // Repeated in a packet of a connection that exists, or that never did.
            return true;
        };
        if !is_same_address(half.remote(), remote) {
            return false;
        }
        let Ok((key, secrets)) = half.noise.read_finish(&self.identity, message) else {
            if half.noise.replays() >= MAX_REPLAYS {
                self.forget_half_open(id);
            }
            return false;
        };
        let Some(half) = self.half_open.remove(&id) else {
            return false;
        };
        let flow = FlowId {
            is_client: false,
            id,
            remote,
        };
        let config = Arc::clone(&self.config);
        self.half_open_shares.remove(id);
        let secret = self.skip_secret(id);
        let mut connection = Connection::accept(now, config, flow, &half, (key, &secrets), secret);
        let peer = Peer::new(key, remote, true);
        let verifier = self.config.verifier.as_ref();
        if verifier.is_some_and(|verifier| !verifier.verify(&peer)) {
            connection.reject_key(now, key);
        } else if !self.make_place_for(now, remote.ip()) {
            // Others were faster since the SYN was answered.
            connection.reject_client(now, Refusal::ListenLimit);
        } else {
            self.accepted_shares.insert(remote.ip(), id);
            self.events.push_back(Event::Accepted(ConnectionId(id)));
        }
        self.connections.insert(id, connection);
        self.publish_memory();
        self.reclaim_when_scarce(now, id);
        true
    }

    /// Tells whether there is a place for another connection of an address, or a host that has
    /// to give it one.
    fn has_place_for(&self, ip: IpAddr) -> bool {
        let shares = &self.accepted_shares;
        shares.len() < self.config.listen_limit || shares.yields_to(ip).is_some()
    }

    /// Frees a place for a connection of an address when there is none: of the host that has to
    /// give one, the connection that has been silent longest. False when none has to.
    fn make_place_for(&mut self, now: Time, ip: IpAddr) -> bool {
        if self.accepted_shares.len() < self.config.listen_limit {
            return true;
        }
        let Some(host) = self.accepted_shares.yields_to(ip) else {
            return false;
        };
        let last_heard = |id: &u32| self.connections.get(id).map(Connection::last_heard);
        let places = self.accepted_shares.places_of(host);
        if let Some(evicted) = places.min_by_key(last_heard) {
            self.with(ConnectionId(evicted), |connection| connection.evict(now));
        }
        true
    }

    /// Takes a client's refusal of this server's key.
    pub(super) fn on_refused_by_client(&mut self, remote: SocketAddr, id: u32, echo: u64) {
        let is_genuine = self.half_open.get(&id).is_some_and(|half| {
            is_same_address(half.remote(), remote) && half.noise.refusal_echo() == echo
        });
        if is_genuine {
            self.forget_half_open(id);
        } else {
            self.dropped_datagrams += 1;
        }
    }

    pub(super) fn forget_half_open(&mut self, id: u32) {
        self.deadlines.set(id, None);
        self.half_open_shares.remove(id);
        if let Some(half) = self.half_open.remove(&id) {
            self.by_client.remove(&half.key());
            self.publish_memory();
        }
    }

    /// Frees a place for another handshake of an address: an old one of its own when it has as
    /// many as it may have, or one of those who hold most. False when none of its own is old.
    fn make_room_for(&mut self, now: Time, ip: IpAddr) -> bool {
        let connected = self.accepted_shares.held_by(ip);
        if connected >= self.config.address_limit {
            return false;
        }
        if connected + self.half_open_shares.held_by(ip) >= self.config.address_limit {
            // A client that abandons a handshake sends nothing that says so.
            let oldest = self.half_open_shares.oldest_of(ip);
            let half = oldest.and_then(|id| self.half_open.get(&id));
            let is_stale = half.is_some_and(|half| half.retry.age(now) >= STALE_AFTER);
            match oldest {
                Some(oldest) if is_stale => self.forget_half_open(oldest),
                _ => return false,
            }
        }
        if self.half_open.len() >= self.config.half_open_limit
            && let Some(evicted) = self.half_open_shares.next_evicted()
        {
            self.forget_half_open(evicted);
        }
        true
    }
}
