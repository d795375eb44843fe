//! The queue before the bottleneck; its discipline says which packets are dropped and, where there are
//! several queues behind it, which is next.
//!
//! Optionally packets that find much waiting are marked (RFC 3168; the step of DCTCP,
//! RFC 8257 §3.1). A packet counts until its last bit is sent, so the one being sent is queued
//! as well, but it is no longer dropped or overtaken. One that finds the queue empty is taken whatever the
//! limit: no buffer is needed to send at once.
//!
//! Those that drop on arrival do so in [`Queue::offer`], those that drop on departure in
//! [`Queue::serve`], which is asked whenever a packet is to be sent.

use std::collections::VecDeque;

use super::{
    codel::CoDel,
    dualpi2::DualPi2,
    fifo::Fifo,
    fq_codel::FqCoDel,
    limit::QueueLimit,
    pie::Pie,
    red::RedQueue,
    settings::{Discipline, QueueSettings},
};
use crate::{
    Time,
    in_flight::InFlight,
    record::PacketOutcome,
    rng::{RngStream, RngStreams, high},
};

#[derive(Debug)]
pub(crate) struct Queue {
    manager: Manager,
    /// Packets that wait, where there is one queue.
    fifo: Fifo,
    /// The packet being sent.
    sending: Option<Box<InFlight>>,
    limit: QueueLimit,
    threshold: QueueLimit,
    stream: RngStream,
    early: VecDeque<Box<InFlight>>,
    full: VecDeque<Box<InFlight>>,
}

#[derive(Debug)]
enum Manager {
    DropTail,
    DropHead,
    Red(RedQueue),
    CoDel(CoDel),
    Pie(Pie),
    FqCoDel(Box<FqCoDel>),
    DualPi2(Box<DualPi2>),
}

impl Manager {
    fn new(settings: &QueueSettings, streams: RngStreams) -> Self {
        let mtu_bytes = settings.mtu_bytes;
        match settings.discipline {
            Discipline::DropTail => Self::DropTail,
            Discipline::DropHead => Self::DropHead,
            Discipline::Red(red) => Self::Red(RedQueue::new(red)),
            Discipline::CoDel(codel) => Self::CoDel(CoDel::new(codel, mtu_bytes)),
            Discipline::Pie(pie) => Self::Pie(Pie::new(pie)),
            Discipline::FqCoDel(settings) => {
                let fq_codel = FqCoDel::new(&settings, mtu_bytes, streams);
                Self::FqCoDel(Box::new(fq_codel))
            }
            Discipline::DualPi2(settings) => {
                Self::DualPi2(Box::new(DualPi2::new(settings, mtu_bytes)))
            }
        }
    }
}

impl Queue {
    pub(crate) fn new(settings: &QueueSettings, streams: RngStreams) -> Self {
        Self {
            manager: Manager::new(settings, streams),
            fifo: Fifo::default(),
            sending: None,
            limit: settings.limit,
            threshold: settings.ecn_threshold,
            stream: streams.by_packet("queue"),
            early: VecDeque::new(),
            full: VecDeque::new(),
        }
    }

    /// Replaces limits and discipline; what waits stays.
    pub(crate) fn replace(&mut self, now: Time, settings: &QueueSettings, streams: RngStreams) {
        self.limit = settings.limit;
        self.threshold = settings.ecn_threshold;
        let mut waiting = self.fifo.drain();
        match &mut self.manager {
            Manager::FqCoDel(fq_codel) => waiting.extend(fq_codel.drain()),
            Manager::DualPi2(dual) => waiting.extend(dual.drain()),
            _ => {}
        }
        // By arrival, not queue by queue: the new discipline shall find them as if they had arrived
        // at it.
        waiting
            .make_contiguous()
            .sort_by_key(|in_flight| (in_flight.arrived_at, in_flight.index));
        self.manager = Manager::new(settings, streams);
        for in_flight in waiting {
            self.enqueue(now, in_flight);
        }
    }

    fn enqueue(&mut self, now: Time, in_flight: Box<InFlight>) {
        match &mut self.manager {
            Manager::FqCoDel(fq_codel) => fq_codel.push(in_flight),
            Manager::DualPi2(dual) => dual.push(now, in_flight),
            _ => self.fifo.push(in_flight),
        }
    }

    /// Returns the bytes of the packet being sent.
    pub(crate) fn sending_bytes(&self) -> Option<u64> {
        self.sending.as_ref().map(|in_flight| in_flight.link_bytes)
    }

    /// Takes the packet, marked if need be, or drops it; returns whether it was taken.
    pub(crate) fn offer(&mut self, now: Time, mut in_flight: Box<InFlight>) -> bool {
        // Before all else: the averages and the random numbers of a discipline count every arrival,
        // also one that the full queue then drops.
        let drops = self.drops_early(now, &in_flight);
        if matches!(self.manager, Manager::DropHead) {
            // The packet being sent is not in the FIFO, so it is never dropped half sent.
            while self.is_full(&in_flight) && self.fifo.packets() > 0 {
                self.full.extend(self.fifo.pop());
            }
        }
        // RFC 8290 §4.1: enqueue first and drop from the fattest flow, so that a thin flow's packet is
        // not dropped for the queue that others have filled.
        let makes_room = matches!(self.manager, Manager::FqCoDel(_));
        if !makes_room && self.is_full(&in_flight) {
            self.full.push_back(in_flight);
            return false;
        }
        // RFC 3168 §5: a mark stands in for a drop, but only on ECN-capable packets.
        if drops && !(self.marks() && in_flight.mark()) {
            self.early.push_back(in_flight);
            return false;
        }
        // The step of DCTCP is on what waits before this packet (RFC 8257 §3.1), not with it.
        if self.bytes() >= self.threshold.bytes || self.packets() >= self.threshold.packets {
            in_flight.mark();
        }
        self.enqueue(now, in_flight);
        self.make_room();
        true
    }

    fn is_full(&self, in_flight: &InFlight) -> bool {
        let packets = self.packets();
        let bytes = self.bytes() + in_flight.link_bytes;
        // Not when empty, whatever the limit: a packet sent at once needs no buffer.
        packets > 0 && (bytes > self.limit.bytes || packets >= self.limit.packets)
    }

    /// Drops from the fattest flow until the limit is met, or one packet is left.
    fn make_room(&mut self) {
        while self.packets() > 1
            && (self.bytes() > self.limit.bytes || self.packets() > self.limit.packets)
            && let Manager::FqCoDel(fq_codel) = &mut self.manager
        {
            fq_codel.drop_fattest(&mut self.full);
        }
    }

    fn drops_early(&mut self, now: Time, in_flight: &InFlight) -> bool {
        let bytes = self.bytes();
        // Lazily: disciplines that do not sample pay for no random number.
        let mut bits = || high(self.stream.at(in_flight.index, in_flight.duplicate));
        match &mut self.manager {
            Manager::Red(red) => red.drops(now, bytes, bits()),
            Manager::Pie(pie) => {
                // The timer's work first, as the decision reads what the timer has computed.
                pie.update(now, bytes == 0);
                pie.drops(bytes, bits())
            }
            _ => false,
        }
    }

    fn marks(&self) -> bool {
        match &self.manager {
            Manager::Red(red) => red.marks(),
            Manager::Pie(pie) => pie.marks(),
            _ => false,
        }
    }

    /// Takes the next packet to send; returns its bytes.
    pub(crate) fn serve(&mut self, now: Time) -> Option<u64> {
        debug_assert!(self.sending.is_none(), "one packet at a time");
        match &mut self.manager {
            Manager::CoDel(codel) => codel.serve(now, &mut self.fifo, &mut self.early),
            // From now on the average decays by time: no arrival will come to lower it.
            Manager::Red(red) if self.fifo.packets() == 0 => red.emptied(now),
            Manager::Pie(pie) => {
                pie.update(now, self.fifo.packets() == 0);
                // RFC 8033 §4.2: the sojourn time of the packet that leaves, instead of the
                // estimate by the departure rate, which needs a warm-up.
                if let Some(since) = self.fifo.waiting_since() {
                    pie.departed(now.nanos_since(since));
                }
            }
            _ => {}
        }
        self.sending = match &mut self.manager {
            Manager::FqCoDel(fq_codel) => fq_codel.serve(now, &mut self.early),
            Manager::DualPi2(dual) => dual.serve(now, &mut self.stream, &mut self.early),
            _ => self.fifo.pop(),
        };
        self.sending_bytes()
    }

    /// Removes the packet that has been sent.
    pub(crate) const fn take(&mut self) -> Option<Box<InFlight>> {
        self.sending.take()
    }

    /// Returns a packet dropped since, and the reason.
    pub(crate) fn dropped(&mut self) -> Option<(Box<InFlight>, PacketOutcome)> {
        // Full before early: that is the order in which `offer` puts them there.
        if let Some(in_flight) = self.full.pop_front() {
            return Some((in_flight, PacketOutcome::QueueDrop));
        }
        let in_flight = self.early.pop_front()?;
        Some((in_flight, PacketOutcome::EarlyDrop))
    }

    /// Returns the bytes in the queue, those of the packet being sent included.
    pub(crate) fn bytes(&self) -> u64 {
        let waiting = match &self.manager {
            Manager::FqCoDel(fq_codel) => fq_codel.bytes(),
            Manager::DualPi2(dual) => dual.bytes(),
            _ => self.fifo.bytes(),
        };
        waiting + self.sending_bytes().unwrap_or(0)
    }

    fn packets(&self) -> u64 {
        let waiting = match &self.manager {
            Manager::FqCoDel(fq_codel) => fq_codel.packets(),
            Manager::DualPi2(dual) => dual.packets(),
            _ => self.fifo.packets(),
        };
        waiting + u64::from(self.sending.is_some())
    }
}
