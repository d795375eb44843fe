//! One direction of the proxy: a link kept at its own pace.
//!
//! The link is always advanced to its own next moment, never simply to the present, so what
//! comes out is what the model says and not what this machine's scheduler made of it.

use super::report::{LaneSnapshot, Measured};
use crate::{Time, link::Link, packet::Packet, profile::DirectionProfile};

/// A link, the moment it has been advanced to, and what was measured.
pub(crate) struct Lane {
    pub(crate) link: Link,
    at: Time,
    pub(crate) measured: Measured,
    /// Packets pushed.
    pub(crate) entered: u64,
    /// Packets popped.
    pub(crate) left: u64,
}

impl Lane {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            at: Time::from_nanos(0),
            measured: Measured::new(),
            entered: 0,
            left: 0,
        }
    }

    /// Hands a packet that arrived at `arrived` to the link, which first does all that was to be
    /// done before; those packets go to `out`. The link's time cannot run backwards: a packet
    /// that came to light too late enters as early as still possible, and by how much is noted.
    pub(crate) fn push(
        &mut self,
        arrived: Time,
        packet: Packet,
        out: &mut impl FnMut(Time, Packet),
    ) {
        self.advance(arrived, out);
        let shift_ns = self.at.as_nanos().saturating_sub(arrived.as_nanos());
        self.measured.entry_shift.record(shift_ns);
        self.at = self.at.max(arrived);
        self.entered += 1;
        self.link.push(self.at, packet);
    }

    /// Everything due up to `until`, each with the moment it was due.
    pub(crate) fn advance(&mut self, until: Time, out: &mut impl FnMut(Time, Packet)) {
        while let Some(due) = self.link.next_wakeup()
            && due <= until
        {
            self.at = self.at.max(due);
            while let Some(packet) = self.link.pop(self.at) {
                self.left += 1;
                out(due, packet);
            }
            if self.link.next_wakeup() == Some(due) {
                debug_assert!(
                    false,
                    "the link asks again and again to be called at {due:?}"
                );
                break;
            }
        }
    }

    /// From `now` on the link is as `profile` says, after all that was to be done before.
    pub(crate) fn set_profile(
        &mut self,
        now: Time,
        profile: &DirectionProfile,
        out: &mut impl FnMut(Time, Packet),
    ) {
        self.advance(now, out);
        self.at = self.at.max(now);
        self.link.set_profile(self.at, profile);
    }

    /// What is told of it in a report.
    pub(crate) fn snapshot(&self) -> LaneSnapshot {
        LaneSnapshot {
            measured: self.measured.clone(),
            counters: self.link.counters().clone(),
            entered: self.entered,
            inside: self.link.inside_packets(),
            queue_bytes: self.link.queue_bytes(),
        }
    }

    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        self.link.next_wakeup()
    }
}
