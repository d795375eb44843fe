//! Whether a packet may go now, and what wakes the connection when none may.
//!
//! Retransmissions go before new data. Probes ignore window and pacing; acknowledgements and
//! window updates are small and wait for neither. Everything else waits for the congestion
//! window, the pacer, and, for new data, the peer's receive window.

use std::net::SocketAddr;

use super::Connection;
use super::lifecycle::State;
use super::timer::Timer;
use crate::Time;
use crate::proto::recovery::{SenderState, SentPacket};
use crate::wire::{Header, encode};

/// The most bytes that one send may hold (RFC 768, IPv4).
const MAX_BURST_BYTES: usize = 65_507;

/// Datagrams that were appended to the buffer: all of `segment_bytes`, but for the last.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Burst {
    pub(crate) destination: SocketAddr,
    pub(crate) segment_bytes: usize,
    pub(crate) ect0: bool,
}

impl Connection {
    /// Appends the datagrams that may go now, at most `max_segments`.
    pub(crate) fn poll_transmit(
        &mut self,
        now: Time,
        max_segments: usize,
        out: &mut Vec<u8>,
    ) -> Option<Burst> {
        match *self.lifecycle.state() {
            State::Drained => None,
            State::Connecting(_) => self.transmit_syn(now, out),
            State::Closing { reason, answer } => {
                answer.then(|| self.transmit_reset(now, reason, out))
            }
            State::Established => self
                .transmit_challenge(now, out)
                .or_else(|| self.transmit_packets(now, max_segments, out)),
        }
    }

    fn transmit_syn(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Burst> {
        let handshake = self.lifecycle.handshake_mut()?;
        if handshake.retry.next() > now || handshake.retry.is_exhausted() {
            return None;
        }
        handshake.retry.on_sent(now);
        self.timers.set(Timer::Handshake, handshake.retry.next());
        let start = out.len();
        Header::Syn {
            source: self.flow.id,
            cookie: handshake.cookie.as_ref(),
            noise: handshake.noise.first(),
        }
        .encode(out);
        Some(self.count_single(out.len() - start))
    }

    fn transmit_reset(&mut self, now: Time, reason: u32, out: &mut Vec<u8>) -> Burst {
        self.lifecycle.set_answer(false);
        let start = out.len();
        let header_bytes = self.put_header(out);
        encode::reset(out, reason);
        self.seal(out, start, header_bytes);
        let bytes = out.len() - start;
        self.recovery.on_sent(now, SentPacket::untracked(bytes));
        self.count_single(bytes)
    }

    fn transmit_packets(
        &mut self,
        now: Time,
        max_segments: usize,
        out: &mut Vec<u8>,
    ) -> Option<Burst> {
        // RFC 9001 §6.6: a key seals no more than its cipher allows, and there is no next one
        // before the peer has acknowledged this one.
        if self.protection.is_used_up() {
            self.fail(now, "no packet of the present key is acknowledged");
            return None;
        }
        let start = out.len();
        let mut segment_bytes = 0;
        for _ in 0..max_segments {
            let Some(bytes) = self.build_packet(now, out) else {
                break;
            };
            segment_bytes = segment_bytes.max(bytes);
            // Segmentation offload takes datagrams of one size, and one shorter at the end.
            let full = bytes == segment_bytes && bytes as u64 == self.path.mss();
            if !full || out.len() - start + bytes > MAX_BURST_BYTES {
                break;
            }
        }
        self.arm_after_transmit(now);
        (segment_bytes > 0).then(|| Burst {
            destination: self.path.remote(),
            segment_bytes,
            ect0: self.path.is_ecn_enabled(),
        })
    }

    /// Counts a datagram that goes alone and unmarked.
    pub(super) const fn count_single(&mut self, bytes: usize) -> Burst {
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += bytes as u64;
        Burst {
            destination: self.path.remote(),
            segment_bytes: bytes,
            ect0: false,
        }
    }

    // What may go.

    /// Tells whether window and pacer let another packet go, and there is something for it to
    /// carry.
    pub(super) fn may_send_data(&mut self, now: Time) -> bool {
        (self.send.has_data() || self.is_proactive_due(now))
            && self.window_allows()
            && self.path.pacing_allows(now)
    }

    fn window_allows(&self) -> bool {
        let fixed = self.config.fixed_window_packets;
        self.path.window_allows(self.recovery.bytes_in_flight())
            && fixed.is_none_or(|fixed| self.recovery.packets_in_flight() < u64::from(fixed))
    }

    /// Asks for more of the peer's window, once, when it alone holds new data back.
    pub(super) fn ask_for_window(&mut self) {
        if self.send.should_ask_for_window() {
            self.stats.rwnd_blocked += 1;
            self.pending.rwnd_check = true;
        }
    }

    /// Tells whether there is something to retransmit before its loss is noticed.
    fn is_proactive_due(&self, now: Time) -> bool {
        self.proactive.is_due(now, &self.send, &self.sender_state())
    }

    pub(super) fn sender_state(&self) -> SenderState {
        let stats = &self.stats;
        SenderState {
            packets_sent: stats.packets_sent,
            bytes_sent: stats.bytes_sent,
            packets_lost: stats.packets_lost.saturating_sub(stats.spurious_losses),
            bytes_in_flight: self.recovery.bytes_in_flight(),
            congestion_window_bytes: self.path.controller().window_bytes(),
            smoothed_rtt: self.path.rtt().smoothed(),
        }
    }

    // What wakes the connection.

    /// Sets the timers that depend on why nothing more was sent.
    fn arm_after_transmit(&mut self, now: Time) {
        match self.acks.due() {
            Some(due) => self.timers.set(Timer::Ack, due),
            None => self.timers.stop(Timer::Ack),
        }
        self.arm_window_timer(now);
        self.timers.stop(Timer::Pacing);
        // An acknowledgement will open the congestion window, and wake the connection by itself.
        if !self.window_allows() {
            return;
        }
        if self.send.has_data() {
            self.arm_pacing(now);
            return;
        }
        self.recovery.set_app_limited();
        if self.is_proactive_due(now) {
            self.arm_pacing(now);
        } else if let Some(at) = self
            .proactive
            .next_pass_at(now, &self.send, &self.sender_state())
        {
            self.timers.set(Timer::Pacing, at);
        }
    }

    /// Asks again now and then while the peer's window stays shut: a reader may pause for
    /// long, and the answers show that both sides are still there.
    fn arm_window_timer(&mut self, now: Time) {
        if !self.send.is_blocked() || self.recovery.packets_in_flight() > 0 {
            self.timers.stop(Timer::Window);
        } else if self.timers.get(Timer::Window).is_none() {
            self.timers
                .set(Timer::Window, now + self.config.idle_timeout / 3);
        }
    }

    fn arm_pacing(&mut self, now: Time) {
        if let Some(release) = self.path.next_release(now) {
            self.timers.set(Timer::Pacing, release);
        }
    }
}
