//! The pace of one link in real time.
//!
//! The link is always advanced to its own next event, never simply to the present, so what comes
//! out is what the model says and not what this machine's scheduler made of it.

use super::report::{LinkSnapshot, Measured};
use crate::{Time, link::Link, packet::Packet, profile::DirectionProfile};

/// The time that a link has been advanced to, and what was measured of it.
pub(crate) struct Pacer {
    at: Time,
    pub(crate) measured: Measured,
    /// Packets that the link has been given.
    received: u64,
}

impl Pacer {
    pub(crate) fn new() -> Self {
        Self {
            at: Time::ZERO,
            measured: Measured::new(),
            received: 0,
        }
    }

    /// Hands a packet that arrived at `arrived` to the link, after all that was due before; those
    /// packets go to `out`.
    pub(crate) fn push(
        &mut self,
        link: &mut Link,
        arrived: Time,
        packet: Packet,
        out: &mut impl FnMut(Time, Packet),
    ) {
        self.advance(link, arrived, out);
        // The link's time cannot run backwards: a packet that was read too late enters as early as
        // is still possible, and the report says by how much that is wrong.
        let shift_ns = self.at.as_nanos().saturating_sub(arrived.as_nanos());
        self.measured.entry_shift.record(shift_ns);
        self.at = self.at.max(arrived);
        self.received += 1;
        link.push(self.at, packet);
    }

    /// Takes out everything due up to `until`, each packet with the time at which it was due.
    pub(crate) fn advance(
        &mut self,
        link: &mut Link,
        until: Time,
        out: &mut impl FnMut(Time, Packet),
    ) {
        while let Some(due) = link.next_wakeup()
            && due <= until
        {
            // To each event in turn: the link could jump to `until` as well, but `out` is given the
            // time at which each packet was due.
            self.at = self.at.max(due);
            while let Some(packet) = link.pop(self.at) {
                out(due, packet);
            }
            // A link that asked for the same time for ever would hang the proxy's thread.
            if link.next_wakeup() == Some(due) {
                debug_assert!(false, "the link asks to be called at {due:?} again");
                break;
            }
        }
    }

    /// Changes the link to `profile` at `now`, after all that was due before.
    pub(crate) fn set_profile(
        &mut self,
        link: &mut Link,
        now: Time,
        profile: &DirectionProfile,
        out: &mut impl FnMut(Time, Packet),
    ) {
        self.advance(link, now, out);
        self.at = self.at.max(now);
        link.set_profile(self.at, profile);
    }

    /// The link's part of a report.
    pub(crate) fn snapshot(&self, link: &Link) -> LinkSnapshot {
        LinkSnapshot {
            measured: self.measured.clone(),
            counters: link.counters().clone(),
            received: self.received,
            inside: link.inside_packets(),
            queue_bytes: link.queue_bytes(),
        }
    }
}
