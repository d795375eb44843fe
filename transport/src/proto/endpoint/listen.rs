//! The listening side: what a SYN sets going, up to the third message that makes it a
//! connection.
//!
//! What strangers can make this side hold is bounded: [`Config::half_open_limit`] handshakes,
//! [`Config::address_limit`] of them and of connections for one address, and 64 replies that
//! wait to be sent. From [`Config::cookie_threshold`] handshakes on, who has not proved its
//! address is answered with a cookie, and nothing is kept.
//!
//! [`Config::half_open_limit`]: crate::Config::half_open_limit
//! [`Config::address_limit`]: crate::Config::address_limit
//! [`Config::cookie_threshold`]: crate::Config::cookie_threshold

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::event::Event;
use super::{ConnectionId, Endpoint};
use crate::Time;
use crate::crypto::Peer;
use crate::crypto::cookie::CookieJar;
use crate::crypto::noise::{self, Responder, echo_of};
use crate::crypto::stateless_reset::ResetKey;
use crate::proto::connection::{
    Connection, FlowId, HalfOpen, Refusal, Retry, SynKey, answer_payload, preferred_cipher,
};
use crate::wire::{self, COOKIE_BYTES, Header, LOST_BYTES, Parameters, Reader, THIRD_BYTES};

/// Replies that belong to no connection and wait to be sent; beyond that they are dropped.
const MAX_REPLIES: usize = 64;

/// A SYN's fields.
pub(super) struct Syn<'a> {
    source: u32,
    cookie: Option<&'a [u8; COOKIE_BYTES]>,
    noise: &'a [u8],
    /// The datagram's length.
    bytes: usize,
}

impl<'a> Syn<'a> {
    pub(super) const fn new(
        source: u32,
        cookie: Option<&'a [u8; COOKIE_BYTES]>,
        noise: &'a [u8],
        bytes: usize,
    ) -> Self {
        Self {
            source,
            cookie,
            noise,
            bytes,
        }
    }

    fn key(&self, remote: SocketAddr) -> SynKey {
        (remote, wire::digest(self.noise) ^ u64::from(self.source))
    }

    fn parameters(&self) -> Option<Parameters> {
        let payload = noise::first_payload(self.noise).ok()?;
        Parameters::decode(&mut Reader::new(payload)).ok()
    }
}

impl Endpoint {
    pub(super) fn on_syn(&mut self, now: Time, remote: SocketAddr, syn: &Syn<'_>) {
        let key = syn.key(remote);
        if let Some(&id) = self.by_client.get(&key) {
            // The client has not heard the SYN/ACK, or not yet: it is worth another. That is
            // beside the server's own repeats: an answer is far smaller than a SYN, so nobody
            // can make a server send much, and a client at high loss needs every chance.
            if let Some(half) = self.half_open.get_mut(&id) {
                half.retry.on_sent_besides();
                half.received_bytes += syn.bytes as u64;
                self.send_answer(id);
            }
            return;
        }
        if !self.listening {
            return self.refuse(remote, syn, Refusal::NotListening);
        }
        let is_proved = self.is_proved(now, remote, syn);
        if !is_proved && self.half_open.len() >= self.config.cookie_threshold {
            return self.ask_for_cookie(now, remote, syn);
        }
        if self.connections.len() + self.half_open.len() >= self.config.listen_limit {
            return self.refuse(remote, syn, Refusal::ListenLimit);
        }
        if self.has_enough(remote.ip()) {
            return self.refuse(remote, syn, Refusal::AddressLimit);
        }
        if self.half_open.len() >= self.config.half_open_limit {
            self.dropped_datagrams += 1;
            return;
        }
        match self.open_half(now, remote, syn) {
            Some(half) => {
                let id = half.0;
                self.by_client.insert(key, id);
                self.half_open.insert(id, half.1);
                self.answer_syn(now, id);
            }
            None => self.dropped_datagrams += 1,
        }
    }

    /// Begins to answer a SYN; nothing when it cannot be understood.
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
        let payload = answer_payload(&self.config, id, &token, cipher);
        let seed = self.random_seed();
        let noise = Responder::new(&self.identity, seed, syn.noise, payload).ok()?;
        let mut half = HalfOpen::new(
            remote,
            syn.key(remote),
            syn.source,
            noise,
            (parameters, cipher),
            Retry::even(now, &self.config),
        );
        half.received_bytes = syn.bytes as u64;
        Some((id, half))
    }

    /// Sends a half-open connection's SYN/ACK, and again when the time has come.
    pub(super) fn answer_syn(&mut self, now: Time, id: u32) {
        let Some(half) = self.half_open.get_mut(&id) else {
            return;
        };
        half.retry.on_sent(now);
        let next = half.retry.next();
        self.send_answer(id);
        self.arm(id, Some(next));
    }

    fn send_answer(&mut self, id: u32) {
        let Some(half) = self.half_open.get_mut(&id) else {
            return;
        };
        let remote = half.remote;
        if let Some(datagram) = half.answer() {
            self.reply(remote, datagram);
        }
    }

    /// The client's third message: from here on there is a connection. False when it is not
    /// what the client would have sent.
    pub(super) fn on_third(
        &mut self,
        now: Time,
        remote: SocketAddr,
        id: u32,
        third: &[u8; THIRD_BYTES],
    ) -> bool {
        let Some(half) = self.half_open.get_mut(&id) else {
            return true;
        };
        if half.remote != remote {
            return false;
        }
        let Ok((key, secrets)) = half.noise.read_third(&self.identity, third) else {
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
        let mut connection = Connection::accept(now, config, flow, &half, (key, &secrets));
        let peer = Peer::new(key, remote, true);
        let verifier = self.config.verifier.as_ref();
        if verifier.is_none_or(|verifier| verifier.verify(&peer)) {
            self.events.push_back(Event::Accepted(ConnectionId(id)));
        } else {
            connection.turn_away(now, key);
        }
        self.connections.insert(id, connection);
        true
    }

    /// A client wants nothing of a server with this key.
    pub(super) fn on_refused_by_client(&mut self, remote: SocketAddr, id: u32, echo: u64) {
        let is_true = self
            .half_open
            .get(&id)
            .is_some_and(|half| half.remote == remote && half.noise.refusal_echo() == echo);
        if is_true {
            self.arm(id, None);
            self.forget_half_open(id);
        } else {
            self.dropped_datagrams += 1;
        }
    }

    pub(super) fn forget_half_open(&mut self, id: u32) {
        if let Some(half) = self.half_open.remove(&id) {
            self.by_client.remove(&half.key);
        }
    }

    /// Whether this address, or its /64, has as much as one may have.
    fn has_enough(&self, ip: IpAddr) -> bool {
        let (first, last) = match ip {
            IpAddr::V4(_) => (ip, ip),
            IpAddr::V6(v6) => {
                let prefix = v6.to_bits() & !u128::from(u64::MAX);
                let last = prefix | u128::from(u64::MAX);
                (
                    Ipv6Addr::from_bits(prefix).into(),
                    Ipv6Addr::from_bits(last).into(),
                )
            }
        };
        let from = (SocketAddr::new(first, 0), 0);
        let to = (SocketAddr::new(last, u16::MAX), u64::MAX);
        let limit = self.config.address_limit;
        self.by_client.range(from..=to).take(limit).count() >= limit
    }

    // Cookies.

    fn is_proved(&self, now: Time, remote: SocketAddr, syn: &Syn<'_>) -> bool {
        match (syn.cookie, &self.cookies) {
            (Some(cookie), Some(jar)) => jar.is_valid(now, remote, syn.source, cookie),
            _ => false,
        }
    }

    fn ask_for_cookie(&mut self, now: Time, remote: SocketAddr, syn: &Syn<'_>) {
        if self.cookies.is_none() {
            let key = self.random_seed();
            self.cookies = Some(CookieJar::new(&key));
        }
        let Some(jar) = &self.cookies else { return };
        let cookie = jar.issue(now, remote, syn.source);
        let mut datagram = Vec::with_capacity(80);
        Header::Cookie {
            destination: syn.source,
            echo: echo_of(syn.noise),
            cookie: &cookie,
        }
        .encode(&mut datagram);
        self.reply(remote, datagram);
    }

    // Lost connections.

    /// A packet of `bytes` has come for a connection that is not known. If there was one, before
    /// a crash, its client is told. The answer is smaller than the packet, and itself answered by
    /// nobody: there are no loops, and nothing to be amplified (RFC 9000 §10.3.3).
    pub(super) fn tell_lost(&mut self, remote: SocketAddr, id: u32, bytes: usize) {
        if !self.listening || bytes <= LOST_BYTES {
            return;
        }
        let token = self.reset_key().token(id, remote);
        let mut datagram = Vec::with_capacity(LOST_BYTES);
        Header::Lost {
            source: id,
            token: &token,
        }
        .encode(&mut datagram);
        self.reply(remote, datagram);
    }

    fn reset_key(&mut self) -> &ResetKey {
        let (identity, port) = (&self.identity, self.local_port);
        self.resets
            .get_or_insert_with(|| ResetKey::new(identity, port))
    }

    fn refuse(&mut self, remote: SocketAddr, syn: &Syn<'_>, refusal: Refusal) {
        let echo = echo_of(syn.noise);
        self.send_refusal(remote, syn.source, echo, refusal);
    }

    pub(super) fn send_refusal(
        &mut self,
        remote: SocketAddr,
        destination: u32,
        echo: u64,
        refusal: Refusal,
    ) {
        let mut datagram = Vec::with_capacity(48);
        Header::Refuse {
            destination,
            echo,
            reason: refusal.to_wire(),
        }
        .encode(&mut datagram);
        self.reply(remote, datagram);
    }

    fn reply(&mut self, remote: SocketAddr, datagram: Vec<u8>) {
        if self.replies.len() < MAX_REPLIES {
            self.replies.push_back((remote, datagram));
        }
    }

    pub(super) fn random_seed(&mut self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        self.fill_random(&mut seed[..]);
        seed
    }
}
