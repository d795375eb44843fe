//! Replacing the profile of a link while packets are on it.

use super::{Link, cross_traffic, delay, schedule::PhaseCursor};
use crate::{
    Time,
    profile::{DirectionProfile, Phase},
};

impl Link {
    /// Replaces the link's profile from `now` on; the schedule of `profile` starts now.
    ///
    /// What is on the wire arrives as it would have. What is queued stays queued, in a queue that
    /// may hold more than its new limit until that has been sent, and is sent at the new rate; a
    /// token bucket and a discipline start from scratch. Indices, counters and a replay continue.
    pub fn set_profile(&mut self, now: Time, profile: &DirectionProfile) {
        self.advance(now);
        let phases: Vec<Phase> = profile
            .phases()
            .iter()
            .map(|phase| Phase {
                // A schedule counts from its own start, the link from the run's.
                from_ns: phase.from_ns.saturating_add(now.as_nanos()),
                ..phase.clone()
            })
            .collect();
        self.schedule = PhaseCursor::new(&phases);
        let phase = self.schedule.current();
        self.mtu_bytes = profile.mtu_bytes;
        self.loss_position = profile.loss_position();
        // The queue first: the shaper asks how much of the packet being sent is left.
        self.queue.replace(now, &profile.queue, self.streams);
        let sending_bytes = self.queue.sending_bytes();
        let rate = (phase.rate, phase.paused);
        self.shaper
            .replace(now, &profile.shaper, rate, sending_bytes);
        self.impairments
            .replace(&profile.impairments, phase, self.streams);
        self.delay.replace_with(delay(profile, self.streams));
        self.cross_traffic = cross_traffic(profile, now, self.streams);
        // The new delay does not know of the replay, whose delays may be shorter than any of its
        // own.
        if let Some(ns) = self.impairments.replay_shortest_ns() {
            self.delay.allow(ns);
        }
        // Once more: a link that has lost its rate sends what had been waiting at once.
        self.advance(now);
    }
}
