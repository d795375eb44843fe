//! One sender that obeys its controller, and what its receiver remembers.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::sim::{MSS, Slot};
use crate::Time;
use crate::proto::congestion::{AckInfo, Controller, LossInfo, SentInfo};
use crate::proto::recovery::{LossDetector, PacketRate, RateSampler, RttEstimator};
use crate::proto::send::Pacer;

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum SentState {
    Outstanding,
    Acked,
    Lost,
}

#[derive(Clone, Debug)]
pub(super) struct Sent {
    at: Time,
    rate: PacketRate,
    state: SentState,
}

/// One sender and its receiver.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) controller: Box<dyn Controller>,
    pub(super) sampler: RateSampler,
    pub(super) pacer: Pacer,
    pub(super) rtt: RttEstimator,
    pub(super) loss: LossDetector,
    pub(super) sent: VecDeque<Sent>,
    pub(super) first: u64,
    pub(super) in_flight: u64,
    pub(super) starts_at: Time,
    pub(super) last_sent: Time,
    pub(super) wake_at: Time,
    /// Bytes a second the application makes; `None` is more than can be sent.
    pub(super) application: Option<u64>,
    pub(super) sent_bytes: u64,
    // The receiver.
    /// Numbers received, of which the sender does not know yet.
    pub(super) unreported: BTreeSet<u64>,
    pub(super) highest: Option<u64>,
    pub(super) received: u64,
    pub(super) unanswered: u32,
    pub(super) ack_due: Option<Time>,
    pub(super) ack_sent: Time,
    pub(super) slots: Vec<Slot>,
    pub(super) largest_window: u64,
    pub(super) lost_packets: u64,
    pub(super) phases: Vec<(Time, &'static str)>,
}

impl Flow {
    fn next_number(&self) -> u64 {
        self.first + self.sent.len() as u64
    }

    fn pacing_rate(&self) -> Option<u64> {
        self.controller
            .pacing_rate_bytes_per_second(Some(self.rtt.smoothed()))
    }

    fn window_allows(&self) -> bool {
        self.in_flight + MSS <= self.controller.window_bytes()
    }

    fn has_data(&self, now: Time) -> bool {
        let made = |rate| now.saturating_since(self.starts_at).as_secs_f64() * rate as f64;
        self.application
            .is_none_or(|rate| made(rate) >= (self.sent_bytes + MSS) as f64)
    }

    pub(super) fn send_one(&mut self, now: Time) -> Option<u64> {
        if now < self.starts_at || !self.window_allows() {
            return None;
        }
        if !self.has_data(now) {
            self.sampler.set_app_limited(self.in_flight);
            return None;
        }
        let paced = self.pacing_rate();
        if paced.is_some_and(|rate| !self.pacer.allows(now, rate, MSS)) {
            return None;
        }
        Some(self.send(now))
    }

    fn send(&mut self, now: Time) -> u64 {
        let number = self.next_number();
        let rate = self.sampler.on_sent(now, self.in_flight, MSS);
        self.sent.push_back(Sent {
            at: now,
            rate,
            state: SentState::Outstanding,
        });
        self.in_flight += MSS;
        self.sent_bytes += MSS;
        self.last_sent = now;
        self.controller.on_sent(&SentInfo {
            now,
            packet_number: number,
            bytes: MSS,
            bytes_in_flight: self.in_flight,
        });
        self.pacer.on_sent(MSS);
        number
    }

    pub(super) fn next_wake(&self, now: Time) -> Time {
        let mut wake = Time::MAX;
        if self.window_allows() {
            if !self.has_data(now) {
                wake = now + Duration::from_millis(1);
            } else if let Some(rate) = self.pacing_rate() {
                wake = self.pacer.next_release(rate, MSS);
            }
        }
        if let Some((number, packet)) = self.outstanding().next() {
            let lost_at = self.loss.lost_at(number, packet.at, &self.rtt);
            let timeout = self.last_sent + 2 * self.rtt.pto_base();
            wake = wake.min(lost_at.unwrap_or(timeout));
        }
        wake.max(now + Duration::from_nanos(1))
    }

    fn outstanding(&self) -> impl Iterator<Item = (u64, &Sent)> {
        (self.first..)
            .zip(&self.sent)
            .filter(|(_, packet)| packet.state == SentState::Outstanding)
    }

    pub(super) fn on_timer(&mut self, now: Time) {
        self.detect_losses(now);
        let silent = now.saturating_since(self.last_sent) >= 2 * self.rtt.pto_base();
        if silent && self.in_flight > 0 {
            // Stands for a probe and the loss it shows.
            let newest = self.next_number();
            let alone = self.outstanding().nth(1).is_none();
            self.declare(now, |_, number, _| alone || number + 1 < newest);
        }
    }

    pub(super) fn on_ack(&mut self, now: Time, numbers: &[u64]) {
        let prior_bytes_in_flight = self.in_flight;
        let mut newest = None;
        for &number in numbers {
            let Some(index) = number.checked_sub(self.first) else {
                continue;
            };
            let packet = &mut self.sent[index as usize];
            if packet.state == SentState::Outstanding {
                self.in_flight -= MSS;
            }
            packet.state = SentState::Acked;
            newest = Some((number, packet.at));
            self.sampler.on_acked(now, &packet.rate, packet.at, MSS);
            self.loss.on_acked(now, number, packet.at, &self.rtt);
        }
        let Some((largest_acked, largest_acked_sent_at)) = newest else {
            return;
        };
        self.rtt
            .update(now.saturating_since(largest_acked_sent_at), Duration::ZERO);
        self.detect_losses(now);
        let sample = self.sampler.take_sample(now, self.rtt.min());
        self.controller.on_acked(&AckInfo {
            now,
            sample: &sample,
            bytes_in_flight: self.in_flight,
            prior_bytes_in_flight,
            largest_acked,
            largest_acked_sent_at,
            smoothed_rtt: self.rtt.smoothed(),
            app_limited: sample.is_app_limited,
            next_packet_number: self.next_number(),
        });
        self.loss.decay(now, &self.rtt);
        self.forget(now);
        self.largest_window = self.largest_window.max(self.controller.window_bytes());
        let phase = self.controller.phase();
        if self.phases.last().is_none_or(|(_, last)| *last != phase) {
            self.phases.push((now, phase));
        }
    }

    fn forget(&mut self, now: Time) {
        let horizon = now - 4 * self.rtt.smoothed();
        while let Some(front) = self.sent.front() {
            if front.state == SentState::Outstanding || front.at >= horizon {
                break;
            }
            self.sent.pop_front();
            self.first += 1;
        }
    }

    fn detect_losses(&mut self, now: Time) {
        let Some(newest) = self.loss.newest_acked() else {
            return;
        };
        self.declare(now, |flow, number, at| {
            let due = flow.loss.lost_at(number, at, &flow.rtt);
            number < newest
                && (flow.loss.lost_by_count(number) || due.is_some_and(|due| due <= now))
        });
    }

    /// Gives up the oldest packets for as long as `lost` says so.
    fn declare(&mut self, now: Time, lost: impl Fn(&Self, u64, Time) -> bool) {
        let found: Vec<(u64, Time)> = self
            .outstanding()
            .map(|(number, packet)| (number, packet.at))
            .take_while(|(number, at)| lost(self, *number, *at))
            .collect();
        let Some(&(largest_lost, largest_lost_sent_at)) = found.last() else {
            return;
        };
        for (number, _) in &found {
            self.sent[(number - self.first) as usize].state = SentState::Lost;
        }
        let lost_packets = found.len() as u64;
        self.lost_packets += lost_packets;
        self.in_flight -= lost_packets * MSS;
        self.sampler.on_lost(lost_packets * MSS);
        let largest = self.sent[(largest_lost - self.first) as usize].rate;
        self.controller.on_lost(&LossInfo {
            now,
            lost_bytes: lost_packets * MSS,
            largest_lost,
            largest_lost_sent_at,
            tx_in_flight: largest.tx_in_flight(),
            lost_since_sent: self.sampler.lost_since(&largest),
            bytes_in_flight: self.in_flight,
            next_packet_number: self.next_number(),
        });
    }
}
