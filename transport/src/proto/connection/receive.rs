//! What an arriving packet changes.

use std::net::SocketAddr;

use super::error::Refusal;
use super::observe::TraceEvent;
use super::secure::KEY_RESET;
use super::{Connection, ConnectionError, State};
use crate::config::Recovery;
use crate::wire::{Frame, Frames, Reader};
use crate::{Ecn, Time};

/// What an ACK or DATA packet says in the clear.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) number: u64,
    pub(crate) phase: bool,
    /// Whether the third handshake message is in front.
    pub(crate) has_third: bool,
    pub(crate) header_bytes: usize,
}

impl Connection {
    /// Takes a packet that was addressed to this connection. False when it does not open: it
    /// has changed nothing then.
    pub(crate) fn handle_sealed(
        &mut self,
        now: Time,
        (from, ecn): (SocketAddr, Option<Ecn>),
        packet: Sealed,
        datagram: &mut [u8],
    ) -> bool {
        let Some(keys) = &mut self.keys else {
            return false;
        };
        let bytes = datagram.len() as u64;
        let Sealed { number, phase, .. } = packet;
        let Some(text) = keys
            .opener
            .open(datagram, packet.header_bytes, number, phase)
        else {
            if keys.opener.is_integrity_exhausted() {
                self.fail(now, "too many packets did not open");
            }
            return false;
        };
        self.stats.packets_received += 1;
        self.stats.bytes_received += bytes;
        if self.acks.is_duplicate(number) {
            self.stats.duplicates_received += 1;
            return true;
        }
        if !packet.has_third {
            // The server sends these only once the third message has arrived.
            self.third = None;
        }
        if from != self.path.remote() {
            let is_newest = self.acks.ranges().max().is_none_or(|max| number > max);
            if self.path.on_packet_from(from, bytes, is_newest) {
                self.stranger = Some((from, bytes));
            }
        }
        self.handle_numbered(now, (from, ecn), number, Reader::new(text));
        true
    }

    fn handle_numbered(
        &mut self,
        now: Time,
        (from, ecn): (SocketAddr, Option<Ecn>),
        number: u64,
        frames: Reader<'_>,
    ) {
        match &mut self.state {
            State::Connecting(_) | State::Drained => return,
            State::Closing { answer, .. } => {
                // Two sides that both have reset would answer each other for ever.
                *answer = !has_reset(frames);
                self.acks.on_received(now, number);
                if !*answer {
                    self.state = State::Drained;
                    self.timers.stop_all();
                }
                return;
            }
            State::Established => {}
        }
        self.touch_idle(now);
        if self.config.recovery == Recovery::GoBackN && !self.is_in_order(frames.clone()) {
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
            if !matches!(self.state, State::Established) {
                return;
            }
        }
        if eliciting {
            self.acks
                .on_eliciting(now, out_of_order, self.round(), self.config.max_ack_delay);
            if self.config.recovery == Recovery::GoBackN {
                self.acks.hurry(now);
            }
            if pings > 1 {
                self.acks.repeat(now, pings);
            }
        }
    }

    fn round(&self) -> std::time::Duration {
        if self.rtt.is_sampled() {
            self.rtt.min()
        } else {
            self.config.max_ack_delay
        }
    }

    fn handle_frame(&mut self, now: Time, from: SocketAddr, frame: Frame<'_>) {
        match frame {
            Frame::Ping => {}
            Frame::Acked(ack) => self.on_ack_frame(now, &ack),
            Frame::Rwnd { max_offset } => {
                if self.send_window.on_limit(max_offset) {
                    self.news.writable = true;
                }
            }
            Frame::RwndCheck { .. } => {
                self.wanted.rwnd = true;
                self.acks.hurry(now);
            }
            Frame::Reset { reason: KEY_RESET } => {
                self.drain(now, ConnectionError::Refused(Refusal::UntrustedKey));
            }
            Frame::Reset { reason } => self.drain(now, ConnectionError::Reset { reason }),
            Frame::Challenge { token } => self.wanted.response = Some(token),
            Frame::Response { token } => {
                if let Some(before) = self.path.on_response(from, token) {
                    self.on_moved(now, before);
                }
            }
            Frame::Stream { offset, data, fin } => self.on_stream(now, offset, data, fin),
        }
    }

    fn on_stream(&mut self, now: Time, offset: u64, data: &[u8], fin: bool) {
        let end = offset + data.len() as u64;
        if end > self.receive_window.offered() {
            return self.fail(now, "data beyond the receive window");
        }
        let beyond = self
            .final_offset
            .is_some_and(|last| end > last || fin && end != last);
        if beyond || fin && end < self.receive.highest() {
            return self.fail(now, "data beyond the FIN, or a FIN that moved");
        }
        if fin && self.final_offset.is_none() {
            self.final_offset = Some(end);
            self.news.readable = true;
            self.acks.hurry(now);
        }
        let before = self.receive.contiguous_end();
        let new = self.receive.insert(offset, data);
        self.stats.redundant_bytes_received += data.len() as u64 - new;
        self.received_bytes += new;
        self.receive_window
            .on_received(now, self.received_bytes, self.round());
        let after = self.receive.contiguous_end();
        if after > before {
            self.news.readable = true;
            self.trace(
                now,
                &TraceEvent::Received {
                    contiguous_end: after,
                },
            );
        }
        self.linger(now);
    }
}

/// Whether a frame asks to be acknowledged.
const fn is_eliciting(frame: &Frame<'_>) -> bool {
    !matches!(
        frame,
        Frame::Acked(_) | Frame::Reset { .. } | Frame::Challenge { .. } | Frame::Response { .. }
    )
}

fn has_reset(frames: Reader<'_>) -> bool {
    Frames::new(frames).any(|frame| matches!(frame, Ok(Frame::Reset { .. })))
}
