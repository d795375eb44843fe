//! The thread between two TUN devices: packets in, two links, packets out.
//!
//! Clock, timer, links and books are the proxy's.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
};

use super::ip;
use crate::{
    Time,
    link::Direction,
    packet::Packet,
    profile::DirectionProfile,
    proxy::{
        LatenessBudget, OnRecords, ProxyCounters,
        clock::Clock,
        handle::Message,
        lane::Lane,
        reactor::{Reactor, WAKE, Waiter},
        report::Snapshot,
    },
    record::PacketRecord,
};
use tun_rs::SyncDevice;

/// Read from one device before the other has its turn.
const BATCH: usize = 64;
/// The largest IP packet.
const PACKET_BYTES_MAX: usize = 65_535;
/// How long a full device is waited for before the packet is given up.
const WRITABLE_WAIT_NS: u64 = 1_000_000;
const RECORDS_MAX: usize = 16_384;

/// What a forwarder is started with.
pub(super) struct Setup {
    pub(super) clock: Clock,
    pub(super) reactor: Reactor,
    pub(super) messages: Receiver<Message>,
    pub(super) stop: Arc<AtomicBool>,
    /// Near, far.
    pub(super) devices: [SyncDevice; 2],
    /// From near to far, and back.
    pub(super) lanes: [Lane; 2],
    pub(super) up: Direction,
    pub(super) on_records: Option<OnRecords>,
    pub(super) budget: LatenessBudget,
    pub(super) limit_ns: u64,
}

pub(super) struct Forwarder {
    setup: Setup,
    buffer: Vec<u8>,
    departures: Vec<(Time, usize, Packet)>,
    pool: Vec<Vec<u8>>,
    counters: ProxyCounters,
    records: Vec<PacketRecord>,
    started: Time,
}

impl Forwarder {
    /// Also has the reactor wait for the devices.
    pub(super) fn new(mut setup: Setup) -> io::Result<Self> {
        for (token, device) in (0..).zip(&setup.devices) {
            setup.reactor.add(device, token)?;
        }
        Ok(Self {
            started: setup.clock.now(),
            setup,
            buffer: vec![0; PACKET_BYTES_MAX],
            departures: Vec::new(),
            pool: Vec::new(),
            counters: ProxyCounters::default(),
            records: Vec::new(),
        })
    }

    /// Runs until told to stop; what is told then still lacks the devices' own drops.
    pub(super) fn run(mut self) -> Snapshot {
        let failure = self.rounds().err().map(|error| error.to_string());
        self.hand_out_records();
        Snapshot {
            failure,
            ..self.snapshot()
        }
    }

    fn rounds(&mut self) -> io::Result<()> {
        self.setup.reactor.prepare_thread();
        let mut waiter = Waiter::new(self.setup.clock);
        let mut ready = Vec::new();
        while !self.setup.stop.load(Ordering::Acquire) {
            let [up, down] = &self.setup.lanes;
            let deadline = up.next_wakeup().into_iter().chain(down.next_wakeup()).min();
            waiter.wait(&mut self.setup.reactor, deadline, &mut ready)?;
            for &token in &ready {
                match token {
                    WAKE => self.setup.reactor.woken(),
                    device => self.read(device as usize),
                }
            }
            self.answer();
            let now = self.setup.clock.now();
            for (index, lane) in self.setup.lanes.iter_mut().enumerate() {
                lane.advance(now, &mut sink(index, &mut self.departures));
            }
            self.write();
            if self.setup.on_records.is_some() {
                for lane in &mut self.setup.lanes {
                    lane.link.take_records(&mut self.records);
                }
                if self.records.len() >= RECORDS_MAX || ready.is_empty() {
                    self.hand_out_records();
                }
            }
        }
        Ok(())
    }

    /// A batch from one device into its link.
    fn read(&mut self, index: usize) {
        for _ in 0..BATCH {
            let length = match self.setup.devices[index].recv(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::debug!(%error, "receive failed");
                    self.counters.receive_errors += 1;
                    return;
                }
            };
            let at = self.setup.clock.now();
            let mut bytes = self.pool.pop().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(&self.buffer[..length]);
            let Some(packet) = ip::parse(bytes) else {
                self.counters.foreign += 1;
                continue;
            };
            self.counters.received += 1;
            self.setup.lanes[index].push(at, packet, &mut sink(index, &mut self.departures));
        }
    }

    /// What has left its link goes to the other device.
    fn write(&mut self) {
        for (due, index, mut packet) in self.departures.drain(..) {
            let device = &self.setup.devices[1 - index];
            match send(device, ip::bytes(&mut packet)) {
                Ok(()) => {
                    let late_ns = self.setup.clock.now().nanos_since(due);
                    self.setup.lanes[index].measured.lateness.record(late_ns);
                    self.counters.sent += 1;
                }
                Err(error) => {
                    tracing::debug!(%error, "send refused");
                    self.counters.send_errors += 1;
                }
            }
            if self.pool.len() < RECORDS_MAX {
                self.pool.push(packet.payload);
            }
        }
    }

    fn answer(&mut self) {
        while let Ok(message) = self.setup.messages.try_recv() {
            match message {
                Message::Report(reply) => {
                    let _ = reply.send(self.snapshot());
                }
                Message::Network(links, reply) => {
                    self.set_network(&links);
                    let _ = reply.send(());
                }
            }
        }
    }

    fn set_network(&mut self, links: &[DirectionProfile; 2]) {
        let [forward, reverse] = links;
        let limit_ns = self.setup.budget.limit_ns(forward, reverse);
        self.setup.limit_ns = self.setup.limit_ns.min(limit_ns);
        let lanes = match self.setup.up {
            Direction::Forward => [forward, reverse],
            Direction::Reverse => [reverse, forward],
        };
        let now = self.setup.clock.now();
        for (index, profile) in lanes.into_iter().enumerate() {
            let mut out = sink(index, &mut self.departures);
            self.setup.lanes[index].set_profile(now, profile, &mut out);
        }
    }

    fn hand_out_records(&mut self) {
        if let Some(on_records) = &mut self.setup.on_records {
            for lane in &mut self.setup.lanes {
                lane.link.take_records(&mut self.records);
            }
            if !self.records.is_empty() {
                on_records(&self.records);
                self.records.clear();
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        let [up, down] = self.setup.lanes.each_ref().map(Lane::snapshot);
        let (forward, reverse) = match self.setup.up {
            Direction::Forward => (up, down),
            Direction::Reverse => (down, up),
        };
        Snapshot {
            duration_ns: self.setup.clock.now().nanos_since(self.started),
            forward,
            reverse,
            budget: self.setup.budget,
            limit_ns: self.setup.limit_ns,
            counters: self.counters,
            inodes: std::collections::BTreeSet::new(),
            receive_buffer_bytes: 0,
            warnings: vec![
                "a TUN device does not say when a packet came: lateness is told too small by \
                 what packets waited there"
                    .to_owned(),
            ],
            failure: None,
        }
    }
}

fn sink(lane: usize, departures: &mut Vec<(Time, usize, Packet)>) -> impl FnMut(Time, Packet) {
    move |due, packet| departures.push((due, lane, packet))
}

fn send(device: &SyncDevice, bytes: &[u8]) -> io::Result<()> {
    let sent = match device.send(bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Reactor::wait_writable(device, WRITABLE_WAIT_NS);
            device.send(bytes)
        }
        sent => sent,
    };
    sent.map(drop)
}
