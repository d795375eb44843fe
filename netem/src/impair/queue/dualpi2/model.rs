//! DualPI2 (RFC 9332, appendix A): a shallow queue for flows that want many marks, a deeper one
//! for those that halve at each, and one controller that makes the two share a link.
//!
//! The arithmetic, the order of decisions and the scheduler are those of Linux's `sch_dualpi2`,
//! with its early drop off: dropping and marking are decided as a packet is to be sent.
//! Whatever the timer was to do is done before a queue is next looked at; nothing changes in
//! between.

use std::collections::VecDeque;

use super::settings::DualPi2Settings;
use crate::{
    Time,
    impair::queue::fifo::Fifo,
    in_flight::InFlight,
    rng::{RngStream, high, low},
    units::Percent,
};

/// The probability is counted in so many parts.
const WHOLE: i128 = 1 << 32;
/// A gain in µHz times a delay in ns is in so many parts of one.
const GAIN_PARTS: i128 = 1_000_000 * 1_000_000_000;

#[derive(Debug)]
pub(crate) struct DualPi2 {
    settings: DualPi2Settings,
    mtu_bytes: u64,
    classic: Fifo,
    low_latency: Fifo,
    /// The base probability p', in parts of [`WHOLE`].
    probability: i128,
    last_delay_ns: i128,
    next_update: Time,
    /// Credit of the scheduler: it is the classic queue's turn above 0. In bytes × [`Percent::WHOLE`].
    credit: i128,
}

/// Decision about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Pass,
    Mark,
    Drop,
}

impl DualPi2 {
    pub(crate) fn new(settings: DualPi2Settings, mtu_bytes: u64) -> Self {
        let mut dual = Self {
            settings,
            mtu_bytes,
            classic: Fifo::default(),
            low_latency: Fifo::default(),
            probability: 0,
            last_delay_ns: 0,
            next_update: Time::from_nanos(settings.update.0),
            credit: 0,
        };
        dual.reset_credit();
        dual
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.classic.bytes() + self.low_latency.bytes()
    }

    pub(crate) fn packets(&self) -> u64 {
        self.classic.packets() + self.low_latency.packets()
    }

    /// Packets with ECT(1), or CE, which may have been ECT(1), are low-latency (RFC 9331 §5.1).
    pub(crate) fn push(&mut self, now: Time, in_flight: Box<InFlight>) {
        self.update(now);
        match in_flight.packet.ecn & 1 {
            1 => self.low_latency.push(in_flight),
            _ => self.classic.push(in_flight),
        }
    }

    /// Takes out everything, queue by queue.
    pub(crate) fn drain(&mut self) -> VecDeque<Box<InFlight>> {
        let mut all = self.classic.drain();
        all.extend(self.low_latency.drain());
        all
    }

    /// Takes out the packet to send; what is dropped goes to `dropped`.
    pub(crate) fn serve(
        &mut self,
        now: Time,
        stream: &mut RngStream,
        dropped: &mut VecDeque<Box<InFlight>>,
    ) -> Option<Box<InFlight>> {
        self.update(now);
        loop {
            let Some((mut in_flight, low_latency, change)) = self.take_turn() else {
                self.reset_credit();
                return None;
            };
            let sample = stream.at(in_flight.index, in_flight.duplicate);
            // Two packets are no queue, as in PIE (RFC 8033 §4.1): signals would only leave the
            // link idle.
            let mut action = match self.bytes() < 2 * self.mtu_bytes {
                true => Action::Pass,
                false => self.decide(low_latency, sample),
            };
            let stayed_ns = now.nanos_since(in_flight.arrived_at);
            // The step by the packet's own wait, on top of the coupled probability: an immediate
            // signal that does not wait for the controller.
            if low_latency && action == Action::Pass && stayed_ns > self.settings.step.0 {
                action = Action::Mark;
            }
            // CE included, which needs no other mark: only Not-ECT is dropped instead of marked.
            let ecn_capable = in_flight.packet.ecn != 0;
            if action == Action::Drop || action == Action::Mark && !ecn_capable {
                dropped.push_back(in_flight);
                continue;
            }
            if action == Action::Mark {
                in_flight.mark();
            }
            // Only for a packet that is sent: a dropped one has used none of the link.
            self.credit += change;
            return Some(in_flight);
        }
    }

    /// Takes the next packet, whether it is of the low-latency queue, and its cost in credit: the
    /// two queues share by weight while both are full.
    fn take_turn(&mut self) -> Option<(Box<InFlight>, bool, i128)> {
        let (classic, low_latency) = (self.classic.packets() > 0, self.low_latency.packets() > 0);
        let share = self.settings.classic_share;
        // Weighted round robin: without a share of its own the classic queue would starve under
        // low-latency load.
        if low_latency && (!classic || self.credit <= 0) {
            let in_flight = self.low_latency.pop()?;
            let cost = weighed(in_flight.link_bytes, share);
            return Some((in_flight, true, if classic { cost } else { 0 }));
        }
        let in_flight = self.classic.pop()?;
        let cost = weighed(in_flight.link_bytes, share.complement());
        Some((in_flight, false, if low_latency { -cost } else { 0 }))
    }

    fn reset_credit(&mut self) {
        let share = self.settings.classic_share;
        self.credit = weighed(self.mtu_bytes, share) - weighed(self.mtu_bytes, share.complement());
    }

    /// Decides about a packet: the classic queue's meet p'², the low-latency queue's k p' (§2.1); past
    /// k p' = 100 % all do the former.
    fn decide(&self, low_latency: bool, sample: u64) -> Action {
        let coupled = self.probability * i128::from(self.settings.coupling);
        let overload = coupled > WHOLE;
        let hits = |bits: u32, probability: i128| i128::from(bits) < probability;
        // Both halves below p': the probability is its square, without a multiplication (RFC 9332
        // appendix A).
        let squared = hits(high(sample), self.probability) && hits(low(sample), self.probability);
        match (low_latency, overload) {
            (false, true) if squared => Action::Drop,
            (false, false) if squared => Action::Mark,
            (false, _) => Action::Pass,
            (true, true) if squared && self.settings.drop_on_overload => Action::Drop,
            (true, true) => Action::Mark,
            (true, false) if hits(high(sample), coupled) => Action::Mark,
            (true, false) => Action::Pass,
        }
    }

    /// Makes the updates that the timer was to make by `now`.
    fn update(&mut self, now: Time) {
        while self.next_update <= now {
            let idle = self.packets() == 0 && self.probability == 0 && self.last_delay_ns == 0;
            let update_ns = self.settings.update.0;
            let steps = match idle {
                // Nothing changes while idle: all the missed updates are one jump.
                true => now.nanos_since(self.next_update) / update_ns + 1,
                false => {
                    self.control(self.next_update);
                    1
                }
            };
            self.next_update = self.next_update.plus_nanos(steps * update_ns);
        }
    }

    /// Makes the proportional-integral step, by the packet that has waited longest in either queue.
    fn control(&mut self, now: Time) {
        let fronts = [&self.classic, &self.low_latency].map(Fifo::waiting_since);
        let waits = fronts.into_iter().flatten();
        let delay_ns = waits.map(|since| now.nanos_since(since)).max();
        let delay_ns = i128::from(delay_ns.unwrap_or(0));
        let (alpha, beta) = (self.settings.alpha, self.settings.beta);
        let change = (delay_ns - i128::from(self.settings.target.0)) * i128::from(alpha.micro_hz())
            // Whole numbers throughout, so that every machine marks the same packets.
            + (delay_ns - self.last_delay_ns) * i128::from(beta.micro_hz());
        self.last_delay_ns = delay_ns;
        let max = match self.settings.drop_on_overload {
            true => WHOLE,
            // Beyond it marks are certain; classic packets must not suffer for it.
            false => WHOLE / i128::from(self.settings.coupling),
        };
        // A change of so many times everything is everything.
        let change = change.clamp(-GAIN_PARTS, GAIN_PARTS) * WHOLE / GAIN_PARTS;
        self.probability = (self.probability + change).clamp(0, max);
    }
}

fn weighed(bytes: u64, share: Percent) -> i128 {
    i128::from(bytes) * i128::from(share.parts())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, rng::RngStreams};

    const SAMPLES: u64 = 1_000_000;

    fn dual(probability: f64) -> DualPi2 {
        let mut dual = DualPi2::new(DualPi2Settings::default(), 1500);
        dual.probability = (probability * WHOLE as f64) as i128;
        dual
    }

    /// Returns how many of [`SAMPLES`] packets meet this decision.
    fn count(dual: &DualPi2, low_latency: bool, action: Action) -> u64 {
        let mut stream = RngStreams::new(1, Direction::Forward).by_packet("queue");
        let actions = (0..SAMPLES).map(|index| dual.decide(low_latency, stream.at(index, false)));
        actions.filter(|found| *found == action).count() as u64
    }

    /// Inside the interval that holds 99.9 % of the counts.
    fn is_share(count: u64, share: f64) {
        let mean = SAMPLES as f64 * share;
        let half_width = 3.2905 * (mean * (1.0 - share)).sqrt();
        assert!((count as f64 - mean).abs() <= half_width, "{count}, {mean}");
    }

    #[test]
    fn classic_packets_meet_the_square_and_low_latency_ones_k_times_the_probability() {
        for probability in [0.02, 0.1, 0.3, 0.5] {
            let dual = dual(probability);
            is_share(count(&dual, false, Action::Mark), probability.powi(2));
            is_share(count(&dual, true, Action::Mark), 2.0 * probability);
            assert_eq!(count(&dual, false, Action::Drop), 0);
            assert_eq!(count(&dual, true, Action::Drop), 0);
        }
    }

    #[test]
    fn on_overload_both_queues_drop_by_the_square() {
        let mut dual = dual(0.7);
        is_share(count(&dual, false, Action::Drop), 0.49);
        is_share(count(&dual, true, Action::Drop), 0.49);
        is_share(count(&dual, true, Action::Mark), 0.51);
        dual.settings.drop_on_overload = false;
        assert_eq!(count(&dual, true, Action::Mark), SAMPLES);
    }

    #[test]
    fn the_controller_is_proportional_and_integral() {
        let mut dual = dual(0.5);
        // Nothing waits: 0.16 Hz times 15 ms less, whatever it was.
        dual.control(Time::from_nanos(16_000_000));
        let expected = (0.5 - 0.16 * 0.015) * WHOLE as f64;
        assert!((dual.probability as f64 - expected).abs() < 2.0);
        // From a delay of 20 ms to none: 3.2 Hz times 20 ms less as well.
        dual.last_delay_ns = 20_000_000;
        dual.control(Time::from_nanos(32_000_000));
        let expected = expected - (0.16 * 0.015 + 3.2 * 0.02) * WHOLE as f64;
        assert!((dual.probability as f64 - expected).abs() < 4.0);
    }
}
