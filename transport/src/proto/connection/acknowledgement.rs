//! The effects of an acknowledgement (RFC 9002 A.7).

use std::ops::Range;

use super::Connection;
use super::observe::TraceEvent;
use crate::Time;
use crate::proto::congestion::AckInfo;
use crate::wire::AckFrame;

/// The packets that one acknowledgement has settled, summed up.
#[derive(Default)]
struct Settled {
    packets: u64,
    /// The size of the largest, bytes.
    largest_bytes: u64,
    /// The newest, and when it was sent.
    newest: Option<(u64, Time)>,
}

impl Connection {
    /// Takes an ACKED frame.
    pub(super) fn on_ack_frame(&mut self, now: Time, ack: &AckFrame<'_>) {
        // An optimistic acknowledgement would make the sender send faster than the path
        // carries (RFC 9000 §21.4).
        if ack.largest >= self.recovery.next_number() {
            return self.fail(now, "an acknowledgement of what was never sent");
        }
        if self.recovery.acknowledges_skipped(ack) {
            return self.fail(now, "an acknowledgement of a number that was left out");
        }
        self.protection.on_acked(ack.largest);
        let acked = self.recovery.take_newly_acked(ack);
        if !acked.is_empty() {
            self.on_newly_acked(now, ack, &acked);
        }
        self.recovery.reuse_acked(acked);
    }

    fn on_newly_acked(&mut self, now: Time, ack: &AckFrame<'_>, acked: &[u64]) {
        let prior_bytes_in_flight = self.recovery.bytes_in_flight();
        let settled = self.settle(now, acked);
        self.update_rtt(now, ack, &settled);
        let new_ce = self.path.on_ecn_counts(settled.packets, ack.ecn);
        self.path.on_acked_size(now, settled.largest_bytes);
        self.recovery.on_progress();
        // Losses come before the acknowledgement itself: the controller shall not grow a
        // window that the same frame shrinks (RFC 9002 A.7).
        if !self.is_go_back_n() {
            self.detect_losses(now);
        }
        let min_rtt = self.path.rtt().min();
        let sample = self.recovery.take_sample(now, min_rtt);
        if let Some((largest_acked, largest_acked_sent_at)) = settled.newest {
            let info = AckInfo {
                now,
                sample: &sample,
                bytes_in_flight: self.recovery.bytes_in_flight(),
                prior_bytes_in_flight,
                largest_acked,
                largest_acked_sent_at,
                smoothed_rtt: self.path.rtt().smoothed(),
                app_limited: sample.is_app_limited,
                next_packet_number: self.recovery.next_number(),
            };
            let controller = self.path.controller_mut();
            if new_ce > 0 {
                controller.on_ce(now, largest_acked_sent_at);
            }
            controller.on_acked(&info);
        }
        self.recovery.forget_old(now, self.path.rtt());
        self.arm_loss_timers(now);
        self.trace_metrics(now);
        self.close_wait(now);
    }

    fn settle(&mut self, now: Time, acked: &[u64]) -> Settled {
        let mut settled = Settled::default();
        for &number in acked {
            let Some(packet) = self.recovery.on_acked(now, number, self.path.rtt()) else {
                continue;
            };
            if packet.was_lost {
                self.on_spurious(now, number);
                // The sender of go-back-N has gone back already and sends it once more.
                if self.is_go_back_n() {
                    continue;
                }
            }
            settled.packets += 1;
            settled.largest_bytes = settled.largest_bytes.max(packet.bytes);
            settled.newest = Some((number, packet.sent_at));
            self.acks.on_ack_acked(packet.acked_below);
            self.on_stream_acked(packet.stream, packet.fin);
        }
        settled
    }

    fn on_stream_acked(&mut self, stream: Range<u64>, fin: bool) {
        let may_make_room = !stream.is_empty();
        self.send.on_acked(stream, fin);
        if may_make_room {
            self.events.writable |= self.send.take_room_again();
        }
        self.events.finished |= self.send.is_finished();
    }

    /// Takes a loss that was none.
    fn on_spurious(&mut self, now: Time, number: u64) {
        self.stats.spurious_losses += 1;
        self.trace(
            now,
            &TraceEvent::SpuriousLoss {
                packet_number: number,
            },
        );
        if self.recovery.on_spurious(number) {
            self.path.controller_mut().on_spurious(now);
        }
    }

    fn update_rtt(&mut self, now: Time, ack: &AckFrame<'_>, settled: &Settled) {
        // Only the largest number gives a sample (RFC 9002 §5.1).
        let Some((_, sent_at)) = settled.newest.filter(|&(newest, _)| newest == ack.largest) else {
            return;
        };
        let reported = std::time::Duration::from_micros(ack.delay_us);
        let ack_delay = reported.min(self.recovery.peer_max_ack_delay());
        self.path
            .on_rtt_sample(now.saturating_since(sent_at), ack_delay);
    }
}
