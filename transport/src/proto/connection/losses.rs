//! The effects of a declared loss and of a probe timeout on stream, window and statistics (RFC
//! 9002 §6, A.9, A.10); `recovery` has decided what is lost.

use super::Connection;
use super::observe::TraceEvent;
use super::timer::Timer;
use crate::Time;
use crate::proto::congestion::LossInfo;
use crate::proto::recovery::{LossTimeout, LossTrigger, SentPacket};

/// Packets that a probe timeout may send (RFC 9002 §6.2.4).
const PROBES: u8 = 2;

impl Connection {
    /// Declares lost what the rules call lost, and schedules its data for retransmission.
    pub(super) fn detect_losses(&mut self, now: Time) {
        let lost = self.recovery.take_lost(now, self.path.rtt());
        if !lost.is_empty() {
            self.declare_lost(now, &lost);
        }
        self.recovery.reuse_lost(lost);
    }

    fn declare_lost(&mut self, now: Time, lost: &[(u64, LossTrigger)]) {
        let mut lost_bytes = 0;
        for &(number, trigger) in lost {
            let Some(packet) = self.recovery.declare_lost(number).cloned() else {
                continue;
            };
            lost_bytes += u64::from(packet.bytes);
            self.retransmit(&packet);
            self.count_lost(now, (number, &packet), trigger);
        }
        let Some(largest) = self.recovery.on_declared_lost(lost, lost_bytes) else {
            return;
        };
        let info = LossInfo {
            now,
            lost_bytes,
            largest_lost: largest.number,
            largest_lost_sent_at: largest.sent_at,
            tx_in_flight: largest.tx_in_flight,
            lost_since_sent: largest.lost_since_sent,
            bytes_in_flight: self.recovery.bytes_in_flight(),
            next_packet_number: self.recovery.next_number(),
        };
        let is_persistent = self
            .recovery
            .is_persistent_congestion(lost, self.path.rtt());
        let controller = self.path.controller_mut();
        controller.on_lost(&info);
        if is_persistent {
            controller.on_persistent_congestion(now);
        }
    }

    /// Schedules the contents of a lost packet, in their present state: frames are sent again,
    /// packets are not (RFC 9000 §13.3).
    fn retransmit(&mut self, packet: &SentPacket) {
        self.pending.rwnd |= packet.rwnd;
        if packet.rwnd_check {
            self.send.on_window_question_lost();
        }
        self.send.on_lost(packet.stream(), packet.fin);
    }

    pub(super) fn count_lost(
        &mut self,
        now: Time,
        (packet_number, packet): (u64, &SentPacket),
        trigger: LossTrigger,
    ) {
        self.stats.packets_lost += 1;
        let bytes = u32::from(packet.bytes);
        self.trace(
            now,
            &TraceEvent::PacketLost {
                packet_number,
                bytes,
                trigger,
            },
        );
    }

    /// Takes the loss timer: a packet may be lost by time.
    pub(super) fn on_loss_timer(&mut self, now: Time) {
        self.detect_losses(now);
        self.arm_loss_timers(now);
        self.trace_metrics(now);
    }

    /// Takes the probe timer: nothing was acknowledged for a probe timeout.
    pub(super) fn on_probe_timer(&mut self, now: Time) {
        self.recovery.on_probe_timeout();
        self.stats.probe_timeouts += 1;
        if self.is_go_back_n() {
            self.rewind(now);
        } else {
            // A probe timeout declares nothing lost: it asks (RFC 9002 §6.2).
            self.pending.probes = PROBES;
            // Later probes carry what earlier ones did not, and then all of it again.
            let from = self.recovery.probe_data_from();
            if self.send.next_unacked(from, 1).is_none() {
                self.recovery.set_probe_data_from(0);
            }
            self.path.on_probe_timeout(now, self.recovery.pto_count());
        }
        self.arm_loss_timers(now);
        self.trace_metrics(now);
    }

    /// Probes for what is in flight without the backoff so far: the path has changed.
    pub(super) fn restart_probing(&mut self, now: Time) {
        self.recovery.end_backoff();
        self.arm_loss_timers(now);
    }

    /// Sets the loss timer or the probe timer, one of the two at most (RFC 9002 A.8).
    pub(super) fn arm_loss_timers(&mut self, now: Time) {
        self.timers.stop(Timer::Loss);
        self.timers.stop(Timer::Probe);
        match self.recovery.next_timeout(self.path.rtt()) {
            Some(LossTimeout::Loss(at)) => self.timers.set(Timer::Loss, at.max(now)),
            Some(LossTimeout::Probe(at)) => self.timers.set(Timer::Probe, at),
            None => {}
        }
    }
}
