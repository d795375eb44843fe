//! A peer that has moved: its new address is challenged, and then taken (RFC 9000 §9).

use std::net::SocketAddr;

use super::Connection;
use super::timer::Timer;
use super::transmit::Burst;
use crate::Time;
use crate::crypto::cipher::TAG_BYTES;
use crate::proto::recovery::SentPacket;
use crate::wire::{data_header_bytes, encode};

/// The length of a CHALLENGE frame.
const CHALLENGE_BYTES: usize = 1 + 8;

impl Connection {
    /// Tells whether a new address waits for a token to be challenged with.
    pub(crate) const fn has_new_address(&self) -> bool {
        self.path.address().has_new_address()
    }

    /// Starts to challenge the new address with `token`.
    pub(crate) fn challenge_new_address(&mut self, token: u64) {
        self.path.address_mut().challenge(token);
    }

    /// Appends the challenge that is due, if one is.
    pub(super) fn transmit_challenge(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Burst> {
        let number = self.recovery.next_number();
        let bytes = data_header_bytes(number) + CHALLENGE_BYTES + TAG_BYTES;
        let (destination, token) = self.path.address_mut().take_challenge(bytes as u64)?;
        let start = out.len();
        let header_bytes = self.put_header(out);
        encode::challenge(out, token);
        self.seal(out, start, header_bytes);
        debug_assert_eq!(out.len() - start, bytes);
        self.recovery.on_sent(now, SentPacket::untracked(bytes));
        self.timers.set(Timer::Path, now + self.path.pto_base());
        let burst = self.count_single(bytes);
        Some(Burst {
            destination,
            ..burst
        })
    }

    /// Takes the response to a challenge.
    pub(super) fn on_response(&mut self, now: Time, from: SocketAddr, token: u64) {
        let Some(before) = self.path.address_mut().on_response(from, token) else {
            return;
        };
        self.stats.migrations += 1;
        self.timers.stop(Timer::Path);
        // Another port is most likely the same path behind a NAT that forgot; another address
        // is another network, of which nothing is known (RFC 9000 §9.4).
        if before.ip() != self.path.remote().ip() {
            self.path.reset(now, &self.config);
        }
        // Something to acknowledge: it shows what was lost on the old path.
        self.pending.ping = true;
        self.restart_probing(now);
    }
}
