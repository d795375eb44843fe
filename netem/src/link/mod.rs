//! One direction of a network: a pipeline of impairments in a fixed order.
//!
//! ```text
//!            before the bottleneck          the bottleneck       on the wire
//! push ─▶ MTU ─▶ [loss ▸ duplicate ▸ damage] ─▶ queue ▸ rate ─▶ blackout
//!                                                                  │
//!         pop ◀─ reordering ◂ jitter ◂ delay ◀─ [loss ▸ duplicate ▸ damage]
//! ```
//!
//! Cross traffic comes straight to the queue, and is gone behind the bottleneck.
//!
//! In brackets are the random impairments, in the order of their table in `impair`; damage is a
//! flipped bit, or a lost end. They happen at one of the two places. By default they are on the
//! wire, so a lost packet has used up its share of the rate; `loss_position = "before-queue"`
//! puts them where `tc netem` has them. A lost packet is not duplicated, and a copy is neither
//! lost on the wire nor copied again, but has its own damage, jitter and reordering.
//!
//! A driver calls [`push`](Link::push) when a packet arrives and [`pop`](Link::pop), until it
//! gives no more, at each [`next_wakeup`](Link::next_wakeup). Called later than that, the link
//! still does everything at the times it should have happened.

mod accounting;
mod change;
mod counters;
mod random;
mod schedule;

pub use self::counters::Counters;
use self::{accounting::Accounting, random::RandomImpairments, schedule::PhaseCursor};
use crate::{
    Direction, Time,
    impair::{
        cross_traffic::CrossTrafficSource, delay::Delay, position::LossPosition, queue::Queue,
        rate::Shaper,
    },
    in_flight::InFlight,
    packet::Packet,
    profile::DirectionProfile,
    record::{PacketOutcome, PacketRecord},
    recording::{Recording, RecordingEntry},
    rng::RngStreams,
};

/// One direction of a network: packets go in at [`push`](Self::push), and those that are not lost
/// come out at [`pop`](Self::pop).
#[derive(Debug)]
pub struct Link {
    streams: RngStreams,
    mtu_bytes: u64,
    loss_position: LossPosition,
    schedule: PhaseCursor,
    cross_traffic: Option<CrossTrafficSource>,
    queue: Queue,
    shaper: Shaper,
    impairments: RandomImpairments,
    delay: Delay,
    accounting: Accounting,
}

impl Link {
    /// Creates a link as `profile` describes it, whose randomness follows from `seed` and
    /// `direction` alone.
    #[must_use]
    pub fn new(profile: &DirectionProfile, seed: u64, direction: Direction) -> Self {
        let streams = RngStreams::new(seed, direction);
        let schedule = PhaseCursor::new(profile.phases());
        let phase = schedule.current();
        Self {
            streams,
            mtu_bytes: profile.mtu_bytes,
            loss_position: profile.loss_position(),
            cross_traffic: cross_traffic(profile, Time::ZERO, streams),
            queue: Queue::new(&profile.queue, streams),
            shaper: Shaper::new(&profile.shaper, phase.rate),
            impairments: RandomImpairments::new(&profile.impairments, phase, direction, streams),
            delay: delay(profile, streams),
            accounting: Accounting::new(direction),
            schedule,
        }
    }

    /// Takes a packet that arrives at the link. `now` is never earlier than in the call before.
    pub fn push(&mut self, now: Time, packet: Packet) {
        self.advance(now);
        // Admitted before anything can lose it: each packet has an index and an outcome, or the
        // counts would not add up.
        let in_flight = self.accounting.admit(now, packet, self.queue.bytes());
        // Before everything random: a packet too large for the link was never on it.
        if in_flight.link_bytes > self.mtu_bytes {
            self.accounting.lose(now, in_flight, PacketOutcome::MtuDrop);
            return;
        }
        match self.loss_position {
            LossPosition::AfterQueue => self.enqueue(now, in_flight),
            // As tc-netem, which drops before its own queue: a lost packet then takes no share of
            // the rate.
            LossPosition::BeforeQueue => self.impair(now, in_flight, Self::enqueue),
        }
    }

    /// Returns the next packet that has come out by `now`, which is never earlier than in the call
    /// before.
    pub fn pop(&mut self, now: Time) -> Option<Packet> {
        self.advance(now);
        let (due, in_flight) = self.delay.take(now)?;
        Some(self.accounting.deliver(due, in_flight))
    }

    /// Returns the time at which [`pop`](Self::pop) should be called next: nothing comes out
    /// earlier. Sometimes it comes out a little later, and the link then has a new answer. `None`
    /// if it is empty.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        if self.inside_packets() == 0 {
            // Cross traffic alone wakes no driver: none of it ever comes out.
            return None;
        }
        let due = self.delay.next_due();
        let Some(sent) = self.shaper.done() else {
            return due;
        };
        // Not the time at which it is sent alone: a higher rate may let it be sent sooner.
        let change = self.schedule.next_change().unwrap_or(Time::MAX);
        let next = self.delay.earliest(sent).min(change);
        Some(due.map_or(next, |due| due.min(next)))
    }

    /// Keeps a record of every packet from now on, or no longer. Off at first.
    pub const fn keep_records(&mut self, on: bool) {
        self.accounting.keep_records(on);
    }

    /// Keeps the packets' payloads in the records from now on, or no longer. Off at first, for it
    /// copies each.
    pub const fn keep_payloads(&mut self, on: bool) {
        self.accounting.keep_payloads(on);
    }

    /// Appends the records of the packets delivered or lost since the last call, in that order, to
    /// `into`.
    pub fn take_records(&mut self, into: &mut Vec<PacketRecord>) {
        self.accounting.take_records(into);
    }

    /// Replays `recording` from now on instead of sampling: its packets are lost, duplicated,
    /// damaged and delayed, and all others come through after the fixed delay.
    pub fn replay(&mut self, recording: &Recording) {
        if let Some(ns) = recording.shortest_ns() {
            self.delay.allow(ns);
        }
        self.impairments.set_replay(recording.clone());
    }

    /// Records what the random impairments do from now on, or no longer. Off at first.
    pub fn record_events(&mut self, on: bool) {
        self.impairments.record_events(on);
    }

    /// Returns the events recorded since the last call, to be collected into a [`Recording`].
    pub fn take_events(&mut self) -> Vec<RecordingEntry> {
        self.impairments.take_recorded()
    }

    /// Returns the counts of what happened so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        self.accounting.counters()
    }

    /// Returns the packets neither delivered nor lost yet, copies included.
    #[must_use]
    pub const fn inside_packets(&self) -> u64 {
        self.accounting.counters().inside()
    }

    /// Returns the bytes before the bottleneck, the packet being sent included, as of the last
    /// call.
    #[must_use]
    pub fn queue_bytes(&self) -> u64 {
        self.queue.bytes()
    }

    /// Performs what was due inside by `now`, in order of time: phases start, packets have been sent,
    /// cross traffic arrives.
    fn advance(&mut self, now: Time) {
        loop {
            let sent = self.shaper.done().filter(|sent| *sent <= now);
            let comes = self
                .cross_traffic
                .as_ref()
                .and_then(CrossTrafficSource::next);
            // At the same instant a packet leaves before another arrives: the queue has room for
            // it.
            let comes = comes.filter(|comes| *comes < sent.unwrap_or(Time::MAX) && *comes <= now);
            let next = comes.or(sent);
            match (self.schedule.next_change(), comes, sent) {
                // First, so that what happens at the instant a phase starts belongs to it.
                (Some(change), ..) if change <= next.unwrap_or(now) => self.change_phase(change),
                (_, Some(comes), _) => self.cross(comes),
                (_, None, Some(sent)) => self.leave_queue(sent),
                (_, None, None) => return,
            }
        }
    }

    /// Queues the packet of cross traffic that arrives now.
    fn cross(&mut self, now: Time) {
        let Some(cross_traffic) = &mut self.cross_traffic else {
            return;
        };
        let link_bytes = cross_traffic.take();
        let in_flight = self.accounting.admit_cross(now, link_bytes);
        self.enqueue(now, in_flight);
    }

    fn change_phase(&mut self, at: Time) {
        let phase = self.schedule.change();
        self.impairments.set_phase(phase);
        // Packets on the wire keep the delay they have: a path that becomes shorter does not pull
        // them in.
        self.delay.set_fixed_ns(phase.delay_ns);
        self.shaper.set_rate(at, phase.rate, phase.paused);
    }

    /// Queues a packet, or passes it on where there is no bottleneck.
    fn enqueue(&mut self, now: Time, in_flight: Box<InFlight>) {
        // Without a rate there is nothing to wait for, and a queue limit would drop from a queue
        // that cannot form.
        if !self.shaper.has_rate() {
            self.enter_wire(now, in_flight);
            return;
        }
        let taken = self.queue.offer(now, in_flight);
        self.account_drops(now);
        if !taken {
            return;
        }
        self.accounting.note_queue(self.queue.bytes());
        // Idle: this packet starts at once, and so pays no time of waiting for tokens.
        if self.shaper.done().is_none() {
            self.serve(now, false);
        }
    }

    /// Puts the packet whose last bit has been sent on the wire, and starts the next.
    fn leave_queue(&mut self, now: Time) {
        self.shaper.finish();
        let sent = self.queue.take();
        // Before the packet is on the wire, so that the link is never idle in between.
        self.serve(now, true);
        if let Some(in_flight) = sent {
            self.enter_wire(now, in_flight);
        }
    }

    /// Starts to send the next packet, if there is one.
    fn serve(&mut self, now: Time, waited: bool) {
        if let Some(bytes) = self.queue.serve(now) {
            self.shaper.begin(now, bytes, waited);
        }
        self.account_drops(now);
    }

    /// Counts what the queue has dropped.
    fn account_drops(&mut self, now: Time) {
        while let Some((in_flight, outcome)) = self.queue.dropped() {
            self.accounting.lose(now, in_flight, outcome);
        }
    }

    fn enter_wire(&mut self, now: Time, in_flight: Box<InFlight>) {
        // It has done its work, taking a share of the bottleneck: the far end has no receiver for
        // it.
        if in_flight.cross {
            self.accounting.finish_cross(in_flight);
            return;
        }
        // Behind the bottleneck: a blackout does not stop the queue, a pause does.
        if self.schedule.current().blackout {
            self.accounting
                .lose(now, in_flight, PacketOutcome::Blackout);
            return;
        }
        match self.loss_position {
            LossPosition::AfterQueue => self.impair(now, in_flight, Self::propagate),
            LossPosition::BeforeQueue => self.propagate(now, in_flight),
        }
    }

    /// Leads a packet through the random impairments; what is left goes to `next`.
    fn impair(
        &mut self,
        now: Time,
        mut in_flight: Box<InFlight>,
        next: impl Fn(&mut Self, Time, Box<InFlight>),
    ) {
        let mut impaired = match self.impairments.apply(&mut in_flight) {
            Ok(impaired) => impaired,
            Err(outcome) => {
                self.accounting.lose(now, in_flight, outcome);
                return;
            }
        };
        let copy = impaired.copy.take();
        self.accounting.note_impaired(&impaired);
        next(self, now, in_flight);
        if let Some(copy) = copy {
            self.accounting.note_duplicated();
            // Through the pipeline again, for its own damage; impairments that do not touch copies
            // skip it.
            self.impair(now, copy, next);
        }
    }

    fn propagate(&mut self, now: Time, in_flight: Box<InFlight>) {
        self.impairments.propagate(now, in_flight, &mut self.delay);
    }
}

fn cross_traffic(
    profile: &DirectionProfile,
    origin: Time,
    streams: RngStreams,
) -> Option<CrossTrafficSource> {
    CrossTrafficSource::new(profile.cross_traffic, profile.mtu_bytes, origin, streams)
}

fn delay(profile: &DirectionProfile, streams: RngStreams) -> Delay {
    let (fixed_ns, fixed_min_ns) = (profile.delay_ns(), profile.delay_min_ns());
    Delay::new(&profile.delay, fixed_ns, fixed_min_ns, streams)
}
