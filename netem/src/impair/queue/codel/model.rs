//! CoDel (RFC 8289): drops at the head, ever more often while packets stay too long.

use std::collections::VecDeque;

use super::settings::CoDelSettings;
use crate::{Time, impair::queue::fifo::Fifo, in_flight::InFlight};

#[derive(Debug)]
pub(crate) struct CoDel {
    target_ns: u64,
    interval_ns: u64,
    ecn: bool,
    mtu_bytes: u64,
    /// Time at which the sojourn time will have been above the target for an interval.
    first_above: Option<Time>,
    drop_next: Time,
    count: u64,
    last_count: u64,
    dropping: bool,
}

impl CoDel {
    pub(crate) const fn new(settings: CoDelSettings, mtu_bytes: u64) -> Self {
        Self {
            target_ns: settings.target.0,
            interval_ns: settings.interval.0,
            ecn: settings.ecn,
            mtu_bytes,
            first_above: None,
            drop_next: Time::ZERO,
            count: 0,
            last_count: 0,
            dropping: false,
        }
    }

    /// RFC 8289 §5.5, `deque`: what it drops goes to `dropped`; the packet to send stays in front.
    pub(crate) fn serve(
        &mut self,
        now: Time,
        fifo: &mut Fifo,
        dropped: &mut VecDeque<Box<InFlight>>,
    ) {
        let ok_to_drop = self.ok_to_drop(now, fifo);
        if self.dropping {
            self.dropping = ok_to_drop;
            // A loop: under overload several drops have become due since the last packet left.
            while self.dropping && now >= self.drop_next {
                self.count += 1;
                let marked = self.mark_or_drop(fifo, dropped);
                self.dropping = marked || self.ok_to_drop(now, fifo);
                if self.dropping {
                    self.drop_next = self.control_law(self.drop_next);
                }
                // A mark is sent, so the next decision is for the next packet.
                if marked {
                    return;
                }
            }
        } else if ok_to_drop {
            if !self.mark_or_drop(fifo, dropped) {
                // For its side effect: the state must be that of the packet now in front.
                self.ok_to_drop(now, fifo);
            }
            self.dropping = true;
            // §5.5: back soon after the last time, so resume near the rate of drops that held then
            // rather than at the slowest.
            let delta = self.count - self.last_count;
            let recent = now.nanos_since(self.drop_next) < 16 * self.interval_ns;
            self.count = if delta > 1 && recent { delta } else { 1 };
            self.drop_next = self.control_law(now);
            self.last_count = self.count;
        }
    }

    /// Notes a packet that the full queue dropped: CoDel's next drops come sooner (RFC 8290 §4.1).
    pub(crate) const fn note_drop(&mut self) {
        self.count += 1;
    }

    /// §5.6, `dodequeue`: returns whether the packet in front, and those before it, stayed too long.
    fn ok_to_drop(&mut self, now: Time, fifo: &mut Fifo) -> bool {
        let bytes = fifo.bytes();
        let Some(front) = fifo.front() else {
            self.first_above = None;
            return false;
        };
        let sojourn_ns = now.nanos_since(front.arrived_at);
        // Less than a packet's worth behind it: to drop would leave the link idle (RFC 8289 §4.4).
        // The RFC counts the packet itself out, as `dequeue` has removed it.
        if sojourn_ns < self.target_ns || bytes - front.link_bytes <= self.mtu_bytes {
            self.first_above = None;
            return false;
        }
        match self.first_above {
            None => {
                self.first_above = Some(now.plus_nanos(self.interval_ns));
                false
            }
            // An interval above the target, not one packet: a burst that drains is no standing
            // queue.
            Some(first_above) => now >= first_above,
        }
    }

    /// Marks the packet in front, or drops it; returns whether it was marked, and so still is there.
    fn mark_or_drop(&self, fifo: &mut Fifo, dropped: &mut VecDeque<Box<InFlight>>) -> bool {
        if self.ecn
            && let Some(front) = fifo.front()
            && front.mark()
        {
            return true;
        }
        dropped.extend(fifo.pop());
        false
    }

    /// §5.7: `t + interval / sqrt(count)`, with sixteen binary places of the root.
    fn control_law(&self, from: Time) -> Time {
        let root = u128::from((self.count.min(u64::from(u32::MAX)) << 32).isqrt());
        let step_ns = (u128::from(self.interval_ns) << 16) / root.max(1);
        from.plus_nanos(step_ns as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::DurationNs;

    #[test]
    fn drops_come_closer_with_the_square_root_of_their_number() {
        let settings = CoDelSettings {
            target: DurationNs(5_000_000),
            interval: DurationNs(100_000_000),
            ecn: false,
        };
        let mut codel = CoDel::new(settings, 1500);
        let step = |codel: &CoDel| codel.control_law(Time::ZERO).as_nanos();
        codel.count = 1;
        assert_eq!(step(&codel), 100_000_000);
        codel.count = 4;
        assert_eq!(step(&codel), 50_000_000);
        codel.count = 100;
        assert_eq!(step(&codel), 10_000_000);
    }
}
