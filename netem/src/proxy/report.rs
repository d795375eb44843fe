//! The report of a proxy run, and whether its numbers are valid.

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;

use super::{
    meter::{Histogram, Lateness},
    overflow,
};
use crate::{PerDirection, link::Counters, profile::DirectionProfile};

/// The lateness and the own drops that a proxy run may have and still be valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LatenessBudget {
    /// The 99th percentile of lateness may always be this much. Default 1 ms: what a shared
    /// machine with a busy core does to a thread, and small beside the delays worth emulating.
    pub p99: Duration,
    /// ... or this part of the shorter one-way delay, when that is more. Default 50 (5 %).
    pub p99_permille_of_delay: u64,
    /// Drops that the link did not ask for, in a million received packets. Default 100 (0.01 %):
    /// far below the least loss a transport reacts to measurably.
    pub drops_per_million: u64,
}

impl Default for LatenessBudget {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl LatenessBudget {
    /// The value of [`default`](Self::default).
    pub const DEFAULT: Self = Self {
        p99: Duration::from_millis(1),
        p99_permille_of_delay: 50,
        drops_per_million: 100,
    };

    pub(crate) fn limit_ns(&self, profiles: &PerDirection<DirectionProfile>) -> u64 {
        let delay_ns = profiles.forward.delay_ns().min(profiles.reverse.delay_ns());
        let share = u128::from(delay_ns) * u128::from(self.p99_permille_of_delay) / 1000;
        let floor = u64::try_from(self.p99.as_nanos()).unwrap_or(u64::MAX);
        // A share alone would ask for more on a path of a few milliseconds than a thread can keep.
        floor.max(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

/// Packets as the proxy itself saw them, apart from what the link did to them.
///
/// `received = entered + nat_full`, and what came out of a link is
/// `sent + send_errors + unroutable`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProxyCounters {
    /// Datagrams read from clients and, from the right address, from servers.
    pub received: u64,
    /// Of these, handed to a link.
    pub entered: u64,
    /// Datagrams written to clients and servers.
    pub sent: u64,
    /// Still inside a link when the proxy stopped, a packet in two copies counting twice.
    pub inside_at_stop: u64,
    /// Own drops: the system refused to send.
    pub send_errors: u64,
    /// Own drops: a new client found the table full or no socket available.
    pub nat_full: u64,
    /// Own drops: the client had been forgotten when its packet was due.
    pub unroutable: u64,
    /// Own drops: receive buffers overflowed; empty where the system does not report it.
    pub receive_overflow: Option<u64>,
    /// Reads that failed.
    pub receive_errors: u64,
    /// Datagrams sent to an upstream socket by an address other than its server's; ignored.
    pub foreign: u64,
    /// Clients seen, each counted once per listened port and again after being forgotten.
    pub flows: u64,
    /// Times that a client got another port towards its server.
    pub rebound: u64,
}

impl ProxyCounters {
    /// Packets lost by the proxy and not by the link.
    pub fn own_drops(&self) -> u64 {
        self.send_errors + self.nat_full + self.unroutable + self.receive_overflow.unwrap_or(0)
    }
}

/// The report of one run of the proxy.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ProxyReport {
    /// Time from start to stop.
    pub duration_ns: u64,
    /// Processor time of the forwarding thread; empty where the system does not report it.
    pub processor_ns: Option<u64>,
    /// True when lateness and own drops are within the budget.
    pub valid: bool,
    /// The reason for `valid`, as a sentence for users.
    pub reason: String,
    /// Time from when each packet was due until it was sent, both directions together.
    pub lateness: Lateness,
    /// The same, forward only.
    pub lateness_forward: Lateness,
    /// The same, reverse only.
    pub lateness_reverse: Lateness,
    /// Time from each packet's arrival at the socket until it was pushed into its link, in link
    /// time: what lateness cannot see.
    pub entry_shift: Lateness,
    /// The limit on `p99_ns` of lateness and of entry shift.
    pub lateness_limit_ns: u64,
    /// Packets that the proxy saw, and those that it lost itself.
    pub proxy: ProxyCounters,
    /// Bytes that wait before the forward link's bottleneck, the packet being sent included.
    pub forward_queue_bytes: u64,
    /// The same of the reverse link.
    pub reverse_queue_bytes: u64,
    /// Counts of the forward link.
    pub forward: Counters,
    /// Counts of the reverse link.
    pub reverse: Counters,
    /// The smallest receive buffer the system granted.
    pub receive_buffer_bytes: u64,
    /// Limits of this machine that affect the numbers.
    pub warnings: Vec<String>,
}

/// Measurements of one direction.
#[derive(Clone)]
pub(crate) struct Measured {
    pub(crate) lateness: Histogram,
    pub(crate) entry_shift: Histogram,
}

impl Measured {
    pub(crate) fn new() -> Self {
        Self {
            lateness: Histogram::new(),
            entry_shift: Histogram::new(),
        }
    }
}

/// A link at one instant.
pub(crate) struct LinkSnapshot {
    pub(crate) measured: Measured,
    pub(crate) counters: Counters,
    pub(crate) received: u64,
    pub(crate) inside: u64,
    pub(crate) queue_bytes: u64,
}

/// Everything that a report is computed from, at one instant. Taking it is quick; what takes longer
/// is done by the thread that asked.
pub(crate) struct Snapshot {
    pub(crate) duration_ns: u64,
    pub(crate) processor_ns: Option<u64>,
    pub(crate) links: PerDirection<LinkSnapshot>,
    pub(crate) budget: LatenessBudget,
    pub(crate) limit_ns: u64,
    pub(crate) counters: ProxyCounters,
    /// The sockets whose overflows are still to be added.
    pub(crate) inodes: BTreeSet<u64>,
    pub(crate) receive_buffer_bytes: u64,
    pub(crate) warnings: Vec<String>,
    /// The error that ended the run, if one did.
    pub(crate) failure: Option<String>,
}

impl Snapshot {
    pub(crate) fn report(self) -> ProxyReport {
        let PerDirection { forward, reverse } = self.links;
        let mut counters = self.counters;
        counters.entered = forward.received + reverse.received;
        counters.inside_at_stop = forward.inside + reverse.inside;
        if let Some(dropped) = overflow::dropped(&self.inodes) {
            // Added to the drops of sockets that were closed during the run, whose counters are
            // gone.
            *counters.receive_overflow.get_or_insert(0) += dropped;
        }
        let both = |pick: fn(&Measured) -> &Histogram| {
            let mut sum = pick(&forward.measured).clone();
            sum.add(pick(&reverse.measured));
            sum.lateness()
        };
        let lateness = both(|measured| &measured.lateness);
        let entry_shift = both(|measured| &measured.entry_shift);
        let (valid, reason) = validity(
            &self.budget,
            self.limit_ns,
            &lateness,
            &entry_shift,
            &counters,
            self.failure.as_deref(),
        );
        ProxyReport {
            duration_ns: self.duration_ns,
            processor_ns: self.processor_ns,
            valid,
            reason,
            lateness,
            lateness_forward: forward.measured.lateness.lateness(),
            lateness_reverse: reverse.measured.lateness.lateness(),
            entry_shift,
            lateness_limit_ns: self.limit_ns,
            proxy: counters,
            forward_queue_bytes: forward.queue_bytes,
            reverse_queue_bytes: reverse.queue_bytes,
            forward: forward.counters,
            reverse: reverse.counters,
            receive_buffer_bytes: self.receive_buffer_bytes,
            warnings: self.warnings,
        }
    }
}

/// Decides whether the run is valid, and gives the reason.
fn validity(
    budget: &LatenessBudget,
    limit_ns: u64,
    lateness: &Lateness,
    entry_shift: &Lateness,
    counters: &ProxyCounters,
    failure: Option<&str>,
) -> (bool, String) {
    let drops = counters.own_drops();
    let overflow = counters.receive_overflow.unwrap_or(0);
    // What overflowed was never received, but it did arrive: without it a flooded proxy would have
    // no drops.
    let seen = counters.received + overflow;
    let allowed = u128::from(seen) * u128::from(budget.drops_per_million) / 1_000_000;
    // The first reason that applies is the one reported: a failure explains the drops after it, and
    // drops explain lateness.
    if let Some(failure) = failure {
        return (false, format!("the proxy failed: {failure}"));
    }
    if u128::from(drops) > allowed {
        let (send, nat) = (counters.send_errors, counters.nat_full);
        let unroutable = counters.unroutable;
        return (
            false,
            format!(
                "the proxy itself dropped {drops} of {seen} packets, {allowed} are allowed \
                 (receive buffer full {overflow}, send refused {send}, no room for a new \
                 client {nat}, client forgotten {unroutable})"
            ),
        );
    }
    for (what, measured) in [("was sent", lateness), ("entered the link", entry_shift)] {
        if measured.p99_ns > limit_ns {
            return (
                false,
                format!(
                    "one packet in a hundred {what} {} or more too late, {} is allowed: \
                     this machine was too busy",
                    micros(measured.p99_ns),
                    micros(limit_ns)
                ),
            );
        }
    }
    // A link that loses everything is a valid experiment.
    if lateness.samples == 0 {
        return (true, "no packet came through, so none was late".to_owned());
    }
    let p99 = micros(lateness.p99_ns);
    let limit = micros(limit_ns);
    (
        true,
        format!("99 % of the packets were sent within {p99} of their time ({limit} is allowed)"),
    )
}

fn micros(ns: u64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns / 1000 % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_NS: u64 = 1_000_000;

    fn assess(p99_ns: u64, shift_ns: u64, counters: &ProxyCounters) -> (bool, String) {
        let lateness = |p99_ns| Lateness {
            samples: 1000,
            p50_ns: 0,
            p99_ns,
            max_ns: p99_ns,
        };
        let budget = LatenessBudget::default();
        validity(
            &budget,
            LIMIT_NS,
            &lateness(p99_ns),
            &lateness(shift_ns),
            counters,
            None,
        )
    }

    fn counters(received: u64, overflow: u64) -> ProxyCounters {
        ProxyCounters {
            received,
            receive_overflow: Some(overflow),
            ..ProxyCounters::default()
        }
    }

    #[test]
    fn a_run_on_time_without_drops_is_valid() {
        let (valid, reason) = assess(LIMIT_NS, 0, &counters(1000, 0));
        assert!(valid, "{reason}");
        assert!(reason.contains("1.000 ms"), "{reason}");
    }

    #[test]
    fn a_late_run_is_invalid_and_says_by_how_much() {
        let (valid, reason) = assess(2_345_678, 0, &counters(1000, 0));
        assert!(!valid);
        assert!(reason.contains("2.345 ms"), "{reason}");
    }

    #[test]
    fn packets_that_entered_the_link_late_make_a_run_invalid() {
        assert!(!assess(0, LIMIT_NS + 1, &counters(1000, 0)).0);
    }

    #[test]
    fn one_own_drop_in_ten_thousand_is_borne_and_two_are_not() {
        assert!(assess(0, 0, &counters(9_999, 1)).0);
        let (valid, reason) = assess(0, 0, &counters(9_998, 2));
        assert!(!valid);
        assert!(reason.contains("receive buffer full 2"), "{reason}");
    }

    #[test]
    fn every_kind_of_own_drop_counts() {
        let every = ProxyCounters {
            send_errors: 1,
            nat_full: 10,
            unroutable: 100,
            receive_overflow: Some(1000),
            ..ProxyCounters::default()
        };
        assert_eq!(every.own_drops(), 1111);
    }
}
