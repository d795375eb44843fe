//! The seed's recovery: one fixed timer, everything from the first missing byte again.
//!
//! The receiver takes only what comes next in order and acknowledges that at once. The sender
//! knows no fast retransmission: when nothing has been acknowledged for the length of the
//! timer, it halves its window and rewinds. Kept as the baseline that the rest is measured
//! against.

use super::Connection;
use super::observe::{LossTrigger, TraceEvent};
use crate::Time;
use crate::proto::recovery::Fate;
use crate::wire::{Frame, Frames, Reader};

impl Connection {
    /// Whether the receiver takes this packet: its stream bytes, if any, come next or are
    /// there already.
    pub(crate) fn is_in_order(&self, frames: Reader<'_>) -> bool {
        Frames::new(frames).all(|frame| match frame {
            Ok(Frame::Stream { offset, .. }) => offset <= self.receive.contiguous_end(),
            _ => true,
        })
    }

    /// The timer ran out: everything under way is given up and sent again.
    pub(crate) fn rewind(&mut self, now: Time) {
        loop {
            let Some((number, packet)) = self.sent.outstanding().next() else {
                break;
            };
            let packet = packet.clone();
            let bytes = u32::from(packet.bytes);
            self.wanted.rwnd |= packet.rwnd;
            self.wanted.rwnd_check |= packet.rwnd_check;
            self.wanted.ping |= packet.stream().is_empty();
            self.sent.settle(number, Fate::Lost);
            self.stats.packets_lost += 1;
            let trigger = LossTrigger::Timeout;
            self.trace(
                now,
                &TraceEvent::PacketLost {
                    packet_number: number,
                    bytes,
                    trigger,
                },
            );
        }
        self.send.rewind(self.send.acked_prefix());
        self.own_fin.sent &= self.own_fin.acked;
        self.controller.on_retransmission_timeout(now);
    }
}
