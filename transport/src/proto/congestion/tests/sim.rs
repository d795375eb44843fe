//! A packet simulator: senders that obey their controllers, one bottleneck, a receiver that
//! acknowledges as the real one does. It knows no streams: every packet is as good as
//! another, so what arrives is goodput.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::flow::Flow;
use crate::Time;
use crate::proto::congestion::{Congestion, ControllerFactory, Params};
use crate::proto::recovery::{LossDetector, RateSampler, RttEstimator};
use crate::proto::send::Pacer;

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
    /// What may pass at once after a pause: a token bucket's size.
    pub(super) burst: Duration,
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
            burst: Duration::ZERO,
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
        let params = Params {
            now: starts_at,
            mss_bytes: MSS,
            initial_window_packets: INITIAL_WINDOW_PACKETS,
        };
        let mut rtt = RttEstimator::new(None);
        // The handshake has shown the round trip.
        rtt.update(self.path.round_trip, Duration::ZERO);
        self.flows.push(Flow {
            controller: algorithm.build(&params),
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
        let earliest = self.now.saturating_since(Time::ZERO + self.path.burst);
        self.busy_until = self.busy_until.max(Time::ZERO + earliest) + takes;
        if self.data_rng.random::<f64>() < self.path.loss {
            return;
        }
        let jitter = self.path.jitter.mul_f64(self.jitter_rng.random::<f64>());
        let leaves = self.busy_until.max(self.now);
        let at = leaves + self.path.round_trip / 2 + jitter;
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
        let delivered: u64 = (0..self.flows.len())
            .map(|flow| self.delivered(flow, from, to))
            .sum();
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
            .fold((0, Duration::ZERO), |(n, sum), slot| {
                (n + slot.arrivals, sum + slot.queued)
            });
        sum.as_secs_f64() / count.max(1) as f64 / self.path.round_trip.as_secs_f64()
    }
}

fn slot_of(at: Time) -> usize {
    (at.as_nanos() / SLOT.as_nanos() as u64) as usize
}
