//! Validation of the peer's address when it changes (RFC 9000 §8.2, §9).
//!
//! A client's address may change under it: its NAT forgets the old mapping, or it roams. Its
//! packets are known by their connection id and their seal, wherever they come from. A server
//! challenges the new address before it sends anything else there, and sends on to the old one
//! until the response has come.

use std::net::SocketAddr;

use crate::prefix::is_same_address;
use crate::proto::MAX_AMPLIFICATION;

/// How many challenges are sent, a probe timeout apart.
const CHALLENGES: u32 = 5;

/// The peer's address, and the one that it may have moved to.
#[derive(Debug)]
pub(crate) struct AddressValidation {
    remote: SocketAddr,
    /// An address from which a packet has come, and the bytes of that packet: it is waiting for
    /// a token to be challenged with.
    new_address: Option<(SocketAddr, u64)>,
    candidate: Option<Candidate>,
}

/// An address that has been sent a challenge and has not answered yet.
#[derive(Debug)]
struct Candidate {
    addr: SocketAddr,
    token: u64,
    received_bytes: u64,
    sent_bytes: u64,
    left: u32,
    due: bool,
}

impl AddressValidation {
    pub(super) const fn new(remote: SocketAddr) -> Self {
        Self {
            remote,
            new_address: None,
            candidate: None,
        }
    }

    /// The validated address: packets go there.
    pub(super) const fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Takes an authentic packet from `addr`, which is not the validated address. Only the
    /// packet with the highest number so far (`is_newest`) starts a validation: one that was
    /// delayed on the old path must not move the peer back (RFC 9000 §9.3).
    pub(super) fn on_packet_from(&mut self, addr: SocketAddr, bytes: u64, is_newest: bool) {
        if let Some(candidate) = &mut self.candidate
            && is_same_address(candidate.addr, addr)
        {
            candidate.received_bytes += bytes;
        } else if is_newest {
            self.new_address = Some((addr, bytes));
        }
    }

    /// Tells whether a new address waits to be challenged.
    pub(super) const fn has_new_address(&self) -> bool {
        self.new_address.is_some()
    }

    /// Starts to challenge the new address; `token` is what it has to return.
    pub(super) fn challenge(&mut self, token: u64) {
        let Some((addr, bytes)) = self.new_address.take() else {
            return;
        };
        self.candidate = Some(Candidate {
            addr,
            token,
            received_bytes: bytes,
            sent_bytes: 0,
            left: CHALLENGES,
            due: true,
        });
    }

    /// The challenge to send now, in a packet of `bytes`: its destination and its token.
    pub(super) fn take_challenge(&mut self, bytes: u64) -> Option<(SocketAddr, u64)> {
        let candidate = self.candidate.as_mut().filter(|candidate| candidate.due)?;
        let sent = candidate.sent_bytes + bytes;
        // The address may be forged, and its owner the victim (RFC 9000 §8.1).
        if sent > MAX_AMPLIFICATION * candidate.received_bytes {
            return None;
        }
        candidate.sent_bytes = sent;
        candidate.due = false;
        candidate.left -= 1;
        Some((candidate.addr, candidate.token))
    }

    /// Takes the end of a wait without a response: challenges again, or abandons the address.
    /// Tells whether to wait once more.
    pub(super) fn on_timer(&mut self) -> bool {
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

    /// Takes a response. When its token and its origin are those of the challenge, the peer
    /// has moved; gives the address it had before.
    pub(super) fn on_response(&mut self, from: SocketAddr, token: u64) -> Option<SocketAddr> {
        let candidate = self.candidate.as_ref()?;
        if !is_same_address(candidate.addr, from) || candidate.token != token {
            return None;
        }
        self.candidate = None;
        Some(std::mem::replace(&mut self.remote, from))
    }
}
