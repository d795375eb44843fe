//! A link that becomes another one while packets are on it.

use super::Link;
use crate::{
    Time,
    profile::{DirectionProfile, Phase},
    stage::{cross_traffic::CrossTraffic, schedule::Schedule},
};

impl Link {
    /// From `now` on the link is as `profile` says, whose schedule begins now.
    ///
    /// What is on the wire arrives as it would have. What waits in the queue goes on waiting, in
    /// a queue that may hold more than its new limit until that has been sent, and is sent at the
    /// new rate; a token bucket and a discipline begin anew. Indices, counters and a tape go on.
    pub fn set_profile(&mut self, now: Time, profile: &DirectionProfile) {
        self.advance(now);
        let phases: Vec<Phase> = profile
            .phases()
            .iter()
            .map(|phase| Phase {
                from_ns: phase.from_ns.saturating_add(now.as_nanos()),
                ..phase.clone()
            })
            .collect();
        self.schedule = Schedule::new(&phases);
        let phase = self.schedule.current();
        self.mtu_bytes = profile.mtu_bytes;
        self.loss_position = profile.loss_position;
        let stream = (self.seed, self.chance.direction());
        self.queue.set_profile(now, profile, stream);
        self.shaper
            .set_profile(now, profile, phase, self.queue.sending_bytes());
        self.chance.set_profile(profile, phase, self.seed);
        self.delay
            .set_profile(profile, self.seed, self.chance.direction());
        self.cross_traffic = CrossTraffic::new(profile, now, self.seed, self.chance.direction());
        if let Some(ns) = self.chance.taped_shortest_ns() {
            self.delay.allow(ns);
        }
        // A link without a rate sends what had been waiting at once.
        self.advance(now);
    }
}
