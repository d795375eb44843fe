//! The state of loss recovery: what is in flight, and the calls by which it is acknowledged or
//! declared lost (RFC 9002 §6 and appendix A). By which rule is in [`loss`](super::loss), what
//! follows for stream and window in `connection/losses.rs`.

use std::ops::Range;
use std::time::Duration;

use super::episode::LossEpisode;
use super::loss::{LossDetector, LossTrigger};
use super::probe_timeout::ProbeTimeout;
use super::rate::{RateSample, RateSampler};
use super::rtt::RttEstimator;
use super::sent::{SentPacket, SentPackets, SentState};
use super::skipped::{SkipSecret, SkippedNumbers};
use crate::Time;
use crate::wire::AckFrame;

/// Persistent congestion spans this many probe timeouts (RFC 9002 §7.6.1).
const PERSISTENT_TIMEOUTS: u32 = 3;

/// Packets in flight, loss detection, rate samples and probe timeouts of one connection.
#[derive(Debug)]
pub(crate) struct LossRecovery {
    sent: SentPackets,
    skipped: SkippedNumbers,
    detector: LossDetector,
    sampler: RateSampler,
    probe: ProbeTimeout,
    episode: LossEpisode,
    /// The longest that the peer holds an acknowledgement back.
    peer_max_ack_delay: Duration,
    /// Go-back-N knows only its timer: nothing is learnt from the order of acknowledgements.
    is_selective: bool,
    /// Packet numbers newly acknowledged or lost; kept to spare allocations.
    acked: Vec<u64>,
    lost: Vec<(u64, LossTrigger)>,
}

/// A packet that was acknowledged for the first time.
#[derive(Clone, Debug)]
pub(crate) struct AckedPacket {
    /// It had been declared lost.
    pub(crate) was_lost: bool,
    pub(crate) sent_at: Time,
    pub(crate) bytes: u64,
    pub(crate) stream: Range<u64>,
    pub(crate) fin: bool,
    /// Everything below this packet number was acknowledged to the peer in this packet.
    pub(crate) acked_below: u64,
}

/// The last of several packets that were declared lost together.
#[derive(Copy, Clone, Debug)]
pub(crate) struct LargestLost {
    pub(crate) number: u64,
    pub(crate) sent_at: Time,
    /// Bytes in flight right after it was sent.
    pub(crate) tx_in_flight: u64,
    /// Bytes declared lost since then, these among them.
    pub(crate) lost_since_sent: u64,
}

/// The deadline that loss recovery waits for.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum LossTimeout {
    /// A packet is declared lost by time.
    Loss(Time),
    /// A probe is due.
    Probe(Time),
}

impl LossRecovery {
    /// `go_back_n` is the fixed timer of go-back-N; without one, recovery is selective. Numbers
    /// are left out as `secret` has it.
    pub(crate) fn new(go_back_n: Option<Duration>, secret: SkipSecret) -> Self {
        Self {
            sent: SentPackets::new(),
            skipped: SkippedNumbers::new(secret),
            detector: LossDetector::new(),
            sampler: RateSampler::new(),
            probe: ProbeTimeout::new(go_back_n),
            episode: LossEpisode::default(),
            peer_max_ack_delay: Duration::ZERO,
            is_selective: go_back_n.is_none(),
            acked: Vec::new(),
            lost: Vec::new(),
        }
    }

    /// Takes the peer's limit for holding acknowledgements back (RFC 9000 §18.2).
    pub(crate) const fn set_peer_max_ack_delay(&mut self, delay: Duration) {
        self.peer_max_ack_delay = delay;
    }

    pub(crate) const fn peer_max_ack_delay(&self) -> Duration {
        self.peer_max_ack_delay
    }

    /// The number of the next packet.
    pub(crate) fn next_number(&self) -> u64 {
        self.sent.next_number()
    }

    /// Bytes sent, neither acknowledged nor declared lost.
    pub(crate) const fn bytes_in_flight(&self) -> u64 {
        self.sent.bytes_in_flight()
    }

    /// Packets sent, neither acknowledged nor declared lost.
    pub(crate) const fn packets_in_flight(&self) -> u64 {
        self.sent.packets_in_flight()
    }

    /// The highest packet number acknowledged.
    pub(crate) fn newest_acked(&self) -> Option<u64> {
        self.detector.newest_acked()
    }

    // Sending.

    /// Takes a packet that goes out now.
    pub(crate) fn on_sent(&mut self, now: Time, mut packet: SentPacket) {
        packet.sent_at = now;
        if packet.state == SentState::InFlight {
            // Acknowledgements are not sampled: the peer may hold back what confirms them, and the
            // rate would show its timer.
            let before = self.sent.bytes_in_flight();
            packet.rate = self.sampler.on_sent(now, before, u64::from(packet.bytes));
            self.probe.on_sent(now);
        }
        self.sent.push(packet);
        let next = self.skipped.pass(self.sent.next_number());
        self.sent.skip_to(next);
    }

    /// The application, or the peer's window, leaves the path unused: rates measured from here
    /// on show less than it can carry.
    pub(crate) fn set_app_limited(&mut self) {
        // Go-back-N uses no rate.
        if self.is_selective {
            self.sampler.set_app_limited(self.sent.bytes_in_flight());
        }
    }

    // Acknowledgements.

    /// Tells whether `ack` acknowledges a number that was left out (RFC 9000 §21.4).
    pub(crate) fn acknowledges_skipped(&self, ack: &AckFrame<'_>) -> bool {
        ack.ranges().any(|range| self.skipped.is_caught(&range))
    }

    /// The packet numbers that `ack` acknowledges for the first time, lowest first, so that an
    /// acknowledgement's own ranges do not look like reordering. Give the list back to
    /// [`reuse_acked`](Self::reuse_acked).
    pub(crate) fn take_newly_acked(&mut self, ack: &AckFrame<'_>) -> Vec<u64> {
        let mut acked = std::mem::take(&mut self.acked);
        acked.clear();
        for range in ack.ranges() {
            if !self.sent.acknowledge(range, &mut acked) {
                break;
            }
        }
        acked.reverse();
        acked
    }

    pub(crate) fn reuse_acked(&mut self, acked: Vec<u64>) {
        self.acked = acked;
    }

    /// Settles a packet that was acknowledged; `None` when it is no longer remembered.
    pub(crate) fn on_acked(
        &mut self,
        now: Time,
        number: u64,
        rtt: &RttEstimator,
    ) -> Option<AckedPacket> {
        // A packet that was declared lost counts as delivered all the same: it did cross the path.
        let before = self.sent.settle(number, SentState::Acked);
        let packet = self.sent.get(number)?;
        self.sampler
            .on_acked(now, &packet.rate, packet.sent_at, u64::from(packet.bytes));
        if self.is_selective {
            // Go-back-n stands for a sender without selective acknowledgements: it may not learn
            // from their order.
            self.detector.on_acked(now, number, packet.sent_at, rtt);
        }
        Some(AckedPacket {
            was_lost: before == SentState::Lost,
            sent_at: packet.sent_at,
            bytes: u64::from(packet.bytes),
            stream: packet.stream(),
            fin: packet.fin,
            acked_below: packet.acked_below,
        })
    }

    /// Takes a loss that has proved spurious; tells whether it was the last of its episode.
    pub(crate) fn on_spurious(&mut self, number: u64) -> bool {
        self.episode.on_spurious(number)
    }

    /// Closes the rate sample of one acknowledgement.
    pub(crate) fn take_sample(&mut self, now: Time, min_rtt: Duration) -> RateSample {
        self.sampler.take_sample(now, min_rtt)
    }

    /// Forgets old reordering and old packets, once for each acknowledgement.
    pub(crate) fn forget_old(&mut self, now: Time, rtt: &RttEstimator) {
        self.detector.decay(now, rtt);
        // Lost packets are kept for a few round trips: a late acknowledgement proves the loss
        // spurious.
        self.sent.forget(now - 4 * rtt.smoothed());
        #[cfg(debug_assertions)]
        if self.sent.next_number().is_multiple_of(64) {
            self.sent.assert_conserved();
        }
    }

    // Losses.

    /// The packets to declare lost now, lowest first, and why. Give the list back to
    /// [`reuse_lost`](Self::reuse_lost).
    pub(crate) fn take_lost(&mut self, now: Time, rtt: &RttEstimator) -> Vec<(u64, LossTrigger)> {
        let mut lost = std::mem::take(&mut self.lost);
        lost.clear();
        let newest = self.detector.newest_acked().unwrap_or(0);
        for (number, packet) in self.sent.in_flight() {
            // Only what was sent before an acknowledged packet can be late (RFC 9002 §6.1).
            if number >= newest {
                break;
            }
            let by_time = self.detector.lost_at(number, packet.sent_at, rtt);
            if self.detector.lost_by_count(number) {
                lost.push((number, LossTrigger::PacketThreshold));
            } else if by_time.is_some_and(|at| at <= now) {
                lost.push((number, LossTrigger::TimeThreshold));
            } else {
                // Later packets were sent later and have no more behind them.
                break;
            }
        }
        lost
    }

    pub(crate) fn reuse_lost(&mut self, lost: Vec<(u64, LossTrigger)>) {
        self.lost = lost;
    }

    /// Declares a packet lost.
    pub(crate) fn declare_lost(&mut self, number: u64) -> Option<&SentPacket> {
        self.sent.settle(number, SentState::Lost);
        self.sent.get(number)
    }

    /// Closes the declaration of `lost`, `bytes` in all; describes the last of them.
    pub(crate) fn on_declared_lost(
        &mut self,
        lost: &[(u64, LossTrigger)],
        bytes: u64,
    ) -> Option<LargestLost> {
        let &(number, _) = lost.last()?;
        self.sampler.on_lost(bytes);
        self.episode.on_lost(lost, number, self.sent.next_number());
        let packet = self.sent.get(number)?;
        Some(LargestLost {
            number,
            sent_at: packet.sent_at,
            tx_in_flight: packet.rate.tx_in_flight(),
            lost_since_sent: self.sampler.lost_since(&packet.rate),
        })
    }

    /// Tells whether `lost` is persistent congestion (RFC 9002 §7.6): everything sent over a
    /// long time was lost, and nothing from in between was acknowledged. Random loss does not
    /// do that.
    pub(crate) fn is_persistent_congestion(
        &self,
        lost: &[(u64, LossTrigger)],
        rtt: &RttEstimator,
    ) -> bool {
        let (Some(&(first, _)), Some(&(last, _))) = (lost.first(), lost.last()) else {
            return false;
        };
        let sent_at = |number| self.sent.get(number).map(|packet| packet.sent_at);
        let (Some(begin), Some(end)) = (sent_at(first), sent_at(last)) else {
            return false;
        };
        // Without backoff: the duration of RFC 9002 §7.6.1 does not grow with the timeouts that
        // have run out since.
        let long = PERSISTENT_TIMEOUTS * self.pto_interval(rtt, 0);
        end.saturating_since(begin) > long
            // Only a packet that was acknowledged, or may yet be, speaks against it: an untracked one
            // never is.
            && (first..=last).all(|number| {
                let state = self.sent.get(number).map(|packet| packet.state);
                state != Some(SentState::Acked) && state != Some(SentState::InFlight)
            })
    }

    /// Declares the oldest packet in flight lost, whatever the rules say (go-back-N).
    pub(crate) fn declare_oldest_lost(&mut self) -> Option<(u64, SentPacket)> {
        let (number, packet) = self.sent.in_flight().next()?;
        let packet = packet.clone();
        self.sent.settle(number, SentState::Lost);
        Some((number, packet))
    }

    // Timeouts.

    /// The deadline to wait for: the first packet that time will declare lost, or else the next
    /// probe (RFC 9002 A.8). `None` when nothing is in flight.
    pub(crate) fn next_timeout(&self, rtt: &RttEstimator) -> Option<LossTimeout> {
        let (number, packet) = self.sent.in_flight().next()?;
        let by_time = self.detector.lost_at(number, packet.sent_at, rtt);
        // One timer for both (RFC 9002 A.8): while time is about to declare a loss, a probe would
        // ask for what the next acknowledgement shows anyway.
        Some(match by_time.filter(|_| self.is_selective) {
            Some(at) => LossTimeout::Loss(at),
            None => LossTimeout::Probe(self.probe.due(self.pto_base(rtt))),
        })
    }

    /// The probe timeout after `backoff` timeouts in a row.
    pub(crate) fn pto_interval(&self, rtt: &RttEstimator, backoff: u32) -> Duration {
        self.probe.interval(self.pto_base(rtt), backoff)
    }

    fn pto_base(&self, rtt: &RttEstimator) -> Duration {
        rtt.pto_base() + self.peer_max_ack_delay
    }

    /// Probe timeouts in a row.
    pub(crate) const fn pto_count(&self) -> u32 {
        self.probe.count()
    }

    /// Takes a probe timeout.
    pub(crate) const fn on_probe_timeout(&mut self) {
        self.probe.on_timeout();
    }

    /// Ends the backoff after an acknowledgement: the path is alive.
    pub(crate) const fn on_progress(&mut self) {
        self.probe.on_acked();
    }

    /// Ends the backoff on a path that has changed.
    pub(crate) const fn end_backoff(&mut self) {
        self.probe.end_backoff();
    }

    /// PINGs in each probe.
    pub(crate) fn probe_pings(&self) -> u8 {
        self.probe.pings()
    }

    /// The stream offset where the next probe's data starts.
    pub(crate) const fn probe_data_from(&self) -> u64 {
        self.probe.data_from()
    }

    pub(crate) const fn set_probe_data_from(&mut self, offset: u64) {
        self.probe.set_data_from(offset);
    }

    /// Checks that the running totals equal the sum over the packets.
    #[cfg(test)]
    pub(crate) fn assert_conserved(&self) {
        self.sent.assert_conserved();
    }
}
