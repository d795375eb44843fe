//! Waiting: for datagrams on many sockets and for a deadline, whichever comes first.
//!
//! Linux has precise sleeps and readiness (`linux`); elsewhere `portable` sleeps briefly and polls.
//! [`Waiter`] is the precise part on top of either: it asks to be woken a little early, by as much
//! as this machine has lately been waking it late, and spins for the rest, within a share of the
//! processor that it never exceeds. When that share is used up, packets are sent in small groups
//! instead.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(not(target_os = "linux"), test))]
mod portable;

#[cfg(target_os = "linux")]
pub(crate) use linux::{Reactor, Waker};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{Reactor, Waker};

use std::io;

use super::clock::Clock;
use crate::Time;

/// The token under which the waker reports; sockets use smaller ones.
pub(crate) const WAKE: u64 = u64::MAX;

/// Being woken early and spinning pays off up to here: about the time a sleep and a wake cost.
const MARGIN_MAX_NS: u64 = 50_000;
const MARGIN_MIN_NS: u64 = 4_000;
/// The margin moves up four times as fast as down: it settles where four wakes in five are early.
const MARGIN_STEP_NS: u64 = 500;

/// Spinning may take this part of the time, one in so many nanoseconds ...
const SPIN_SHARE: u64 = 6;
/// ... and may save up this much for a burst.
const SPIN_CREDIT_MAX_NS: u64 = 300_000;

/// Without spinning, deadlines closer than this are met together.
const COALESCE_NS: u64 = 40_000;

/// A sleep is never longer, so that a stop without a wake-up is still noticed.
const SLEEP_MAX_NS: u64 = 1_000_000_000;

/// Meets deadlines with little spinning.
#[derive(Debug)]
pub(crate) struct Waiter {
    clock: Clock,
    margin_ns: u64,
    credit_ns: u64,
    credited: Time,
}

impl Waiter {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            margin_ns: MARGIN_MAX_NS / 2,
            credit_ns: SPIN_CREDIT_MAX_NS,
            credited: clock.now(),
        }
    }

    /// Returns when `deadline` is reached or something is ready; `ready` then holds the tokens
    /// of what can be read. It may return early with nothing.
    pub(crate) fn wait(
        &mut self,
        reactor: &mut Reactor,
        deadline: Option<Time>,
        ready: &mut Vec<u64>,
    ) -> io::Result<()> {
        let now = self.clock.now();
        self.earn(now);
        let left_ns = deadline.map_or(SLEEP_MAX_NS, |at| at.saturating_since_nanos(now));
        // Overdue: sockets are read all the same, or a busy link would never take new packets in.
        if left_ns == 0 {
            return reactor.poll(ready);
        }
        if left_ns > self.margin_ns {
            let asked_ns = (left_ns - self.margin_ns).min(SLEEP_MAX_NS);
            reactor.sleep(asked_ns)?;
            reactor.poll(ready)?;
            // Woken by a packet: nothing is learnt of how late this machine wakes a sleeper.
            if !ready.is_empty() || deadline.is_none() {
                return Ok(());
            }
            let slept_ns = self.clock.now().saturating_since_nanos(now);
            self.learn(slept_ns.saturating_sub(asked_ns));
        }
        match deadline {
            Some(at) => self.last_stretch(reactor, at, ready),
            None => Ok(()),
        }
    }

    /// The few microseconds before the deadline.
    fn last_stretch(
        &mut self,
        reactor: &mut Reactor,
        deadline: Time,
        ready: &mut Vec<u64>,
    ) -> io::Result<()> {
        let start = self.clock.now();
        let left_ns = deadline.saturating_since_nanos(start);
        // No credit left. A sleep for so short a time overshoots anyway, so that it is made long
        // enough for several packets to fall due.
        if left_ns > self.credit_ns {
            reactor.sleep(left_ns.max(COALESCE_NS))?;
            return reactor.poll(ready);
        }
        let mut now = start;
        while now < deadline {
            reactor.poll(ready)?;
            if !ready.is_empty() {
                break;
            }
            std::hint::spin_loop();
            now = self.clock.now();
        }
        let spun_ns = self.clock.now().saturating_since_nanos(start);
        self.credit_ns = self.credit_ns.saturating_sub(spun_ns);
        Ok(())
    }

    fn earn(&mut self, now: Time) {
        let earned_ns = now.saturating_since_nanos(self.credited) / SPIN_SHARE;
        // Only whole nanoseconds move the mark: short rounds would otherwise lose their remainders
        // and earn nothing.
        if earned_ns > 0 {
            self.credit_ns = (self.credit_ns + earned_ns).min(SPIN_CREDIT_MAX_NS);
            self.credited = now;
        }
    }

    fn learn(&mut self, overslept_ns: u64) {
        self.margin_ns = if overslept_ns > self.margin_ns {
            (self.margin_ns + 4 * MARGIN_STEP_NS).min(MARGIN_MAX_NS)
        } else {
            self.margin_ns
                .saturating_sub(MARGIN_STEP_NS)
                .max(MARGIN_MIN_NS)
        };
    }
}

trait SinceNanos {
    fn saturating_since_nanos(self, earlier: Self) -> u64;
}

impl SinceNanos for Time {
    fn saturating_since_nanos(self, earlier: Self) -> u64 {
        self.as_nanos().saturating_sub(earlier.as_nanos())
    }
}
