//! Acknowledged, lost, timed out: what follows for the sender (RFC 9002 §6 and appendix A).

use std::time::Duration;

use super::Connection;
use super::observe::{LossTrigger, TraceEvent};
use super::timer::Timer;
use crate::Time;
use crate::config::Recovery;
use crate::proto::congestion::{AckInfo, LossInfo};
use crate::proto::recovery::{Fate, PacketRate};
use crate::wire::AckFrame;

/// Packets that a probe timeout may send (RFC 9002 §6.2.4).
const PROBES: u8 = 2;

/// Probe timeouts that come after the same wait; each later one waits twice as long.
const EVEN_TIMEOUTS: u32 = 2;

/// Backoff of the probe timeout stops here: a path that comes back after a blackout is found
/// again at once, and two probes a second harm nobody.
const MAX_PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// Persistent congestion spans this many probe timeouts (RFC 9002 §7.6.1).
const PERSISTENT_TIMEOUTS: u32 = 3;

/// The sender's memory between acknowledgements.
#[derive(Debug, Default)]
pub(crate) struct Recoverer {
    pto_count: u32,
    last_sent: Time,
    /// Where the next probe's data begins.
    probe_from: u64,
    delivered_bytes: u64,
    /// Packets of the present loss episode that have not proved to be there after all.
    episode_lost: u64,
    /// The packet numbers of the present loss episode. A later packet begins another; an
    /// earlier one belongs to the last, whose reduction is not what would be undone.
    episode_begin: u64,
    episode_end: u64,
    /// Packet numbers newly acknowledged; kept to spare allocations.
    acked: Vec<u64>,
    lost: Vec<(u64, LossTrigger)>,
}

impl Recoverer {
    pub(crate) const fn pto_count(&self) -> u32 {
        self.pto_count
    }

    /// How many answers a probe asks for, each with a PING; more with every probe in vain. A
    /// burst of losses may be so many packets long, whenever they are sent, and nothing else is
    /// under way that could end it.
    pub(crate) fn answers_wanted(&self) -> u8 {
        1 << self.pto_count.clamp(1, 4)
    }

    pub(crate) const fn probe_from(&self) -> u64 {
        self.probe_from
    }

    pub(crate) const fn on_probed(&mut self, end: u64) {
        self.probe_from = end;
    }

    pub(crate) const fn on_sent(&mut self, now: Time) {
        self.last_sent = now;
    }

    pub(crate) const fn delivered_bytes(&self) -> u64 {
        self.delivered_bytes
    }
}

/// What one acknowledgement brought.
#[derive(Default)]
struct Gain {
    packets: u64,
    bytes: u64,
    largest_bytes: u64,
    newest: Option<(u64, Time)>,
}

impl Connection {
    pub(crate) fn on_ack_frame(&mut self, now: Time, ack: &AckFrame<'_>) {
        if ack.largest >= self.sent.next_number() {
            return self.fail(now, "an acknowledgement of what was never sent");
        }
        if let Some(keys) = &mut self.keys {
            keys.sealer.on_acked(ack.largest);
        }
        self.collect_acked(ack);
        if self.recover.acked.is_empty() {
            return;
        }
        let prior_bytes_in_flight = self.sent.bytes_in_flight();
        let acked = std::mem::take(&mut self.recover.acked);
        let gain = self.settle_acked(now, &acked);
        self.recover.acked = acked;
        self.update_rtt(now, ack, &gain);
        let new_ce = self.ecn.on_ack(gain.packets, ack.ecn);
        if self.mtu.on_ack(now, gain.largest_bytes) {
            self.controller.on_mtu(self.mtu.current());
        }
        self.recover.pto_count = 0;
        self.recover.probe_from = 0;
        if self.config.recovery == Recovery::Selective {
            self.detect_losses(now);
        }
        let sample = self.sampler.take_sample(now, self.rtt.min());
        if let Some((largest_acked, largest_acked_sent_at)) = gain.newest {
            if new_ce > 0 {
                self.controller.on_ce(now, largest_acked_sent_at);
            }
            self.controller.on_acked(&AckInfo {
                now,
                sample: &sample,
                bytes_in_flight: self.sent.bytes_in_flight(),
                prior_bytes_in_flight,
                largest_acked,
                largest_acked_sent_at,
                smoothed_rtt: self.rtt.smoothed(),
                app_limited: sample.is_app_limited,
                next_packet_number: self.sent.next_number(),
            });
        }
        self.loss.decay(now, &self.rtt);
        self.forget_old(now);
        self.arm_loss_timers(now);
        self.trace_metrics(now);
        self.linger(now);
    }

    /// Fills `recover.acked` with what this acknowledgement tells for the first time, lowest
    /// number first, so that an acknowledgement's own ranges do not look like reordering.
    fn collect_acked(&mut self, ack: &AckFrame<'_>) {
        self.recover.acked.clear();
        for range in ack.ranges() {
            if !self.sent.acknowledge(range, &mut self.recover.acked) {
                break;
            }
        }
        self.recover.acked.reverse();
    }

    fn settle_acked(&mut self, now: Time, acked: &[u64]) -> Gain {
        let mut gain = Gain::default();
        for &number in acked {
            let before = self.sent.settle(number, Fate::Acked);
            let Some(packet) = self.sent.get(number) else {
                continue;
            };
            let (sent_at, bytes) = (packet.sent_at, u64::from(packet.bytes));
            let (stream, fin, acked_below) = (packet.stream(), packet.fin, packet.acked_below);
            self.sampler.on_acked(now, &packet.rate, sent_at, bytes);
            if self.config.recovery == Recovery::Selective {
                self.loss.on_acked(now, number, sent_at, &self.rtt);
            }
            if before == Fate::Lost {
                self.on_spurious(now, number);
                if self.config.recovery == Recovery::GoBackN {
                    continue;
                }
            }
            gain.packets += 1;
            gain.bytes += bytes;
            gain.largest_bytes = gain.largest_bytes.max(bytes);
            gain.newest = Some((number, sent_at));
            self.acks.on_ack_acked(acked_below);
            self.on_stream_acked(stream, fin);
        }
        gain
    }

    fn on_stream_acked(&mut self, stream: std::ops::Range<u64>, fin: bool) {
        if !stream.is_empty() {
            self.recover.delivered_bytes += self.send.on_acked(stream);
            self.news.writable |= self.finds_room();
        }
        if fin {
            self.own_fin.acked = true;
        }
        self.news.finished |= self.own_fin.acked && self.send.is_fully_acked();
    }

    fn on_spurious(&mut self, now: Time, number: u64) {
        self.stats.spurious_losses += 1;
        self.trace(
            now,
            &TraceEvent::SpuriousLoss {
                packet_number: number,
            },
        );
        let episode = self.recover.episode_begin..self.recover.episode_end;
        if self.recover.episode_lost > 0 && episode.contains(&number) {
            self.recover.episode_lost -= 1;
            if self.recover.episode_lost == 0 {
                self.controller.on_spurious(now);
            }
        }
    }

    fn update_rtt(&mut self, now: Time, ack: &AckFrame<'_>, gain: &Gain) {
        // Only the largest number tells a round trip (RFC 9002 §5.1).
        let Some((newest, sent_at)) = gain.newest else {
            return;
        };
        if newest != ack.largest {
            return;
        }
        let delay_us = ack.delay_us.min(self.peer_max_ack_delay_us);
        self.rtt.update(
            now.saturating_since(sent_at),
            Duration::from_micros(delay_us),
        );
    }

    /// Gives up what the detector calls lost and has its data sent again.
    fn detect_losses(&mut self, now: Time) {
        let Some(newest) = self.loss.newest_acked() else {
            return;
        };
        let mut lost = std::mem::take(&mut self.recover.lost);
        lost.clear();
        for (number, packet) in self.sent.outstanding() {
            if number >= newest {
                break;
            }
            let by_time = self.loss.lost_at(number, packet.sent_at, &self.rtt);
            if self.loss.lost_by_count(number) {
                lost.push((number, LossTrigger::PacketThreshold));
            } else if by_time.is_some_and(|at| at <= now) {
                lost.push((number, LossTrigger::TimeThreshold));
            } else {
                // Later packets were sent later and have no more behind them.
                break;
            }
        }
        if !lost.is_empty() {
            self.give_up(now, &lost);
        }
        self.recover.lost = lost;
    }

    fn give_up(&mut self, now: Time, lost: &[(u64, LossTrigger)]) {
        let mut info = LossInfo {
            now,
            lost_bytes: 0,
            largest_lost: 0,
            largest_lost_sent_at: Time::ZERO,
            tx_in_flight: 0,
            lost_since_sent: 0,
            bytes_in_flight: 0,
            next_packet_number: self.sent.next_number(),
        };
        let mut largest = PacketRate::default();
        for &(number, trigger) in lost {
            self.sent.settle(number, Fate::Lost);
            let Some(packet) = self.sent.get(number) else {
                continue;
            };
            let (bytes, stream) = (packet.bytes, packet.stream());
            info.lost_bytes += u64::from(bytes);
            info.largest_lost = number;
            info.largest_lost_sent_at = packet.sent_at;
            largest = packet.rate;
            self.wanted.rwnd |= packet.rwnd;
            if packet.rwnd_check {
                self.send_window.ask_again();
            }
            if packet.fin && !self.own_fin.acked {
                self.own_fin.sent = false;
            }
            self.send.on_lost(stream);
            self.stats.packets_lost += 1;
            self.trace(
                now,
                &TraceEvent::PacketLost {
                    packet_number: number,
                    bytes: bytes.into(),
                    trigger,
                },
            );
        }
        self.sampler.on_lost(info.lost_bytes);
        info.tx_in_flight = largest.tx_in_flight();
        info.lost_since_sent = self.sampler.lost_since(&largest);
        info.bytes_in_flight = self.sent.bytes_in_flight();
        if info.largest_lost >= self.recover.episode_end {
            self.recover.episode_lost = 0;
            self.recover.episode_begin = self.recover.episode_end;
            self.recover.episode_end = info.next_packet_number;
        }
        let earlier = lost.partition_point(|&(number, _)| number < self.recover.episode_begin);
        self.recover.episode_lost += (lost.len() - earlier) as u64;
        self.controller.on_lost(&info);
        if self.is_persistent_congestion(lost) {
            self.controller.on_persistent_congestion(now);
        }
    }

    /// RFC 9002 §7.6: everything sent over a long time was lost, and nothing from in between
    /// was acknowledged. Random loss does not do that.
    fn is_persistent_congestion(&self, lost: &[(u64, LossTrigger)]) -> bool {
        let (Some(&(first, _)), Some(&(last, _))) = (lost.first(), lost.last()) else {
            return false;
        };
        let sent_at = |number| self.sent.get(number).map(|packet| packet.sent_at);
        let (Some(begin), Some(end)) = (sent_at(first), sent_at(last)) else {
            return false;
        };
        let long = PERSISTENT_TIMEOUTS * self.pto_interval(0);
        end.saturating_since(begin) > long
            && (first..=last).all(|number| {
                let fate = self.sent.get(number).map(|packet| packet.fate);
                fate != Some(Fate::Acked) && fate != Some(Fate::Outstanding)
            })
    }

    pub(crate) fn on_loss_timer(&mut self, now: Time) {
        self.detect_losses(now);
        self.arm_loss_timers(now);
        self.trace_metrics(now);
    }

    /// The path has changed: what is under way is probed for without the backoff so far.
    pub(crate) fn restart_probing(&mut self, now: Time) {
        self.recover.pto_count = 0;
        self.arm_loss_timers(now);
    }

    pub(crate) fn on_probe_timer(&mut self, now: Time) {
        self.recover.pto_count += 1;
        self.stats.probe_timeouts += 1;
        if self.config.recovery == Recovery::GoBackN {
            self.rewind(now);
        } else {
            self.wanted.probes = PROBES;
            // Later probes carry what earlier ones did not, and then all of it again.
            if self.send.next_unacked(self.recover.probe_from, 1).is_none() {
                self.recover.probe_from = 0;
            }
            if self.mtu.on_probe_timeout(now, self.recover.pto_count) {
                self.controller.on_mtu(self.mtu.current());
            }
        }
        self.arm_loss_timers(now);
        self.trace_metrics(now);
    }

    /// The wait before the probe after `backoff` unanswered ones. The first two waits are
    /// alike, as in QUIC before RFC 9002 and in TCP's loss probes (RFC 8985 §7): four small
    /// packets are no load, and a burst of losses that eats them all is not congestion yet.
    pub(crate) fn pto_interval(&self, backoff: u32) -> Duration {
        if self.config.recovery == Recovery::GoBackN {
            return self.config.go_back_n_timeout;
        }
        let base = self.rtt.pto_base() + Duration::from_micros(self.peer_max_ack_delay_us);
        let doublings = (backoff + 1).saturating_sub(EVEN_TIMEOUTS).min(10);
        (base * 2u32.pow(doublings)).min(base.max(MAX_PROBE_INTERVAL))
    }

    /// Sets the loss timer to the first packet that time will call lost, or else the probe
    /// timer (RFC 9002 A.8).
    pub(crate) fn arm_loss_timers(&mut self, now: Time) {
        self.timers.stop(Timer::Loss);
        self.timers.stop(Timer::Probe);
        if self.sent.packets_in_flight() == 0 {
            return;
        }
        if self.config.recovery == Recovery::Selective
            && let Some(at) = self.first_loss_by_time()
        {
            self.timers.set(Timer::Loss, at.max(now));
            return;
        }
        let from = self.recover.last_sent;
        self.timers.set(
            Timer::Probe,
            from + self.pto_interval(self.recover.pto_count),
        );
    }

    fn first_loss_by_time(&self) -> Option<Time> {
        let (number, packet) = self.sent.outstanding().next()?;
        self.loss.lost_at(number, packet.sent_at, &self.rtt)
    }

    /// Lost packets are kept for a few round trips, in case they show up after all.
    fn forget_old(&mut self, now: Time) {
        self.sent.forget(now - 4 * self.rtt.smoothed());
        #[cfg(debug_assertions)]
        if self.sent.next_number().is_multiple_of(64) {
            self.sent.assert_conserved();
        }
    }
}
