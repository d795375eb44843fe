//! Senders that obey their controllers on the two links of lftp-netem, and receivers that
//! acknowledge as the real one does. It knows no streams: every packet is as good as another, so
//! what arrives is goodput.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use lftp_netem::Direction;
use lftp_netem::link::Link;
use lftp_netem::packet::{IPV4_UDP_HEADER_BYTES, Packet};
use lftp_netem::profile::NetworkProfile;

use super::flow::Flow;
use crate::Time;
use crate::proto::congestion::{Congestion, ControllerFactory, Params};
use crate::proto::recovery::{LossDetector, RateSampler, RttEstimator};
use crate::proto::send::Pacer;

pub(super) const MSS: u64 = 1472;
const INITIAL_WINDOW_PACKETS: u64 = 32;

/// The flow of packets that belong to none.
const NO_FLOW: u64 = u64::MAX;

/// Measurements are kept in slots of this length.
pub(super) const SLOT: Duration = Duration::from_millis(50);

/// The network of a run.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) rate_bps: u64,
    pub(super) round_trip: Duration,
    pub(super) queue_bytes: u64,
    /// The size of a token bucket, as time at the rate.
    pub(super) burst: Duration,
    /// The share of packets lost behind the bottleneck, and of acknowledgements.
    pub(super) loss: f64,
    /// Uniform extra delay of up to this, which reorders packets.
    pub(super) jitter: Duration,
    /// Changes of the rate, by time.
    pub(super) changes: Vec<(Duration, u64)>,
    pub(super) seed: u64,
}

impl Path {
    /// `mbps` Mbit/s, `round_trip_ms`, a queue of one bandwidth-delay product, and a loss.
    pub(super) fn new(mbps: u64, round_trip_ms: u64, loss: f64) -> Self {
        let rate_bps = mbps * 1_000_000;
        Self {
            rate_bps,
            round_trip: Duration::from_millis(round_trip_ms),
            queue_bytes: rate_bps / 8 * round_trip_ms / 1000,
            burst: Duration::ZERO,
            loss,
            jitter: Duration::ZERO,
            changes: Vec::new(),
            seed: 1,
        }
    }

    /// Bytes a second of UDP payload that can arrive.
    pub(super) fn achievable(&self) -> f64 {
        let packet = (MSS + IPV4_UDP_HEADER_BYTES) as f64;
        self.rate_bps as f64 / 8.0 * MSS as f64 / packet * (1.0 - self.loss)
    }

    fn bucket_bytes(&self) -> u64 {
        (self.rate_bps as f64 / 8.0 * self.burst.as_secs_f64()) as u64
    }

    /// The bottleneck's rate at `now`, bits a second.
    fn rate_at(&self, now: Time) -> u64 {
        let since = now.saturating_since(Time::ZERO);
        let change = self.changes.iter().rev().find(|(at, _)| *at <= since);
        change.map_or(self.rate_bps, |(_, rate)| *rate)
    }

    /// The data's link and the acknowledgements' link.
    fn links(&self) -> [Link; 2] {
        let ns = |duration: Duration| format!("\"{}ns\"", duration.as_nanos());
        let loss = format!("loss = \"{:.8}%\"", self.loss * 100.0);
        let one_way = self.round_trip / 2;
        let steps = self.changes.iter().map(|(at, rate)| {
            let at = ns(*at);
            format!("{{ at = {at}, rate = \"{rate}bit\" }}")
        });
        let steps: Vec<String> = steps.collect();
        let mut forward = vec![
            loss.clone(),
            format!("rate = \"{}bit\"", self.rate_bps),
            format!("queue = \"{}B\"", self.queue_bytes),
            // netem's jitter is to either side of the delay.
            format!("delay = {}", ns(one_way + self.jitter / 2)),
            format!("jitter = {}", ns(self.jitter / 2)),
            format!("schedule = [{}]", steps.join(", ")),
        ];
        if self.burst > Duration::ZERO {
            forward.push(format!("burst = \"{}B\"", self.bucket_bytes()));
        }
        // An acknowledgement is a list of numbers of any length, on a link without a bottleneck.
        let reverse = vec![
            loss,
            format!("delay = {}", ns(one_way)),
            "mtu = \"1GiB\"".into(),
        ];
        let link = |lines: Vec<String>, direction| {
            let profile = NetworkProfile::from_toml_str(&lines.join("\n"));
            let profile = profile.expect("a valid network").forward();
            Link::new(&profile, self.seed, direction)
        };
        [
            link(forward, Direction::Forward),
            link(reverse, Direction::Reverse),
        ]
    }
}

/// An alarm of a flow.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The receiver owes an acknowledgement.
    AckDue(usize),
    /// The sender's timer.
    Wake(usize),
}

/// Measurements of a flow in one [`SLOT`].
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
    data: Link,
    acks: Link,
    /// With a ticket that keeps events of one time in the order of their scheduling.
    events: BinaryHeap<Reverse<(Time, u64, Event)>>,
    ticket: u64,
    pub(super) flows: Vec<Flow>,
}

impl Simulation {
    pub(super) fn new(path: Path) -> Self {
        let [mut data, acks] = path.links();
        // Earlier traffic has used up the bucket: a full one would hide the rate from a start-up.
        for _ in 0..path.bucket_bytes() / (MSS + IPV4_UDP_HEADER_BYTES) {
            data.push(to_netem(Time::ZERO), packet(encode([NO_FLOW, 0, 0])));
        }
        Self {
            path,
            now: Time::ZERO,
            data,
            acks,
            events: BinaryHeap::new(),
            ticket: 0,
            flows: Vec::new(),
        }
    }

    /// One flow that always has something to send, for `length`.
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
            unreported: BTreeSet::new(),
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
        self.schedule(starts_at, Event::Wake(flow));
    }

    fn schedule(&mut self, at: Time, event: Event) {
        self.ticket += 1;
        self.events.push(Reverse((at, self.ticket, event)));
    }

    pub(super) fn queue_drops(&self) -> u64 {
        self.data.counters().queue_drops
    }

    pub(super) fn run(&mut self, until: Duration) {
        let end = Time::ZERO + until;
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    fn next_time(&self) -> Option<Time> {
        let event = self.events.peek().map(|Reverse((at, ..))| *at);
        let wakeups = [&self.data, &self.acks].map(Link::next_wakeup);
        let wakeups = wakeups.map(|at| at.map(|at| Time::from_nanos(at.as_nanos())));
        wakeups.into_iter().chain([event]).flatten().min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(packet) = self.data.pop(to_netem(now)) {
            let [flow, number, queued_ns] = decode(&packet.payload);
            if flow == NO_FLOW {
                continue;
            }
            let flow_index = flow as usize;
            self.record(flow_index, Duration::from_nanos(queued_ns));
            self.arrive(flow_index, number);
        }
        while let Some(packet) = self.acks.pop(to_netem(now)) {
            let (flow, numbers) = packet.payload.split_at(8);
            let flow = number_of(flow) as usize;
            let mut numbers: Vec<u64> = numbers.chunks_exact(8).map(number_of).collect();
            // Repeated in case an earlier acknowledgement was lost: the sender counts each once.
            let unreported = &mut self.flows[flow].unreported;
            numbers.retain(|number| unreported.remove(number));
            self.flows[flow].on_ack(now, &numbers);
            self.pump(flow);
        }
        while let Some(&Reverse((at, _, event))) = self.events.peek()
            && at <= now
        {
            self.events.pop();
            match event {
                Event::AckDue(flow) => {
                    if self.flows[flow].ack_due.is_some_and(|due| due <= at) {
                        self.acknowledge(flow);
                    }
                }
                Event::Wake(flow) => {
                    if self.flows[flow].wake_at == at || self.flows[flow].starts_at == at {
                        self.flows[flow].on_timer(at);
                        self.pump(flow);
                    }
                }
            }
        }
    }

    fn pump(&mut self, index: usize) {
        let now = self.now;
        while let Some(number) = self.flows[index].send_one(now) {
            let rate = self.path.rate_at(now);
            let queued_ns = self.data.queue_bytes() * 8_000_000_000 / rate;
            let payload = encode([index as u64, number, queued_ns]);
            self.data.push(to_netem(now), packet(payload));
        }
        let wake = self.flows[index].next_wake(now);
        if wake != Time::MAX {
            self.flows[index].wake_at = wake;
            self.schedule(wake, Event::Wake(index));
        }
    }

    /// Counts an arrival that had waited in the queue for `queued`.
    fn record(&mut self, flow: usize, queued: Duration) {
        let slots = &mut self.flows[flow].slots;
        let slot = slot_of(self.now);
        if slots.len() <= slot {
            slots.resize(slot + 1, Slot::default());
        }
        slots[slot].arrivals += 1;
        slots[slot].queued += queued;
        slots[slot].delivered += MSS;
    }

    /// The receiver's rules: every second packet at first, then every eighth of a round trip or 64
    /// packets, sooner when there is a gap.
    fn arrive(&mut self, flow: usize, number: u64) {
        let (now, round_trip) = (self.now, self.path.round_trip);
        let state = &mut self.flows[flow];
        let expected = state.highest.map_or(0, |highest| highest + 1);
        state.highest = Some(state.highest.map_or(number, |highest| highest.max(number)));
        state.unreported.insert(number);
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
            self.schedule(due, Event::AckDue(flow));
        }
    }

    /// Sends every number of which the sender does not know yet.
    fn acknowledge(&mut self, flow: usize) {
        let state = &mut self.flows[flow];
        state.unanswered = 0;
        state.ack_due = None;
        state.ack_sent = self.now;
        let numbers = [flow as u64]
            .into_iter()
            .chain(state.unreported.iter().copied());
        let payload = numbers.flat_map(u64::to_be_bytes).collect();
        self.acks.push(to_netem(self.now), packet(payload));
    }

    /// Share of the achievable that all flows together delivered between two times.
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

const fn to_netem(time: Time) -> lftp_netem::Time {
    lftp_netem::Time::from_nanos(time.as_nanos())
}

fn packet(payload: Vec<u8>) -> Packet {
    let anywhere = SocketAddr::from(([10, 0, 0, 1], 1));
    Packet::new(anywhere, anywhere, 0, payload)
}

fn encode(fields: [u64; 3]) -> Vec<u8> {
    let mut payload: Vec<u8> = fields.into_iter().flat_map(u64::to_be_bytes).collect();
    payload.resize(MSS as usize, 0);
    payload
}

fn decode(payload: &[u8]) -> [u64; 3] {
    std::array::from_fn(|field| number_of(&payload[8 * field..8 * (field + 1)]))
}

fn number_of(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}
