//! The effects of an arriving packet.

use std::net::SocketAddr;
use std::time::Duration;

use super::Connection;
use super::error::{ConnectionError, Refusal};
use super::establish::{KEY_RESET, LIMIT_RESET};
use super::lifecycle::State;
use super::observe::TraceEvent;
use super::protection::{NotOpened, ProtectedPacket};
use crate::prefix::is_same_address;
use crate::wire::{Frame, Frames, Reader};
use crate::{Ecn, Time};

impl Connection {
    /// Takes a packet that was addressed to this connection. False when it does not open: it
    /// has changed nothing then.
    pub(crate) fn handle_packet(
        &mut self,
        now: Time,
        (from, ecn): (SocketAddr, Option<Ecn>),
        packet: ProtectedPacket,
        datagram: &mut [u8],
    ) -> bool {
        let bytes = datagram.len() as u64;
        let number = packet.number;
        let frames = match self.protection.open(packet, datagram) {
            Ok(frames) => Reader::new(frames),
            Err(NotOpened::Forged) => return false,
            Err(NotOpened::TooManyForged) => {
                self.fail(now, "too many packets did not open");
                return false;
            }
        };
        self.stats.packets_received += 1;
        self.stats.bytes_received += bytes;
        if self.acks.is_duplicate(number) {
            self.stats.duplicates_received += 1;
            return true;
        }
        self.acks.on_bytes_received(bytes);
        if !packet.has_handshake_finish {
            // The server sends these only once the last handshake message has arrived.
            self.protection.confirm_handshake();
        }
        if !is_same_address(from, self.path.remote()) {
            let is_newest = self.acks.ranges().max().is_none_or(|max| number > max);
            self.path
                .address_mut()
                .on_packet_from(from, bytes, is_newest);
        }
        match *self.lifecycle.state() {
            State::Connecting(_) | State::Drained => {}
            State::Closing { .. } => self.handle_when_closing(now, number, frames),
            State::Established => self.handle_frames(now, (from, ecn), number, frames),
        }
        true
    }

    fn handle_when_closing(&mut self, now: Time, number: u64, frames: Reader<'_>) {
        self.acks.on_received(now, number);
        // Two sides that both have reset would answer each other for ever.
        if has_reset(frames) {
            self.lifecycle.drain();
            self.timers.stop_all();
        } else {
            self.lifecycle.set_answer(true);
        }
    }

    fn handle_frames(
        &mut self,
        now: Time,
        (from, ecn): (SocketAddr, Option<Ecn>),
        number: u64,
        frames: Reader<'_>,
    ) {
        self.reset_idle_timer(now);
        // As if it had never come: the sender has to retransmit it, and all that follows.
        if self.is_go_back_n() && !self.receive.is_in_order(frames.clone()) {
            return;
        }
        if !self.has_room_for(frames.clone()) {
            // Without a word the peer would take its probes for lost, and this side for gone.
            if !self.acks.ranges().is_empty() {
                self.acks.ack_immediately(now);
            }
            return;
        }
        let out_of_order = self.acks.on_received(now, number);
        self.acks.on_ecn(ecn);
        let mut eliciting = false;
        let mut pings: u8 = 0;
        for frame in Frames::new(frames) {
            match frame {
                Ok(frame) => {
                    eliciting |= is_eliciting(&frame);
                    pings = pings.saturating_add(u8::from(matches!(frame, Frame::Ping)));
                    self.handle_frame(now, from, frame);
                }
                Err(_) => self.fail(now, "a frame could not be read"),
            }
            // A frame may have ended the connection: the rest is of no use then.
            if !self.lifecycle.is_established() {
                return;
            }
        }
        if eliciting {
            let round = self.measuring_round();
            self.acks
                .on_eliciting(now, out_of_order, round, self.config.max_ack_delay);
            // The original protocol's receiver acknowledges every packet.
            if self.is_go_back_n() {
                self.acks.ack_immediately(now);
            }
            if pings > 1 {
                self.acks.ack_each_ping(now, pings);
            }
        }
    }

    /// The round trip by which acknowledgements are delayed and the receive window is measured.
    fn measuring_round(&self) -> Duration {
        let rtt = self.path.rtt();
        if rtt.is_sampled() {
            rtt.min()
        } else {
            self.config.max_ack_delay
        }
    }

    fn handle_frame(&mut self, now: Time, from: SocketAddr, frame: Frame<'_>) {
        match frame {
            Frame::Ping => {}
            Frame::Acked(ack) => self.on_ack_frame(now, &ack),
            Frame::Rwnd { max_offset } => {
                if self.send.on_limit(max_offset) {
                    self.events.writable = true;
                }
            }
            Frame::RwndCheck { .. } => {
                // The peer stands still: neither the window nor its acknowledgement may wait.
                self.pending.rwnd = true;
                self.acks.ack_immediately(now);
            }
            Frame::Reset { reason: KEY_RESET } => {
                self.drain(now, ConnectionError::Refused(Refusal::UntrustedKey));
            }
            Frame::Reset {
                reason: LIMIT_RESET,
            } => {
                self.drain(now, ConnectionError::Refused(Refusal::ListenLimit));
            }
            Frame::Reset { reason } => self.drain(now, ConnectionError::Reset { reason }),
            Frame::Challenge { token } => self.pending.response = Some(token),
            Frame::Response { token } => self.on_response(now, from, token),
            Frame::Stream { offset, data, fin } => self.on_stream(now, (offset, data, fin)),
        }
    }

    fn on_stream(&mut self, now: Time, frame: (u64, &[u8], bool)) {
        let round = self.measuring_round();
        let received = match self.receive.on_data(now, frame, round) {
            Ok(received) => received,
            Err(broken_rule) => return self.fail(now, broken_rule),
        };
        self.stats.redundant_bytes_received += received.redundant_bytes;
        if received.finished {
            self.events.readable = true;
            // The peer keeps its side until the FIN is acknowledged.
            self.acks.ack_immediately(now);
        }
        if let Some(contiguous_end) = received.contiguous_end {
            self.events.readable = true;
            self.trace(now, &TraceEvent::Received { contiguous_end });
        }
        self.close_wait(now);
    }
}

/// Tells whether a frame has to be acknowledged.
const fn is_eliciting(frame: &Frame<'_>) -> bool {
    !matches!(
        frame,
        Frame::Acked(_) | Frame::Reset { .. } | Frame::Challenge { .. } | Frame::Response { .. }
    )
}

fn has_reset(frames: Reader<'_>) -> bool {
    Frames::new(frames).any(|frame| matches!(frame, Ok(Frame::Reset { .. })))
}
