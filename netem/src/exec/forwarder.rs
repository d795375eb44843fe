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
    packet::Packet,
    profile::DirectionProfile,
    proxy::{
        ProxyCounters,
        clock::{Clock, processor_ns},
        handle::{Answers, Message},
        lanes::Lanes,
        reactor::{Reactor, WAKE, Waiter},
        report::Snapshot,
    },
};
use tun_rs::SyncDevice;

/// Read from one device before the other has its turn.
const BATCH: usize = 64;
/// The largest IP packet.
const PACKET_BYTES_MAX: usize = 65_535;
/// How long a full device is waited for before the packet is given up.
const WRITABLE_WAIT_NS: u64 = 1_000_000;
/// Payload buffers kept for reuse.
const POOL_MAX: usize = 16_384;

/// What a forwarder is started with.
pub(super) struct Setup {
    pub(super) clock: Clock,
    pub(super) reactor: Reactor,
    pub(super) messages: Receiver<Message>,
    pub(super) stop: Arc<AtomicBool>,
    /// Near, far.
    pub(super) devices: [SyncDevice; 2],
    /// From near to far, and back.
    pub(super) lanes: Lanes,
}

pub(super) struct Forwarder {
    setup: Setup,
    buffer: Vec<u8>,
    departures: Vec<(usize, Time, Packet)>,
    pool: Vec<Vec<u8>>,
    counters: ProxyCounters,
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
        })
    }

    /// Runs until told to stop; what is told then still lacks the devices' own drops.
    pub(super) fn run(mut self) -> Snapshot {
        let failure = self.rounds().err().map(|error| error.to_string());
        self.setup.lanes.hand_out_records();
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
            let deadline = self.setup.lanes.next_wakeup();
            waiter.wait(&mut self.setup.reactor, deadline, &mut ready)?;
            for &token in &ready {
                match token {
                    WAKE => self.setup.reactor.woken(),
                    device => self.read(device as usize),
                }
            }
            self.answer();
            let now = self.setup.clock.now();
            self.setup.lanes.advance(now, sink(&mut self.departures));
            self.write();
            self.setup.lanes.keep_records(|_| ready.is_empty());
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
            let mut out = sink(&mut self.departures);
            let out = &mut |due, packet| out(index, due, packet);
            self.setup.lanes.get_mut(index).push(at, packet, out);
        }
    }

    /// What has left its link goes to the other device.
    fn write(&mut self) {
        for (index, due, mut packet) in self.departures.drain(..) {
            let device = &self.setup.devices[1 - index];
            match send(device, ip::bytes(&mut packet)) {
                Ok(()) => {
                    let late_ns = self.setup.clock.now().nanos_since(due);
                    let lane = self.setup.lanes.get_mut(index);
                    lane.measured.lateness.record(late_ns);
                    self.counters.sent += 1;
                }
                Err(error) => {
                    tracing::debug!(%error, "send refused");
                    self.counters.send_errors += 1;
                }
            }
            if self.pool.len() < POOL_MAX {
                self.pool.push(packet.payload);
            }
        }
    }
}

impl Answers for Forwarder {
    fn next_message(&self) -> Option<Message> {
        self.setup.messages.try_recv().ok()
    }

    fn snapshot(&self) -> Snapshot {
        let [forward, reverse] = self.setup.lanes.snapshots();
        Snapshot {
            duration_ns: self.setup.clock.now().nanos_since(self.started),
            processor_ns: processor_ns(),
            forward,
            reverse,
            budget: self.setup.lanes.budget(),
            limit_ns: self.setup.lanes.limit_ns(),
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

    fn set_network(&mut self, links: &[DirectionProfile; 2]) {
        let now = self.setup.clock.now();
        let out = sink(&mut self.departures);
        self.setup.lanes.set_network(now, links, out);
    }
}

fn sink(departures: &mut Vec<(usize, Time, Packet)>) -> impl FnMut(usize, Time, Packet) {
    move |lane, due, packet| departures.push((lane, due, packet))
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
