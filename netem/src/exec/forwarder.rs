//! The thread between two TUN devices: packets in, two links, packets out.
//!
//! Clock, timer, links and accounting are the proxy's.

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
    Direction, PerDirection, Time,
    packet::Packet,
    profile::DirectionProfile,
    proxy::{
        ProxyCounters,
        clock::{Clock, processor_ns},
        handle::{Answers, Message},
        paced_links::PacedLinks,
        reactor::{Reactor, WAKE, Waiter},
        report::Snapshot,
    },
};
use tun_rs::SyncDevice;

/// Packets read from one device before the other has its turn.
const BATCH: usize = 64;
/// The largest IP packet.
const PACKET_BYTES_MAX: usize = 65_535;
/// The longest wait for room in a device; then the packet is dropped.
const WRITABLE_WAIT_NS: u64 = 1_000_000;
/// Payload buffers kept for reuse.
const POOL_MAX: usize = 16_384;

/// Everything that a forwarder starts with.
pub(super) struct Setup {
    pub(super) clock: Clock,
    pub(super) reactor: Reactor,
    pub(super) messages: Receiver<Message>,
    pub(super) stop: Arc<AtomicBool>,
    /// The clients' and the servers' device, each under the direction of what is read from it.
    pub(super) devices: PerDirection<SyncDevice>,
    pub(super) links: PacedLinks,
}

pub(super) struct Forwarder {
    setup: Setup,
    buffer: Vec<u8>,
    outgoing: Vec<(Direction, Time, Packet)>,
    pool: Vec<Vec<u8>>,
    counters: ProxyCounters,
    started: Time,
}

impl Forwarder {
    /// Also has the reactor wait for the devices.
    pub(super) fn new(mut setup: Setup) -> io::Result<Self> {
        for direction in Direction::ALL {
            let device = &setup.devices[direction];
            setup.reactor.add(device, token(direction))?;
        }
        Ok(Self {
            started: setup.clock.now(),
            setup,
            buffer: vec![0; PACKET_BYTES_MAX],
            outgoing: Vec::new(),
            pool: Vec::new(),
            counters: ProxyCounters::default(),
        })
    }

    /// Runs until it is asked to stop. The snapshot still lacks the devices' own drops.
    pub(super) fn run(mut self) -> Snapshot {
        let failure = self.rounds().err().map(|error| error.to_string());
        self.setup.links.deliver_records();
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
            let deadline = self.setup.links.next_wakeup();
            waiter.wait(&mut self.setup.reactor, deadline, &mut ready)?;
            for &ready in &ready {
                // Its only content is that there is something to read from the messages, which
                // follows anyway.
                if ready == WAKE {
                    self.setup.reactor.woken();
                    continue;
                }
                for direction in Direction::ALL {
                    if ready == token(direction) {
                        self.read(direction);
                    }
                }
            }
            self.answer();
            let now = self.setup.clock.now();
            self.setup.links.advance(now, sink(&mut self.outgoing));
            self.write();
            // A round without packets is the pause in which records may be delivered.
            self.setup.links.keep_records(|_| ready.is_empty());
        }
        Ok(())
    }

    /// Reads a batch from one device and pushes it into its link.
    fn read(&mut self, direction: Direction) {
        for _ in 0..BATCH {
            let length = match self.setup.devices[direction].recv(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::debug!(%error, "receive failed");
                    self.counters.receive_errors += 1;
                    return;
                }
            };
            // A TUN device has no arrival stamps: the time of the read is the best there is.
            let at = self.setup.clock.now();
            let mut bytes = self.pool.pop().unwrap_or_default();
            bytes.clear();
            bytes.extend_from_slice(&self.buffer[..length]);
            // Anything but IPv4 and IPv6 has no addresses that a record could name.
            let Some(packet) = ip::parse(bytes) else {
                self.counters.foreign += 1;
                continue;
            };
            self.counters.received += 1;
            let out = sink(&mut self.outgoing);
            self.setup.links.push(direction, at, packet, out);
        }
    }

    /// Writes what has come out of a link to the device at its end.
    fn write(&mut self) {
        for (direction, due, mut packet) in self.outgoing.drain(..) {
            // Devices stand under the direction that is read from them: the far end reads the
            // opposite one.
            let device = &self.setup.devices[direction.opposite()];
            match send(device, ip::bytes(&mut packet)) {
                Ok(()) => {
                    let late_ns = self.setup.clock.now().nanos_since(due);
                    let measured = self.setup.links.measured_mut(direction);
                    measured.lateness.record(late_ns);
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
        Snapshot {
            duration_ns: self.setup.clock.now().nanos_since(self.started),
            processor_ns: processor_ns(),
            links: self.setup.links.snapshots(),
            budget: self.setup.links.budget(),
            limit_ns: self.setup.links.limit_ns(),
            counters: self.counters,
            // TUN devices count their drops in `/proc/net/dev` of their namespaces: `Exec::stop`
            // adds them.
            inodes: std::collections::BTreeSet::new(),
            receive_buffer_bytes: 0,
            warnings: vec![
                "a TUN device does not say when a packet came: lateness is reported too small by \
                 what packets waited there"
                    .to_owned(),
            ],
            failure: None,
        }
    }

    fn set_network(&mut self, profiles: &PerDirection<DirectionProfile>) {
        let now = self.setup.clock.now();
        let out = sink(&mut self.outgoing);
        self.setup.links.set_network(now, profiles, out);
    }
}

/// The reactor's token of the device from which packets of this direction are read.
const fn token(direction: Direction) -> u64 {
    direction as u64
}

fn sink(outgoing: &mut Vec<(Direction, Time, Packet)>) -> impl FnMut(Direction, Time, Packet) {
    move |direction, due, packet| outgoing.push((direction, due, packet))
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
