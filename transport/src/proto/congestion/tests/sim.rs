//! A packet simulator: senders that obey their controllers, one bottleneck, a receiver that
//! acknowledges as the real one does. It knows no streams: every packet is as good as
//! another, so what arrives is goodput.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Time;
use crate::proto::congestion::{AckInfo, Congestion, Controller, LossInfo, Params};
use crate::proto::loss::LossDetector;
use crate::proto::pacing::Pacer;
use crate::proto::rate::{PacketRate, RateSampler};
use crate::proto::rtt::RttEstimator;

pub(super) const MSS: u64 = 1472;
const HEADERS: u64 = 28;
const INITIAL_WINDOW_PACKETS: u64 = 32;

/// What is measured is kept in slots of this length.
pub(super) const SLOT: Duration = Duration::from_millis(50);

/// The network of a run.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) rate_bps: u64,
    pub(super) round_trip: Duration,
    pub(super) queue_bytes: u64,
    /// The share of packets lost behind the bottleneck, and of acknowledgements.
    pub(super) loss: f64,
    /// The share of packets lost before the bottleneck.
    pub(super) loss_before: f64,
    /// Uniform extra delay of up to this, reordering packets.
    pub(super) jitter: Duration,
    /// The rate from some time on.
    pub(super) changes: Vec<(Duration, u64)>,
    pub(super) seed: u64,
}

impl Path {
    /// That many Mbit/s and milliseconds, a queue of one bandwidth-delay product, and a loss.
    pub(super) fn new(mbps: u64, round_trip_ms: u64, loss: f64) -> Self {
        let rate_bps = mbps * 1_000_000;
        Self {
            rate_bps,
            round_trip: Duration::from_millis(round_trip_ms),
            queue_bytes: rate_bps / 8 * round_trip_ms / 1000,
            loss,
            loss_before: 0.0,
            jitter: Duration::ZERO,
            changes: Vec::new(),
            seed: 1,
        }
    }

    /// Bytes a second of UDP payload that can arrive.
    pub(super) fn achievable(&self) -> f64 {
        self.rate_bps as f64 / 8.0 * MSS as f64 / (MSS + HEADERS) as f64 * (1.0 - self.loss)
    }
}

#[derive(Clone, Debug)]
enum Event {
    Arrival { flow: usize, number: u64 },
    Acknowledgement { flow: usize, numbers: Vec<u64> },
    AckDue { flow: usize },
    Wake { flow: usize },
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Fate {
    Outstanding,
    Acked,
    Lost,
}

#[derive(Clone, Debug)]
struct Sent {
    at: Time,
    rate: PacketRate,
    fate: Fate,
}

/// One sender and its receiver.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) controller: Controller,
    sampler: RateSampler,
    pacer: Pacer,
    rtt: RttEstimator,
    loss: LossDetector,
    sent: VecDeque<Sent>,
    first: u64,
    in_flight: u64,
    starts_at: Time,
    last_sent: Time,
    wake_at: Time,
    /// Bytes a second the application makes; `None` is more than can be sent.
    application: Option<u64>,
    sent_bytes: u64,
    // The receiver.
    told: Vec<u64>,
    highest: Option<u64>,
    received: u64,
    unanswered: u32,
    ack_due: Option<Time>,
    ack_sent: Time,
    pub(super) slots: Vec<Slot>,
    pub(super) largest_window: u64,
    pub(super) lost_packets: u64,
    pub(super) phases: Vec<(Time, &'static str)>,
}

/// What happened to a flow in one [`SLOT`].
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Slot {
    pub(super) delivered: u64,
    pub(super) arrivals: u64,
    /// The sum over arrivals.
    pub(super) queued: Duration,
}

/// The run.
#[derive(Debug)]
pub(super) struct Simulation {
    path: Path,
    now: Time,
    events: BinaryHeap<Reverse<(Time, u64, usize)>>,
    /// Events by the index in the heap, reused.
    store: Vec<Option<Event>>,
    free: Vec<usize>,
    ticket: u64,
    busy_until: Time,
    data_rng: ChaCha8Rng,
    ack_rng: ChaCha8Rng,
    jitter_rng: ChaCha8Rng,
    pub(super) flows: Vec<Flow>,
    pub(super) queue_drops: u64,
}

impl Simulation {
    pub(super) fn new(path: Path) -> Self {
        let rng = |stream| {
            let mut rng = ChaCha8Rng::seed_from_u64(path.seed);
            rng.set_stream(stream);
            rng
        };
        Self {
            data_rng: rng(1),
            ack_rng: rng(2),
            jitter_rng: rng(3),
            path,
            now: Time::ZERO,
            events: BinaryHeap::new(),
            store: Vec::new(),
            free: Vec::new(),
            ticket: 0,
            busy_until: Time::ZERO,
            flows: Vec::new(),
            queue_drops: 0,
        }
    }

    /// One flow that always has something to send, for that long.
    pub(super) fn bulk(path: Path, algorithm: Congestion, length: Duration) -> Self {
        let mut simulation = Self::new(path);
        simulation.add(algorithm, Duration::ZERO, None);
        simulation.run(length);
        simulation
    }

    pub(super) fn add(
        &mut self,
        algorithm: Congestion,
        starts_after: Duration,
        application: Option<u64>,
    ) {
        let starts_at = Time::ZERO + starts_after;
        let params =
            Params { mss_bytes: MSS, initial_window_packets: INITIAL_WINDOW_PACKETS };
        let mut rtt = RttEstimator::new();
        // The handshake has shown the round trip.
        rtt.update(self.path.round_trip, Duration::ZERO);
        self.flows.push(Flow {
            controller: Controller::new(algorithm, params, starts_at),
            sampler: RateSampler::new(),
            pacer: Pacer::new(starts_at, 2 * MSS),
            rtt,
            loss: LossDetector::new(),
            sent: VecDeque::new(),
            first: 0,
            in_flight: 0,
            starts_at,
            last_sent: starts_at,
            wake_at: Time::MAX,
            application,
            sent_bytes: 0,
            told: Vec::new(),
            highest: None,
            received: 0,
            unanswered: 0,
            ack_due: None,
            ack_sent: Time::ZERO,
            slots: Vec::new(),
            largest_window: 0,
            lost_packets: 0,
            phases: Vec::new(),
        });
        let flow = self.flows.len() - 1;
        self.schedule(starts_at, Event::Wake { flow });
    }

    fn schedule(&mut self, at: Time, event: Event) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.store.push(None);
            self.store.len() - 1
        });
        self.store[index] = Some(event);
        self.ticket += 1;
        self.events.push(Reverse((at, self.ticket, index)));
    }

    pub(super) fn run(&mut self, until: Duration) {
        let end = Time::ZERO + until;
        while let Some(Reverse((at, _, index))) = self.events.peek().copied() {
            if at > end {
                break;
            }
            self.events.pop();
            self.free.push(index);
            self.now = at;
            match self.store[index].take().unwrap() {
                Event::Arrival { flow, number } => self.arrive(flow, number),
                Event::Acknowledgement { flow, numbers } => {
                    self.flows[flow].on_ack(at, &numbers);
                    self.pump(flow);
                }
                Event::AckDue { flow } => {
                    if self.flows[flow].ack_due.is_some_and(|due| due <= at) {
                        self.acknowledge(flow);
                    }
                }
                Event::Wake { flow } => {
                    if self.flows[flow].wake_at == at || self.flows[flow].starts_at == at {
                        self.flows[flow].on_timer(at);
                        self.pump(flow);
                    }
                }
            }
        }
        self.now = end;
    }

    fn pump(&mut self, index: usize) {
        let now = self.now;
        while let Some(number) = self.flows[index].send_one(now) {
            self.forward(index, number);
        }
        let wake = self.flows[index].next_wake(now);
        if wake != Time::MAX {
            self.flows[index].wake_at = wake;
            self.schedule(wake, Event::Wake { flow: index });
        }
    }

    fn rate_bps(&self) -> u64 {
        let since = self.now.saturating_since(Time::ZERO);
        let change = self.path.changes.iter().rev().find(|(at, _)| *at <= since);
        change.map_or(self.path.rate_bps, |(_, rate)| *rate)
    }

    /// Through the bottleneck and over the wire.
    fn forward(&mut self, flow: usize, number: u64) {
        if self.data_rng.random::<f64>() < self.path.loss_before {
            return;
        }
        let size = MSS + HEADERS;
        let rate = self.rate_bps();
        let waiting = self.busy_until.saturating_since(self.now);
        let queued = waiting.as_nanos() * u128::from(rate) / 8_000_000_000;
        if queued as u64 + size > self.path.queue_bytes {
            self.queue_drops += 1;
            return;
        }
        let takes = Duration::from_nanos(size * 8_000_000_000 / rate);
        self.busy_until = self.busy_until.max(self.now) + takes;
        if self.data_rng.random::<f64>() < self.path.loss {
            return;
        }
        let jitter = self.path.jitter.mul_f64(self.jitter_rng.random::<f64>());
        let at = self.busy_until + self.path.round_trip / 2 + jitter;
        let flow_state = &mut self.flows[flow];
        let slot = slot_of(at);
        if flow_state.slots.len() <= slot {
            flow_state.slots.resize(slot + 1, Slot::default());
        }
        let slot = &mut flow_state.slots[slot];
        slot.arrivals += 1;
        slot.queued += waiting;
        slot.delivered += MSS;
        self.schedule(at, Event::Arrival { flow, number });
    }

    /// The receiver's rules: two by two at first, then an eighth of a round trip or 64
    /// packets, sooner when there is a gap.
    fn arrive(&mut self, flow: usize, number: u64) {
        let (now, round_trip) = (self.now, self.path.round_trip);
        let state = &mut self.flows[flow];
        let expected = state.highest.map_or(0, |highest| highest + 1);
        state.highest = Some(state.highest.map_or(number, |highest| highest.max(number)));
        state.told.push(number);
        state.received += 1;
        state.unanswered += 1;
        let every = if state.received <= 128 { 2 } else { 64 };
        let by = if state.unanswered >= every {
            now
        } else if number != expected {
            now.max(state.ack_sent + round_trip / 16)
        } else {
            now + (round_trip / 8).min(Duration::from_millis(25))
        };
        let due = state.ack_due.map_or(by, |due| due.min(by));
        if due <= now {
            self.acknowledge(flow);
        } else if state.ack_due != Some(due) {
            state.ack_due = Some(due);
            self.schedule(due, Event::AckDue { flow });
        }
    }

    fn acknowledge(&mut self, flow: usize) {
        let state = &mut self.flows[flow];
        state.unanswered = 0;
        state.ack_due = None;
        state.ack_sent = self.now;
        // What a lost acknowledgement told, the next one tells again.
        if self.ack_rng.random::<f64>() < self.path.loss {
            return;
        }
        let mut numbers = std::mem::take(&mut state.told);
        numbers.sort_unstable();
        let at = self.now + self.path.round_trip / 2;
        self.schedule(at, Event::Acknowledgement { flow, numbers });
    }

    /// What of the achievable came through between two times, all flows together.
    pub(super) fn share(&self, from: Duration, to: Duration) -> f64 {
        let delivered: u64 = (0..self.flows.len()).map(|flow| self.delivered(flow, from, to)).sum();
        delivered as f64 / (self.path.achievable() * (to - from).as_secs_f64())
    }

    pub(super) fn delivered(&self, flow: usize, from: Duration, to: Duration) -> u64 {
        let slots = &self.flows[flow].slots;
        let range = slot_of(Time::ZERO + from)..slot_of(Time::ZERO + to).min(slots.len());
        slots[range].iter().map(|slot| slot.delivered).sum()
    }

    /// The mean delay in the queue, as a multiple of the round trip.
    pub(super) fn queue(&self, flow: usize, from: Duration, to: Duration) -> f64 {
        let slots = &self.flows[flow].slots;
        let range = slot_of(Time::ZERO + from)..slot_of(Time::ZERO + to).min(slots.len());
        let (count, sum) = slots[range]
            .iter()
            .fold((0, Duration::ZERO), |(n, sum), slot| (n + slot.arrivals, sum + slot.queued));
        sum.as_secs_f64() / count.max(1) as f64 / self.path.round_trip.as_secs_f64()
    }

    /// When so many bytes had arrived, in seconds.
    pub(super) fn arrived_at(&self, flow: usize, bytes: u64) -> Option<f64> {
        let mut total = 0;
        for (index, slot) in self.flows[flow].slots.iter().enumerate() {
            if total + slot.delivered >= bytes {
                let part = (bytes - total) as f64 / slot.delivered as f64;
                return Some((index as f64 + part) * SLOT.as_secs_f64());
            }
            total += slot.delivered;
        }
        None
    }
}

fn slot_of(at: Time) -> usize {
    (at.as_nanos() / SLOT.as_nanos() as u64) as usize
}

impl Flow {
    fn next_number(&self) -> u64 {
        self.first + self.sent.len() as u64
    }

    fn pacing_rate(&self) -> Option<u64> {
        self.controller.pacing_rate_bytes_per_second(Some(self.rtt.smoothed()))
    }

    fn window_allows(&self) -> bool {
        self.in_flight + MSS <= self.controller.window_bytes()
    }

    fn has_data(&self, now: Time) -> bool {
        let made = |rate| now.saturating_since(self.starts_at).as_secs_f64() * rate as f64;
        self.application.is_none_or(|rate| made(rate) >= (self.sent_bytes + MSS) as f64)
    }

    fn send_one(&mut self, now: Time) -> Option<u64> {
        if now < self.starts_at || !self.window_allows() {
            return None;
        }
        if !self.has_data(now) {
            self.sampler.set_app_limited(self.in_flight);
            return None;
        }
        let paced = self.pacing_rate();
        if paced.is_some_and(|rate| self.pacer.budget(now, rate, MSS) < MSS) {
            return None;
        }
        Some(self.send(now))
    }

    fn send(&mut self, now: Time) -> u64 {
        let number = self.next_number();
        let rate = self.sampler.on_sent(now, self.in_flight, MSS);
        self.sent.push_back(Sent { at: now, rate, fate: Fate::Outstanding });
        self.in_flight += MSS;
        self.sent_bytes += MSS;
        self.last_sent = now;
        self.controller.on_sent(now, number, MSS, self.in_flight);
        self.pacer.on_sent(MSS);
        number
    }

    fn next_wake(&self, now: Time) -> Time {
        let mut wake = Time::MAX;
        if self.window_allows() {
            if !self.has_data(now) {
                wake = now + Duration::from_millis(1);
            } else if let Some(rate) = self.pacing_rate() {
                wake = self.pacer.next_release(rate, MSS);
            }
        }
        if let Some((number, packet)) = self.outstanding().next() {
            let lost_at = self.loss.lost_at(number, packet.at, &self.rtt);
            let timeout = self.last_sent + 2 * self.rtt.pto_base();
            wake = wake.min(lost_at.unwrap_or(timeout));
        }
        wake.max(now + Duration::from_nanos(1))
    }

    fn outstanding(&self) -> impl Iterator<Item = (u64, &Sent)> {
        (self.first..).zip(&self.sent).filter(|(_, packet)| packet.fate == Fate::Outstanding)
    }

    fn on_timer(&mut self, now: Time) {
        self.detect_losses(now);
        let silent = now.saturating_since(self.last_sent) >= 2 * self.rtt.pto_base();
        if silent && self.in_flight > 0 {
            // Stands for a probe and the loss it shows.
            let newest = self.next_number();
            self.declare(now, |_, number, _| number + 1 < newest);
        }
    }

    fn on_ack(&mut self, now: Time, numbers: &[u64]) {
        let prior_bytes_in_flight = self.in_flight;
        let mut newest = None;
        for &number in numbers {
            let Some(index) = number.checked_sub(self.first) else { continue };
            let packet = &mut self.sent[index as usize];
            if packet.fate == Fate::Outstanding {
                self.in_flight -= MSS;
            }
            packet.fate = Fate::Acked;
            newest = Some((number, packet.at));
            self.sampler.on_acked(now, &packet.rate, packet.at, MSS);
            self.loss.on_acked(now, number, packet.at, &self.rtt);
        }
        let Some((largest_acked, largest_acked_sent_at)) = newest else { return };
        self.rtt.update(now.saturating_since(largest_acked_sent_at), Duration::ZERO);
        self.detect_losses(now);
        let sample = self.sampler.take_sample(now, self.rtt.min());
        self.controller.on_ack(&AckInfo {
            now,
            sample: &sample,
            bytes_in_flight: self.in_flight,
            prior_bytes_in_flight,
            largest_acked,
            largest_acked_sent_at,
            latest_rtt: self.rtt.latest(),
            smoothed_rtt: self.rtt.smoothed(),
            min_rtt: self.rtt.min(),
            app_limited: sample.is_app_limited,
            next_packet_number: self.next_number(),
        });
        self.loss.decay(now, &self.rtt);
        self.forget(now);
        self.largest_window = self.largest_window.max(self.controller.window_bytes());
        let phase = self.controller.phase();
        if self.phases.last().is_none_or(|(_, last)| *last != phase) {
            self.phases.push((now, phase));
        }
    }

    fn forget(&mut self, now: Time) {
        let horizon = now - 4 * self.rtt.smoothed();
        while let Some(front) = self.sent.front() {
            if front.fate == Fate::Outstanding || front.at >= horizon {
                break;
            }
            self.sent.pop_front();
            self.first += 1;
        }
    }

    fn detect_losses(&mut self, now: Time) {
        let Some(newest) = self.loss.newest_acked() else { return };
        self.declare(now, |flow, number, at| {
            let due = flow.loss.lost_at(number, at, &flow.rtt);
            number < newest
                && (flow.loss.lost_by_count(number) || due.is_some_and(|due| due <= now))
        });
    }

    /// Gives up the oldest packets for as long as `lost` says so.
    fn declare(&mut self, now: Time, lost: impl Fn(&Self, u64, Time) -> bool) {
        let found: Vec<(u64, Time)> = self
            .outstanding()
            .map(|(number, packet)| (number, packet.at))
            .take_while(|(number, at)| lost(self, *number, *at))
            .collect();
        let Some(&(largest_lost, largest_lost_sent_at)) = found.last() else { return };
        for (number, _) in &found {
            self.sent[(number - self.first) as usize].fate = Fate::Lost;
        }
        let lost_packets = found.len() as u64;
        self.lost_packets += lost_packets;
        self.in_flight -= lost_packets * MSS;
        self.sampler.on_lost(lost_packets * MSS);
        self.controller.on_loss(&LossInfo {
            now,
            lost_bytes: lost_packets * MSS,
            lost_packets,
            largest_lost,
            largest_lost_sent_at,
            bytes_in_flight: self.in_flight,
            next_packet_number: self.next_number(),
        });
    }
}
