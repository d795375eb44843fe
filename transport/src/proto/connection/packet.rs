//! The bytes of a packet: acknowledgements, then control frames, then data.

use std::ops::Range;

use super::Connection;
use super::observe::TraceEvent;
use crate::Time;
use crate::crypto::cipher::TAG_BYTES;
use crate::proto::congestion::SentInfo;
use crate::proto::recovery::{SentPacket, SentState};
use crate::wire::{encode, varint_len};

/// The bytes around the stream bytes of a usual data packet: kind, connection id, packet
/// number, STREAM frame, tag.
pub const DATA_OVERHEAD_BYTES: usize = 1 + 4 + 4 + 1 + 4 + TAG_BYTES;

/// The most an ACKED frame takes in a packet that carries data as well.
const SHARED_ACK_BYTES: usize = 256;

/// The most that control frames take in a packet: RWND, RWND_CHECK, PING, RESPONSE.
const MAX_CONTROL_BYTES: usize = 9 + 9 + 1 + 9;

impl Connection {
    /// Appends one packet and gives its size; `None` when there is nothing to send now.
    pub(super) fn build_packet(&mut self, now: Time, out: &mut Vec<u8>) -> Option<usize> {
        let probe = self.pending.probes > 0;
        // A probe answers the very question that window and pacer wait for (RFC 9002 §7.5).
        let data = probe || self.may_send_data(now);
        self.ask_for_window();
        let control = self.pending.has_control();
        if !data && !control && self.acks.due().is_none_or(|due| due > now) {
            return None;
        }
        let start = out.len();
        let end = start + self.path.mss() as usize - TAG_BYTES;
        let header_bytes = self.put_header(out);
        let acked_below = self.put_acks(now, data, out, start..end);
        let mut packet = self.put_control(out, acked_below);
        if probe {
            (0..self.recovery.probe_pings()).for_each(|_| encode::ping(out));
        }
        if data {
            self.put_data(now, probe, out, end, &mut packet);
        }
        if probe {
            self.pending.probes -= 1;
            self.pending.ping = false;
        }
        self.seal(out, start, header_bytes);
        let bytes = out.len() - start;
        if !data {
            self.acks.on_bytes_sent(bytes as u64);
        }
        self.record(now, bytes, packet);
        Some(bytes)
    }

    /// Appends the next packet's header and gives its length.
    pub(super) fn put_header(&mut self, out: &mut Vec<u8>) -> usize {
        let number = self.recovery.next_number();
        self.protection.put_header(out, self.peer.id(), number)
    }

    /// Seals the next packet, which begins at `start`.
    pub(super) fn seal(&mut self, out: &mut Vec<u8>, start: usize, header_bytes: usize) {
        let number = self.recovery.next_number();
        self.protection.seal(out, start, header_bytes, number);
    }

    /// Appends an acknowledgement if one is pending; gives the packet number below which it
    /// acknowledges everything.
    fn put_acks(&mut self, now: Time, data: bool, out: &mut Vec<u8>, packet: Range<usize>) -> u64 {
        if !self.acks.is_pending() {
            return 0;
        }
        let room = packet.end - out.len();
        let limit = if data {
            // Beside data the newest ranges suffice: the next packet acknowledges again.
            room.min(SHARED_ACK_BYTES)
        } else {
            // No window holds such a packet back: the bytes received do (RFC 9000 §13.2.3 lets a
            // receiver limit the ranges).
            let control = if self.pending.has_control() {
                MAX_CONTROL_BYTES
            } else {
                0
            };
            let around = out.len() - packet.start + control + TAG_BYTES;
            let credit = usize::try_from(self.acks.credit_bytes()).unwrap_or(room);
            room.min(credit.saturating_sub(around))
        };
        let before = out.len();
        encode::acked(
            out,
            self.acks.ranges().iter().rev(),
            self.acks.delay_us(now),
            self.acks.ecn_counts(),
            limit,
        );
        if out.len() == before {
            // Not even one range fits beside what else goes in this packet.
            return 0;
        }
        self.acks.on_ack_sent(now)
    }

    fn put_control(&mut self, out: &mut Vec<u8>, acked_below: u64) -> SentPacket {
        let frames = self.pending.take_control();
        if frames.rwnd {
            encode::rwnd(out, self.receive.offer_window());
        }
        if frames.rwnd_check {
            encode::rwnd_check(out, self.send.sent());
        }
        if frames.ping {
            encode::ping(out);
        }
        if let Some(token) = frames.response {
            encode::response(out, token);
        }
        let eliciting = frames.rwnd || frames.rwnd_check || frames.ping;
        SentPacket {
            state: if eliciting {
                SentState::InFlight
            } else {
                SentState::Untracked
            },
            rwnd: frames.rwnd,
            rwnd_check: frames.rwnd_check,
            acked_below,
            ..SentPacket::default()
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
        packet.state = SentState::InFlight;
        // All offsets are given the room of the largest, so that full packets are of one size.
        let overhead = encode::stream_overhead(self.send.end());
        let room = (end - out.len()).saturating_sub(overhead) as u64;
        let Some(chunk) = self.next_chunk(now, probe, room) else {
            encode::ping(out);
            return;
        };
        let fin = self.send.attach_fin(chunk.end);
        let len = chunk.end - chunk.start;
        if len == room {
            let slack = overhead - 1 - varint_len(chunk.start);
            out.resize(out.len() + slack, 0);
        }
        encode::stream(out, chunk.start, fin);
        self.send.copy(chunk.clone(), out);
        packet.fin = fin;
        packet.stream_offset = chunk.start;
        packet.stream_len = len as u16;
    }

    /// The stream bytes that go next, at most `room`; they count as in flight.
    fn next_chunk(&mut self, now: Time, probe: bool, room: u64) -> Option<Range<u64>> {
        // A reader in order waits for the lost ones first.
        if let Some(lost) = self.send.next_lost(room) {
            return Some(lost);
        }
        // A probe carries the oldest bytes in flight rather than new ones, which the receiver
        // could not hand on (RFC 9002 §6.2.4 allows either).
        let from = self.recovery.probe_data_from();
        if probe && let Some(oldest) = self.send.next_unacked(from, room) {
            self.recovery.set_probe_data_from(oldest.end);
            return Some(oldest);
        }
        self.send
            .next_new(room)
            .or_else(|| self.send.next_fin(probe))
            .or_else(|| {
                let sender = self.sender_state();
                self.proactive.next_chunk(now, &self.send, &sender, room)
            })
    }

    /// Counts a packet that goes out and takes it into the numbering.
    fn record(&mut self, now: Time, bytes: usize, mut packet: SentPacket) {
        let stream = packet.stream();
        let retransmitted = self.send.on_sent(&stream);
        if let Some(bytes) = retransmitted {
            self.stats.packets_retransmitted += 1;
            self.stats.bytes_retransmitted += bytes;
        }
        let number = self.recovery.next_number();
        let eliciting = packet.state == SentState::InFlight;
        if eliciting {
            self.stats.packets_sent_eliciting += 1;
            self.trace(
                now,
                &TraceEvent::PacketSent {
                    packet_number: number,
                    bytes: bytes as u32,
                    offset: (!stream.is_empty()).then_some(stream.start),
                    length: u32::from(packet.stream_len),
                    retransmission: retransmitted.is_some(),
                },
            );
        }
        packet.bytes = bytes as u16;
        self.recovery.on_sent(now, packet);
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += bytes as u64;
        if eliciting {
            self.path.on_sent(&SentInfo {
                now,
                packet_number: number,
                bytes: bytes as u64,
                bytes_in_flight: self.recovery.bytes_in_flight(),
            });
            self.arm_loss_timers(now);
        }
    }
}
