//! Where the peer is, and the proof of a new address (RFC 9000 §8.2, §9).
//!
//! A client's address may change under it: its NAT forgets the old mapping, or it roams. Its
//! packets are known by their connection id and their seal, wherever they come from. A server
//! asks the new address to answer a challenge before it sends anything else there, and sends
//! on to the old one until then.

use std::net::SocketAddr;

use super::handshake::MAX_AMPLIFICATION;

/// How often a challenge is repeated, a probe timeout apart.
const CHALLENGES: u32 = 5;

/// The peer's address, and the one it may have moved to.
#[derive(Debug)]
pub(crate) struct Path {
    remote: SocketAddr,
    candidate: Option<Candidate>,
}

/// An address that has to prove itself.
#[derive(Debug)]
struct Candidate {
    addr: SocketAddr,
    token: u64,
    received_bytes: u64,
    sent_bytes: u64,
    left: u32,
    due: bool,
}

impl Path {
    pub(crate) const fn new(remote: SocketAddr) -> Self {
        Self {
            remote,
            candidate: None,
        }
    }

    /// Where packets go.
    pub(crate) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// A sealed packet came from `addr`, which is elsewhere. `is_newest`: none with a higher
    /// number has come (one that was held up does not move the peer back). Whether it takes
    /// a token to challenge the address is told.
    pub(crate) fn on_packet_from(&mut self, addr: SocketAddr, bytes: u64, is_newest: bool) -> bool {
        if let Some(candidate) = &mut self.candidate
            && candidate.addr == addr
        {
            candidate.received_bytes += bytes;
            return false;
        }
        is_newest
    }

    /// Begins to ask `addr`; `token` is what it has to repeat.
    pub(crate) const fn challenge(&mut self, addr: SocketAddr, bytes: u64, token: u64) {
        self.candidate = Some(Candidate {
            addr,
            token,
            received_bytes: bytes,
            sent_bytes: 0,
            left: CHALLENGES,
            due: true,
        });
    }

    /// The challenge to send now, a packet of `bytes`: where to, and the token.
    pub(crate) fn take_challenge(&mut self, bytes: u64) -> Option<(SocketAddr, u64)> {
        let candidate = self.candidate.as_mut().filter(|candidate| candidate.due)?;
        let sent = candidate.sent_bytes + bytes;
        if sent > MAX_AMPLIFICATION * candidate.received_bytes {
            return None;
        }
        candidate.sent_bytes = sent;
        candidate.due = false;
        candidate.left -= 1;
        Some((candidate.addr, candidate.token))
    }

    /// No answer has come: asks again, or gives the address up. Whether to wait is told.
    pub(crate) fn on_timer(&mut self) -> bool {
        match &mut self.candidate {
            Some(candidate) if candidate.left > 0 => {
                candidate.due = true;
                true
            }
            _ => {
                self.candidate = None;
                false
            }
        }
    }

    /// An answer came. When it is the right one, from the right place, the peer has moved;
    /// gives where it was.
    pub(crate) fn on_response(&mut self, from: SocketAddr, token: u64) -> Option<SocketAddr> {
        let candidate = self.candidate.as_ref()?;
        if candidate.addr != from || candidate.token != token {
            return None;
        }
        self.candidate = None;
        Some(std::mem::replace(&mut self.remote, from))
    }
}
