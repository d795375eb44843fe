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
//! Damage is a flipped bit, or a lost end. The three in brackets happen at one of the two places.
//! By default they are on the wire, so a lost packet has used up its share of the rate;
//! `loss_position = "before-queue"` puts them where `tc netem` has them. A lost packet is not
//! duplicated, and a copy is neither lost on the wire nor copied again, but has its own damage,
//! jitter and place.
//!
//! A driver calls [`push`](Link::push) when a packet arrives and [`pop`](Link::pop), until it
//! gives no more, at each [`next_wakeup`](Link::next_wakeup). Called later than that, the link
//! still does everything at the times it should have happened.

mod chance;
mod change;
mod ledger;

pub use self::ledger::Counters;
use self::{chance::Chance, ledger::Ledger};
use crate::{
    Direction, Time,
    packet::Packet,
    profile::{DirectionProfile, LossPosition},
    record::{Fate, PacketRecord},
    stage::{
        InFlight, cross_traffic::CrossTraffic, delay::Delay, queue::Queue, schedule::Schedule,
        shaper::Shaper,
    },
    tape::{Tape, TapeEntry},
};

/// One direction of a network. Packets go in at [`push`](Self::push) and come out, or not, at
/// [`pop`](Self::pop).
#[derive(Debug)]
pub struct Link {
    seed: u64,
    mtu_bytes: u64,
    loss_position: LossPosition,
    schedule: Schedule,
    cross_traffic: Option<CrossTraffic>,
    queue: Queue,
    shaper: Shaper,
    chance: Chance,
    delay: Delay,
    ledger: Ledger,
}

impl Link {
    /// A link like `profile` says, whose fates follow from `seed` and `direction`.
    #[must_use]
    pub fn new(profile: &DirectionProfile, seed: u64, direction: Direction) -> Self {
        let schedule = Schedule::new(profile.phases());
        Self {
            seed,
            mtu_bytes: profile.mtu_bytes,
            loss_position: profile.loss_position,
            cross_traffic: CrossTraffic::new(profile, Time::ZERO, seed, direction),
            queue: Queue::new(profile, seed, direction),
            shaper: Shaper::new(profile, schedule.current().rate),
            chance: Chance::new(profile, schedule.current(), seed, direction),
            delay: Delay::new(profile, seed, direction),
            ledger: Ledger::new(direction),
            schedule,
        }
    }

    /// A packet arrives at the link. `now` is never earlier than in the call before.
    pub fn push(&mut self, now: Time, packet: Packet) {
        self.advance(now);
        let in_flight = self.ledger.enter(now, packet, self.queue.bytes());
        if in_flight.link_bytes > self.mtu_bytes {
            self.ledger.lose(now, in_flight, Fate::MtuDrop);
            return;
        }
        match self.loss_position {
            LossPosition::AfterQueue => self.enqueue(now, in_flight),
            LossPosition::BeforeQueue => self.impair(now, in_flight, Self::enqueue),
        }
    }

    /// The next packet that has come out by `now`. `now` is never earlier than in the call
    /// before.
    pub fn pop(&mut self, now: Time) -> Option<Packet> {
        self.advance(now);
        let (due, in_flight) = self.delay.take(now)?;
        Some(self.ledger.deliver(due, in_flight))
    }

    /// When [`pop`](Self::pop) should be called next: nothing comes out earlier. At times it
    /// comes out a little later, and the link then has a new answer. `None` if it is empty.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        if self.inside_packets() == 0 {
            // What there is of cross traffic nobody waits for.
            return None;
        }
        let due = self.delay.next_due();
        let Some(sent) = self.shaper.done() else {
            return due;
        };
        // A change of rate may let the packet be sent sooner.
        let change = self.schedule.next_change().unwrap_or(Time::MAX);
        let next = self.delay.earliest(sent).min(change);
        Some(due.map_or(next, |due| due.min(next)))
    }

    /// Keep a record of every packet from now on, or no longer. Off at first.
    pub const fn set_recording(&mut self, on: bool) {
        self.ledger.set_recording(on);
    }

    /// Have the records the packets' contents from now on, or no longer? Off at first: it is a
    /// copy of each.
    pub const fn set_capturing(&mut self, on: bool) {
        self.ledger.set_capturing(on);
    }

    /// Moves the records of the packets whose fate has been met since the last call, in that
    /// order, to the end of `into`.
    pub fn take_records(&mut self, into: &mut Vec<PacketRecord>) {
        self.ledger.take_records(into);
    }

    /// From now on, chance does what is on the tape: those packets are lost, duplicated, damaged
    /// and delayed, and all others come through after the fixed delay.
    pub fn set_tape(&mut self, tape: &Tape) {
        if let Some(ns) = tape.shortest_ns() {
            self.delay.allow(ns);
        }
        self.chance.set_tape(tape.clone());
    }

    /// Write what chance does to a tape from now on, or no longer. Off at first.
    pub fn set_taping(&mut self, on: bool) {
        self.chance.set_writing(on);
    }

    /// What has been written since the last call, to be collected into a [`Tape`].
    pub fn take_taped(&mut self) -> Vec<TapeEntry> {
        self.chance.take_written()
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        self.ledger.counters()
    }

    /// Packets that have met no fate yet, copies included.
    #[must_use]
    pub const fn inside_packets(&self) -> u64 {
        self.ledger.counters().inside()
    }

    /// What waits before the bottleneck, the packet being sent included, as of the last call.
    #[must_use]
    pub fn queue_bytes(&self) -> u64 {
        self.queue.bytes()
    }

    /// Does what was to happen inside by `now`, in order: phases begin, packets have been sent,
    /// cross traffic comes. What begins or ends in the very moment a phase does belongs to that
    /// phase.
    fn advance(&mut self, now: Time) {
        loop {
            let sent = self.shaper.done().filter(|sent| *sent <= now);
            let comes = self.cross_traffic.as_ref().and_then(CrossTraffic::next);
            let comes = comes.filter(|comes| *comes < sent.unwrap_or(Time::MAX) && *comes <= now);
            let next = comes.or(sent);
            match (self.schedule.next_change(), comes, sent) {
                (Some(change), ..) if change <= next.unwrap_or(now) => self.change_phase(change),
                (_, Some(comes), _) => self.cross(comes),
                (_, None, Some(sent)) => self.leave_queue(sent),
                (_, None, None) => return,
            }
        }
    }

    /// A packet of cross traffic comes.
    fn cross(&mut self, now: Time) {
        let Some(cross_traffic) = &mut self.cross_traffic else {
            return;
        };
        let link_bytes = cross_traffic.take();
        let in_flight = self.ledger.enter_cross(now, link_bytes);
        self.enqueue(now, in_flight);
    }

    fn change_phase(&mut self, at: Time) {
        let phase = self.schedule.change();
        self.chance.set_phase(phase);
        self.delay.set_phase(phase);
        self.shaper.set_rate(at, phase.rate, phase.paused);
    }

    /// A packet comes to the queue, or past it where there is no bottleneck.
    fn enqueue(&mut self, now: Time, in_flight: Box<InFlight>) {
        if !self.shaper.has_rate() {
            self.enter_wire(now, in_flight);
            return;
        }
        let taken = self.queue.offer(now, in_flight);
        self.settle(now);
        if !taken {
            return;
        }
        self.ledger.note_queue(self.queue.bytes());
        if self.shaper.done().is_none() {
            self.serve(now, false);
        }
    }

    /// The last bit of a packet has been sent.
    fn leave_queue(&mut self, now: Time) {
        self.shaper.finish();
        let sent = self.queue.take();
        self.serve(now, true);
        if let Some(in_flight) = sent {
            self.enter_wire(now, in_flight);
        }
    }

    /// Begins to send the next packet, if there is one.
    fn serve(&mut self, now: Time, waited: bool) {
        if let Some(bytes) = self.queue.serve(now) {
            self.shaper.begin(now, bytes, waited);
        }
        self.settle(now);
    }

    /// Books what the queue has dropped.
    fn settle(&mut self, now: Time) {
        while let Some((in_flight, fate)) = self.queue.dropped() {
            self.ledger.lose(now, in_flight, fate);
        }
    }

    fn enter_wire(&mut self, now: Time, in_flight: Box<InFlight>) {
        if in_flight.cross {
            self.ledger.leave_cross(in_flight);
            return;
        }
        if self.schedule.current().blackout {
            self.ledger.lose(now, in_flight, Fate::Blackout);
            return;
        }
        match self.loss_position {
            LossPosition::AfterQueue => self.impair(now, in_flight, Self::propagate),
            LossPosition::BeforeQueue => self.propagate(now, in_flight),
        }
    }

    /// Loses, duplicates and corrupts; what is left goes to `next`.
    fn impair(
        &mut self,
        now: Time,
        mut in_flight: Box<InFlight>,
        next: impl Fn(&mut Self, Time, Box<InFlight>),
    ) {
        if let Some(fate) = self.chance.loses(&in_flight) {
            self.ledger.lose(now, in_flight, fate);
            return;
        }
        let copy = self.chance.copy(&in_flight);
        self.damage(&mut in_flight);
        next(self, now, in_flight);
        if let Some(mut copy) = copy {
            self.ledger.note_duplicated();
            self.damage(&mut copy);
            next(self, now, copy);
        }
    }

    fn damage(&mut self, in_flight: &mut InFlight) {
        let damage = self.chance.damage(in_flight);
        if damage.corrupted {
            self.ledger.note_corrupted();
        }
        if damage.truncated {
            self.ledger.note_truncated();
        }
    }

    fn propagate(&mut self, now: Time, in_flight: Box<InFlight>) {
        self.chance.propagate(now, in_flight, &mut self.delay);
    }
}
