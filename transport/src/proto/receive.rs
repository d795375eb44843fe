//! What an arriving packet changes.

use super::connection::{Connection, ConnectionError, State};
use super::event::Refusal;
use super::observe::TraceEvent;
use crate::config::Recovery;
use crate::wire::{Frame, Frames, Header, Reader};
use crate::{Ecn, Time};

impl Connection {
    /// Takes a packet that was addressed to this connection and whose checksum held.
    pub(crate) fn handle_packet(
        &mut self,
        now: Time,
        ecn: Option<Ecn>,
        header: Header,
        frames: Reader<'_>,
        bytes: usize,
    ) {
        self.stats.packets_received += 1;
        self.stats.bytes_received += bytes as u64;
        match header {
            Header::SynAck {
                source,
                echo,
                nonce,
                parameters,
                ..
            } => {
                let State::Connecting(handshake) = &self.state else {
                    return;
                };
                if echo != handshake.nonce {
                    return;
                }
                let round_trip = handshake.retry.round_trip(now);
                self.remote_id = source;
                self.echo = Some(nonce);
                self.wanted.ping = true;
                self.establish(now, parameters, round_trip);
            }
            Header::Refuse { echo, reason, .. } => {
                let State::Connecting(handshake) = &self.state else {
                    return;
                };
                if echo == handshake.nonce {
                    self.drain(now, ConnectionError::Refused(Refusal::from_wire(reason)));
                }
            }
            Header::Data { packet_number, .. } => {
                // The server sends these only once the echo has arrived.
                self.echo = None;
                self.handle_numbered(now, ecn, packet_number, frames);
            }
            Header::Ack { packet_number, .. } => {
                self.handle_numbered(now, ecn, packet_number, frames);
            }
            Header::Syn { .. } => {}
        }
    }

    fn handle_numbered(&mut self, now: Time, ecn: Option<Ecn>, number: u64, frames: Reader<'_>) {
        match &mut self.state {
            State::Connecting(_) | State::Drained => return,
            State::Closing { answer, .. } => {
                // Two sides that both have reset would answer each other for ever.
                *answer = !has_reset(frames);
                if !*answer {
                    self.state = State::Drained;
                    self.timers.stop_all();
                }
                return;
            }
            State::Established => {}
        }
        self.touch_idle(now);
        if self.acks.is_duplicate(number) {
            self.stats.duplicates_received += 1;
            return;
        }
        if self.config.recovery == Recovery::GoBackN && !self.is_in_order(frames.clone()) {
            return;
        }
        let out_of_order = self.acks.on_received(now, number);
        self.acks.on_ecn(ecn);
        let mut eliciting = false;
        for frame in Frames::new(frames) {
            match frame {
                Ok(frame) => {
                    eliciting |= !matches!(frame, Frame::Acked(_) | Frame::Reset { .. });
                    self.handle_frame(now, frame);
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
        }
    }

    fn round(&self) -> std::time::Duration {
        if self.rtt.is_sampled() {
            self.rtt.min()
        } else {
            self.config.max_ack_delay
        }
    }

    fn handle_frame(&mut self, now: Time, frame: Frame<'_>) {
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
            Frame::Reset { reason } => self.drain(now, ConnectionError::Reset { reason }),
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

fn has_reset(frames: Reader<'_>) -> bool {
    Frames::new(frames).any(|frame| matches!(frame, Ok(Frame::Reset { .. })))
}
