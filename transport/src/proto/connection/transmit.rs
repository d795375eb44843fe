//! Which packet goes next, and its bytes.
//!
//! Repeats go before new data. Probes ignore window and pacing; acknowledgements and window
//! updates are small and wait for neither. Everything else waits for the congestion window,
//! the pacer, and, for new data, the peer's receive window.

use std::net::SocketAddr;
use std::ops::Range;

use super::observe::TraceEvent;
use super::timer::Timer;
use super::{Connection, State};
use crate::Time;
use crate::config::Recovery;
use crate::crypto::cipher::TAG_BYTES;
use crate::proto::congestion::SentInfo;
use crate::proto::recovery::{Fate, PacketRate, SentPacket};
use crate::wire::{Header, data_header_bytes, encode, varint_len};

/// What surrounds the stream bytes of a usual data packet: kind, connection id, packet
/// number, STREAM frame, tag.
pub const DATA_OVERHEAD_BYTES: usize = 1 + 4 + 4 + 1 + 4 + TAG_BYTES;

/// A CHALLENGE frame.
const CHALLENGE_BYTES: usize = 1 + 8;

/// The most an ACKED frame takes in a packet that carries data as well.
const SHARED_ACK_BYTES: usize = 256;

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
        match self.state {
            State::Drained => None,
            State::Connecting(_) => self.transmit_syn(now, out),
            State::Closing { reason, answer } => self.transmit_reset(now, reason, answer, out),
            State::Established => self
                .transmit_challenge(now, out)
                .or_else(|| self.transmit_packets(now, max_segments, out)),
        }
    }

    fn transmit_syn(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Burst> {
        let State::Connecting(handshake) = &mut self.state else {
            return None;
        };
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

    fn transmit_reset(
        &mut self,
        now: Time,
        reason: u32,
        answer: bool,
        out: &mut Vec<u8>,
    ) -> Option<Burst> {
        if !answer {
            return None;
        }
        self.state = State::Closing {
            reason,
            answer: false,
        };
        let start = out.len();
        let header_bytes = self.put_header(out);
        encode::reset(out, reason);
        self.seal(out, start, header_bytes);
        let bytes = out.len() - start;
        self.track(now, bytes, None, false, Fate::Untracked);
        Some(self.count_single(bytes))
    }

    fn transmit_packets(
        &mut self,
        now: Time,
        max_segments: usize,
        out: &mut Vec<u8>,
    ) -> Option<Burst> {
        if self
            .keys
            .as_ref()
            .is_none_or(|keys| keys.sealer.is_used_up())
        {
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
            let full = bytes == segment_bytes && bytes as u64 == self.mtu.current();
            if !full || out.len() - start + bytes > MAX_BURST_BYTES {
                break;
            }
        }
        self.arm_after_transmit(now);
        (segment_bytes > 0).then(|| Burst {
            destination: self.path.remote(),
            segment_bytes,
            ect0: self.ecn.is_enabled(),
        })
    }

    /// Asks an address whether the peer is there now.
    fn transmit_challenge(&mut self, now: Time, out: &mut Vec<u8>) -> Option<Burst> {
        let number = self.sent.next_number();
        let bytes = data_header_bytes(number) + CHALLENGE_BYTES + TAG_BYTES;
        let (destination, token) = self.path.take_challenge(bytes as u64)?;
        let start = out.len();
        let header_bytes = self.put_header(out);
        encode::challenge(out, token);
        self.seal(out, start, header_bytes);
        debug_assert_eq!(out.len() - start, bytes);
        self.track(now, bytes, None, false, Fate::Untracked);
        self.timers.set(Timer::Path, now + self.rtt.pto_base());
        let burst = self.count_single(bytes);
        Some(Burst {
            destination,
            ..burst
        })
    }

    /// Appends one packet and gives its size; `None` when there is nothing to send now.
    fn build_packet(&mut self, now: Time, out: &mut Vec<u8>) -> Option<usize> {
        let probe = self.wanted.probes > 0;
        let data = probe || ((self.has_data() || self.has_spare_work(now)) && self.may_send(now));
        self.ask_for_window();
        let control = self.wanted.ping
            || self.wanted.rwnd
            || self.wanted.rwnd_check
            || self.wanted.response.is_some();
        if !data && !control && self.acks.due().is_none_or(|due| due > now) {
            return None;
        }
        let start = out.len();
        let end = start + self.mtu.current() as usize - TAG_BYTES;
        let header_bytes = self.put_header(out);
        let acked_below = self.put_acks(now, data, out, end);
        let mut packet = self.put_control(out, acked_below);
        if probe {
            (0..self.recover.answers_wanted()).for_each(|_| encode::ping(out));
        }
        if data {
            self.put_data(now, probe, out, end, &mut packet);
        }
        let eliciting = packet.fate == Fate::Outstanding;
        if probe {
            self.wanted.probes -= 1;
            self.wanted.ping = false;
        }
        self.seal(out, start, header_bytes);
        let bytes = out.len() - start;
        self.record(now, bytes, packet);
        if eliciting {
            self.arm_loss_timers(now);
        }
        Some(bytes)
    }

    fn put_acks(&mut self, now: Time, data: bool, out: &mut Vec<u8>, end: usize) -> u64 {
        if !self.acks.is_pending() {
            return 0;
        }
        let room = end - out.len();
        encode::acked(
            out,
            self.acks.ranges().iter().rev(),
            self.acks.delay_us(now),
            self.acks.ecn_counts(),
            if data {
                room.min(SHARED_ACK_BYTES)
            } else {
                room
            },
        );
        self.acks.on_ack_sent(now)
    }

    fn put_control(&mut self, out: &mut Vec<u8>, acked_below: u64) -> SentPacket {
        let wanted = self.wanted;
        if wanted.rwnd {
            let limit = self.receive_window.limit(self.receive.read_offset());
            encode::rwnd(out, limit);
            self.receive_window.on_offered(limit);
        }
        if wanted.rwnd_check {
            encode::rwnd_check(out, self.send.sent());
        }
        if wanted.ping {
            encode::ping(out);
        }
        if let Some(token) = wanted.response {
            encode::response(out, token);
        }
        let eliciting = wanted.rwnd || wanted.rwnd_check || wanted.ping;
        self.wanted.response = None;
        self.wanted.ping = false;
        self.wanted.rwnd = false;
        self.wanted.rwnd_check = false;
        SentPacket {
            fate: if eliciting {
                Fate::Outstanding
            } else {
                Fate::Untracked
            },
            sent_at: Time::ZERO,
            bytes: 0,
            stream_offset: 0,
            stream_len: 0,
            fin: false,
            rwnd: wanted.rwnd,
            rwnd_check: wanted.rwnd_check,
            acked_below,
            rate: PacketRate::default(),
        }
    }

    fn put_data(
        &mut self,
        now: Time,
        probe: bool,
        out: &mut Vec<u8>,
        end: usize,
        packet: &mut SentPacket,
    ) {
        packet.fate = Fate::Outstanding;
        // All offsets are given the room of the largest, so that full packets are of one size.
        let overhead = encode::stream_overhead(self.send.end());
        let room = (end - out.len()).saturating_sub(overhead) as u64;
        let Some(chunk) = self.next_chunk(now, probe, room) else {
            encode::ping(out);
            return;
        };
        let fin = self.own_fin.asked && chunk.end == self.send.end();
        let len = chunk.end - chunk.start;
        if len == room {
            let slack = overhead - 1 - varint_len(chunk.start);
            out.resize(out.len() + slack, 0);
        }
        encode::stream(out, chunk.start, fin);
        self.send.copy(chunk.clone(), out);
        self.own_fin.sent |= fin;
        packet.fin = fin;
        packet.stream_offset = chunk.start;
        packet.stream_len = len as u16;
    }

    /// The stream bytes that go next, taken out of what waits.
    fn next_chunk(&mut self, now: Time, probe: bool, room: u64) -> Option<Range<u64>> {
        if let Some(lost) = self.send.next_lost(room) {
            return Some(lost);
        }
        if probe && let Some(oldest) = self.send.next_unacked(self.recover.probe_from(), room) {
            self.recover.on_probed(oldest.end);
            return Some(oldest);
        }
        if let Some(new) = self.send.next_new(room, self.send_window.limit()) {
            return Some(new);
        }
        let end = self.send.end();
        let fin = self.own_fin.asked
            && !self.own_fin.acked
            && !self.send.has_unsent()
            && (probe || !self.own_fin.sent);
        if fin {
            return Some(end..end);
        }
        self.next_spare(now, room)
    }

    fn record(&mut self, now: Time, bytes: usize, mut packet: SentPacket) {
        let stream = packet.stream();
        let again = !stream.is_empty() && stream.start < self.highest_sent;
        if again {
            self.stats.packets_retransmitted += 1;
            self.stats.bytes_retransmitted += stream.end.min(self.highest_sent) - stream.start;
        }
        self.highest_sent = self.highest_sent.max(stream.end);
        let number = self.sent.next_number();
        if packet.fate == Fate::Outstanding {
            self.stats.packets_sent_eliciting += 1;
            self.trace(
                now,
                &TraceEvent::PacketSent {
                    packet_number: number,
                    bytes: bytes as u32,
                    offset: (!stream.is_empty()).then_some(stream.start),
                    length: u32::from(packet.stream_len),
                    retransmission: again,
                },
            );
            packet.rate = self
                .sampler
                .on_sent(now, self.sent.bytes_in_flight(), bytes as u64);
        }
        packet.sent_at = now;
        packet.bytes = bytes as u16;
        let eliciting = packet.fate == Fate::Outstanding;
        self.sent.push(packet);
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += bytes as u64;
        if eliciting {
            let in_flight = self.sent.bytes_in_flight();
            self.controller.on_sent(&SentInfo {
                now,
                packet_number: number,
                bytes: bytes as u64,
                bytes_in_flight: in_flight,
            });
            self.pacer.on_sent(bytes as u64);
            self.recover.on_sent(now);
        }
    }

    /// Counts a packet that has its place in the numbering and nothing else.
    fn track(
        &mut self,
        now: Time,
        bytes: usize,
        stream: Option<Range<u64>>,
        fin: bool,
        fate: Fate,
    ) {
        let stream = stream.unwrap_or(0..0);
        self.sent.push(SentPacket {
            fate,
            sent_at: now,
            bytes: bytes as u16,
            stream_offset: stream.start,
            stream_len: (stream.end - stream.start) as u16,
            fin,
            rwnd: false,
            rwnd_check: false,
            acked_below: 0,
            rate: PacketRate::default(),
        });
    }

    const fn count_single(&mut self, bytes: usize) -> Burst {
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += bytes as u64;
        Burst {
            destination: self.path.remote(),
            segment_bytes: bytes,
            ect0: false,
        }
    }

    /// Whether stream bytes, or the FIN, wait to be sent.
    fn has_data(&self) -> bool {
        let new = self.send.has_unsent() && self.send.sent() < self.send_window.limit();
        // A FIN given up as lost may turn out to have arrived before it goes again.
        let waits = self.own_fin.asked && !self.own_fin.sent && !self.own_fin.acked;
        let fin = waits && !self.send.has_unsent();
        self.send.has_lost() || new || fin
    }

    /// Whether the peer's window is what new data waits for.
    fn is_blocked(&self) -> bool {
        self.send.has_unsent() && self.send.sent() >= self.send_window.limit()
    }

    /// Stands still at the peer's window: asks for more, once.
    fn ask_for_window(&mut self) {
        if self.is_blocked() && self.send_window.on_blocked() {
            self.stats.rwnd_blocked += 1;
            self.wanted.rwnd_check = true;
        }
    }

    fn window_allows(&self) -> bool {
        let fixed = self.config.fixed_window_packets;
        self.sent.bytes_in_flight() + self.mtu.current() <= self.controller.window_bytes()
            && fixed.is_none_or(|fixed| self.sent.packets_in_flight() < u64::from(fixed))
    }

    fn may_send(&mut self, now: Time) -> bool {
        if !self.window_allows() {
            return false;
        }
        let mss = self.mtu.current();
        self.pacing_rate()
            .is_none_or(|rate| self.pacer.allows(now, rate, mss))
    }

    /// Sets the timers that depend on why nothing more was sent.
    fn arm_after_transmit(&mut self, now: Time) {
        match self.acks.due() {
            Some(due) => self.timers.set(Timer::Ack, due),
            None => self.timers.stop(Timer::Ack),
        }
        // A reader may pause for long: asking now and then shows that both are still there.
        if !self.is_blocked() || self.sent.packets_in_flight() > 0 {
            self.timers.stop(Timer::Window);
        } else if self.timers.get(Timer::Window).is_none() {
            self.timers
                .set(Timer::Window, now + self.config.idle_timeout / 3);
        }
        self.timers.stop(Timer::Pacing);
        if !self.window_allows() {
            return;
        }
        if !self.has_data() {
            if self.config.recovery == Recovery::Selective {
                self.sampler.set_app_limited(self.sent.bytes_in_flight());
            }
            if self.has_spare_work(now) {
                self.arm_pacing(now);
            } else if let Some(again_at) = self.spare_again_at(now) {
                self.timers.set(Timer::Pacing, again_at);
            }
            return;
        }
        self.arm_pacing(now);
    }

    fn arm_pacing(&mut self, now: Time) {
        if let Some(rate) = self.pacing_rate() {
            let release = self.pacer.next_release(rate, self.mtu.current());
            if release > now {
                self.timers.set(Timer::Pacing, release);
            }
        }
    }
}
