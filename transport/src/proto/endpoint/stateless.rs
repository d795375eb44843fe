//! Replies for which nothing is kept: refusals, cookies, and word of lost connections.

use std::net::SocketAddr;

use super::Endpoint;
use super::admission::Syn;
use crate::Time;
use crate::crypto::cookie::CookieJar;
use crate::crypto::noise::echo_of;
use crate::crypto::stateless_reset::ResetKey;
use crate::proto::connection::Refusal;
use crate::wire::{Header, STATELESS_RESET_BYTES};

/// Replies without a connection that wait to be sent; any beyond are dropped.
const MAX_REPLIES: usize = 64;

impl Endpoint {
    /// Tells whether a SYN has a cookie that was sent to its address not long ago.
    pub(super) fn has_valid_cookie(&self, now: Time, remote: SocketAddr, syn: &Syn<'_>) -> bool {
        match (syn.cookie, &self.cookies) {
            (Some(cookie), Some(jar)) => jar.is_valid(now, remote, syn.source, cookie),
            _ => false,
        }
    }

    /// Asks a client to prove its address (RFC 9000 §8.1.2).
    pub(super) fn ask_for_cookie(&mut self, now: Time, remote: SocketAddr, syn: &Syn<'_>) {
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

    /// Answers a packet of `bytes` for an unknown connection. If there was one, before a crash,
    /// its client learns that it is lost. The answer is smaller than the packet and is itself
    /// never answered: there are no loops, and nothing is amplified (RFC 9000 §10.3.3).
    pub(super) fn send_stateless_reset(&mut self, remote: SocketAddr, id: u32, bytes: usize) {
        if !self.listening || bytes <= STATELESS_RESET_BYTES {
            return;
        }
        let token = self.reset_key().token(id, remote);
        let mut datagram = Vec::with_capacity(STATELESS_RESET_BYTES);
        Header::StatelessReset {
            source: id,
            token: &token,
        }
        .encode(&mut datagram);
        self.reply(remote, datagram);
    }

    pub(super) fn reset_key(&mut self) -> &ResetKey {
        let (identity, port) = (&self.identity, self.local_port);
        self.resets
            .get_or_insert_with(|| ResetKey::new(identity, port))
    }

    pub(super) fn refuse(&mut self, remote: SocketAddr, syn: &Syn<'_>, refusal: Refusal) {
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

    /// Queues a reply. A flood costs the endpoint this queue and no more.
    pub(super) fn reply(&mut self, remote: SocketAddr, datagram: Vec<u8>) {
        if self.replies.len() < MAX_REPLIES {
            self.replies.push_back((remote, datagram));
        }
    }
}
