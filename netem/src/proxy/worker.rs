//! The proxy's one thread: sockets in, two links, sockets out.
//!
//! A round: wait, read one batch from each ready socket, push the datagrams into their links in
//! order of arrival, pop what is due, send it.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
};

use super::{
    clock::{Clock, processor_ns},
    handle::{Answers, Message},
    lanes::{DOWN, Lanes, UP},
    nat::{Flow, Nat},
    outbox::{Departure, Outbox},
    overflow,
    reactor::{Reactor, WAKE, Waiter},
    report::{ProxyCounters, ProxyReport, Snapshot},
    socket::{Arrived, Inbox, Socket},
};
use crate::{Time, packet::Packet, profile::DirectionProfile};

/// Upstream sockets' tokens start here; below are the listened ports.
const FLOW_TOKENS: u64 = 1 << 32;

/// Payload buffers kept for reuse.
const POOL_MAX: usize = 4096;

/// Records wait for a moment when nothing is to be done for so long.
const QUIET_NS: u64 = 500_000;

/// A listened port.
pub(crate) struct Port {
    pub(crate) socket: Socket,
    pub(crate) target: SocketAddr,
}

/// What a worker is started with.
pub(crate) struct Setup {
    pub(crate) clock: Clock,
    pub(crate) reactor: Reactor,
    /// What other threads ask for.
    pub(crate) messages: Receiver<Message>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) ports: Vec<Port>,
    pub(crate) lanes: Lanes,
    pub(crate) buffer_bytes: usize,
    pub(crate) flows_max: usize,
    pub(crate) idle_ns: u64,
    pub(crate) rebind_ns: Option<u64>,
    pub(crate) warnings: Vec<String>,
}

/// A datagram read and not yet in its link.
struct Arrival {
    at: Time,
    lane: usize,
    packet: Packet,
}

pub(crate) struct Worker {
    setup: Setup,
    nat: Nat,
    inbox: Inbox,
    outbox: Outbox,
    arrivals: Vec<Arrival>,
    departures: Vec<Departure>,
    pool: Vec<Vec<u8>>,
    counters: ProxyCounters,
    started: Time,
    swept: Time,
    rebound: Time,
    /// What was bound before: nobody reads what comes there, and nobody is told of that.
    forgotten: Vec<Socket>,
}

impl Worker {
    pub(crate) fn new(setup: Setup) -> Self {
        let started = setup.clock.now();
        Self {
            nat: Nat::new(setup.flows_max),
            inbox: Inbox::new(),
            outbox: Outbox::new(setup.clock),
            arrivals: Vec::new(),
            departures: Vec::new(),
            pool: Vec::new(),
            counters: ProxyCounters::default(),
            started,
            swept: started,
            rebound: started,
            forgotten: Vec::new(),
            setup,
        }
    }

    /// Runs until told to stop.
    pub(crate) fn run(mut self) -> ProxyReport {
        let failure = self.rounds().err().map(|error| error.to_string());
        self.setup.lanes.hand_out_records();
        Snapshot {
            failure,
            ..self.snapshot()
        }
        .report()
    }

    fn rounds(&mut self) -> io::Result<()> {
        self.setup.reactor.prepare_thread();
        let mut waiter = Waiter::new(self.setup.clock);
        let mut ready = Vec::new();
        while !self.setup.stop.load(Ordering::Acquire) {
            let deadline = self.deadline();
            waiter.wait(&mut self.setup.reactor, deadline, &mut ready)?;
            for &token in &ready {
                self.read(token);
            }
            self.enter();
            self.answer();
            let now = self.setup.clock.now();
            self.leave(now);
            self.tidy(now);
        }
        Ok(())
    }

    /// When something is to be done even if nothing arrives.
    fn deadline(&self) -> Option<Time> {
        let link = self.setup.lanes.next_wakeup();
        let sweep_ns = self.swept.as_nanos().saturating_add(self.sweep_every_ns());
        let sweep = (!self.nat.is_empty()).then(|| Time::from_nanos(sweep_ns));
        let rebind = self.next_rebind().filter(|_| !self.nat.is_empty());
        link.into_iter().chain(sweep).chain(rebind).min()
    }

    fn next_rebind(&self) -> Option<Time> {
        let every_ns = self.setup.rebind_ns?;
        Some(self.rebound.plus_nanos(every_ns))
    }

    fn read(&mut self, token: u64) {
        if token == WAKE {
            self.setup.reactor.woken();
            return;
        }
        let result = match token.checked_sub(FLOW_TOKENS) {
            Some(slot) => self.read_server(slot as usize),
            None => self.read_clients(token as usize),
        };
        if let Err(error) = result {
            tracing::debug!(%error, "receive failed");
            self.counters.receive_errors += 1;
        }
    }

    /// One batch from a listened port, on to the server.
    fn read_clients(&mut self, index: usize) -> io::Result<()> {
        let Setup {
            clock,
            reactor,
            ports,
            buffer_bytes,
            ..
        } = &mut self.setup;
        let Some(port) = ports.get(index) else {
            return Ok(());
        };
        let reading = clock.reading();
        let listen = port.socket.local();
        let mut last = None;
        port.socket.receive(&mut self.inbox, |arrived| {
            self.counters.received += 1;
            let at = reading.arrival(arrived.stamp);
            // A batch is mostly one client's: the table is asked once for a row of packets.
            if last != Some(arrived.source) {
                let known = self.nat.find(index, arrived.source).or_else(|| {
                    let port = (index, port);
                    open(&mut self.nat, reactor, port, *buffer_bytes, &arrived)
                });
                let Some(flow) = known.and_then(|slot| self.nat.get_mut(slot)) else {
                    self.counters.nat_full += 1;
                    return;
                };
                (flow.used, flow.local_ip) = (at, arrived.local_ip);
                last = Some(arrived.source);
            }
            let packet = packet(&mut self.pool, &arrived, arrived.source, listen);
            self.arrivals.push(Arrival {
                at,
                lane: UP,
                packet,
            });
        })
    }

    /// One batch from an upstream socket, back to its client.
    fn read_server(&mut self, slot: usize) -> io::Result<()> {
        let reading = self.setup.clock.reading();
        let Some(flow) = self.nat.get_mut(slot) else {
            return Ok(());
        };
        let port = &self.setup.ports[flow.port];
        let (listen, target, client) = (port.socket.local(), port.target, flow.client);
        flow.upstream.receive(&mut self.inbox, |arrived| {
            if (arrived.source.ip(), arrived.source.port()) != (target.ip(), target.port()) {
                self.counters.foreign += 1;
                return;
            }
            self.counters.received += 1;
            let at = reading.arrival(arrived.stamp);
            let packet = packet(&mut self.pool, &arrived, listen, client);
            self.arrivals.push(Arrival {
                at,
                lane: DOWN,
                packet,
            });
        })?;
        flow.used = reading.arrival(None);
        Ok(())
    }

    /// Everything read goes into its link, in order of arrival.
    fn enter(&mut self) {
        self.arrivals.sort_by_key(|arrival| arrival.at);
        let (ports, nat) = (&self.setup.ports, &self.nat);
        for Arrival { at, lane, packet } in self.arrivals.drain(..) {
            let mut out = sink(ports, nat, &mut self.departures, &mut self.counters);
            let out = &mut |due, packet| out(lane, due, packet);
            self.setup.lanes.get_mut(lane).push(at, packet, out);
        }
    }

    /// Everything due goes out.
    fn leave(&mut self, now: Time) {
        let (ports, nat) = (&self.setup.ports, &self.nat);
        let out = sink(ports, nat, &mut self.departures, &mut self.counters);
        self.setup.lanes.advance(now, out);
        self.outbox.flush(
            &mut self.departures,
            ports,
            nat,
            &mut self.setup.lanes,
            &mut self.counters,
        );
        for departure in self.departures.drain(..) {
            if self.pool.len() < POOL_MAX {
                self.pool.push(departure.payload);
            }
        }
    }

    /// What can wait for a quiet moment.
    fn tidy(&mut self, now: Time) {
        let quiet_until = now.plus_nanos(QUIET_NS);
        let quiet = |lanes: &Lanes| lanes.next_wakeup().is_none_or(|at| at > quiet_until);
        self.setup.lanes.keep_records(quiet);
        if now.as_nanos().saturating_sub(self.swept.as_nanos()) >= self.sweep_every_ns() {
            self.swept = now;
            self.forgotten.clear();
            self.forget_idle(now);
        }
        if let Some(every_ns) = self.setup.rebind_ns {
            let passed = now.nanos_since(self.rebound) / every_ns;
            if passed > 0 {
                self.rebound = self.rebound.plus_nanos(passed * every_ns);
                self.rebind();
            }
        }
    }

    const fn sweep_every_ns(&self) -> u64 {
        let quarter_ns = self.setup.idle_ns / 4;
        if quarter_ns == 0 { 1 } else { quarter_ns }
    }

    fn forget_idle(&mut self, now: Time) {
        let before = now.as_nanos().saturating_sub(self.setup.idle_ns);
        let idle = self.nat.idle_since(Time::from_nanos(before));
        let flows: Vec<Flow> = idle
            .into_iter()
            .filter_map(|slot| {
                let flow = self.nat.remove(slot)?;
                let token = FLOW_TOKENS + slot as u64;
                // Closing the socket, a moment later, removes it as well.
                let _ = self.setup.reactor.remove(flow.upstream.inner(), token);
                Some(flow)
            })
            .collect();
        self.count_overflow(flows.iter().map(|flow| &flow.upstream));
    }

    /// What these sockets dropped is counted before they are closed.
    fn count_overflow<'a>(&mut self, sockets: impl Iterator<Item = &'a Socket>) {
        let inodes = overflow::inodes(sockets.map(Socket::inner));
        if inodes.is_empty() {
            return;
        }
        if let Some(dropped) = overflow::dropped(&inodes) {
            *self.counters.receive_overflow.get_or_insert(0) += dropped;
        }
    }
}

impl Answers for Worker {
    fn next_message(&self) -> Option<Message> {
        self.setup.messages.try_recv().ok()
    }

    fn snapshot(&self) -> Snapshot {
        let listened = self.setup.ports.iter().map(|port| port.socket.inner());
        let upstream = self.nat.iter().map(|(_, flow)| flow.upstream.inner());
        let buffer_bytes = self
            .setup
            .ports
            .iter()
            .map(|port| port.socket.receive_buffer_bytes() as u64);
        let [forward, reverse] = self.setup.lanes.snapshots();
        Snapshot {
            duration_ns: self.setup.clock.now().nanos_since(self.started),
            processor_ns: processor_ns(),
            forward,
            reverse,
            budget: self.setup.lanes.budget(),
            limit_ns: self.setup.lanes.limit_ns(),
            counters: ProxyCounters {
                flows: self.nat.opened(),
                ..self.counters
            },
            inodes: overflow::inodes(listened.chain(upstream)),
            receive_buffer_bytes: buffer_bytes.min().unwrap_or(0),
            warnings: self.setup.warnings.clone(),
            failure: None,
        }
    }

    fn set_network(&mut self, links: &[DirectionProfile; 2]) {
        let now = self.setup.clock.now();
        let (ports, nat) = (&self.setup.ports, &self.nat);
        let out = sink(ports, nat, &mut self.departures, &mut self.counters);
        self.setup.lanes.set_network(now, links, out);
    }

    fn rebind(&mut self) -> u64 {
        self.forgotten.clear();
        let Setup {
            reactor,
            ports,
            buffer_bytes,
            ..
        } = &mut self.setup;
        for (slot, flow) in self.nat.iter_mut() {
            let token = FLOW_TOKENS + slot as u64;
            let bound = Socket::upstream(ports[flow.port].target, *buffer_bytes);
            let moved = bound.and_then(|bound| {
                reactor.remove(flow.upstream.inner(), token)?;
                let before = std::mem::replace(&mut flow.upstream, bound);
                self.forgotten.push(before);
                reactor.add(flow.upstream.inner(), token)
            });
            if let Err(error) = moved {
                tracing::warn!(%error, client = %flow.client, "no other upstream socket");
            }
        }
        let forgotten = std::mem::take(&mut self.forgotten);
        self.count_overflow(forgotten.iter());
        let count = forgotten.len() as u64;
        self.forgotten = forgotten;
        self.counters.rebound += count;
        count
    }
}

/// A flow for a client not seen before, if there is room for it and a socket to be had.
fn open(
    nat: &mut Nat,
    reactor: &mut Reactor,
    (index, port): (usize, &Port),
    buffer_bytes: usize,
    arrived: &Arrived<'_>,
) -> Option<usize> {
    if nat.is_full() {
        return None;
    }
    let opened = Socket::upstream(port.target, buffer_bytes).and_then(|upstream| {
        let token = FLOW_TOKENS + nat.next_slot() as u64;
        reactor.add(upstream.inner(), token)?;
        Ok(upstream)
    });
    match opened {
        Ok(upstream) => Some(nat.insert(Flow {
            port: index,
            client: arrived.source,
            local_ip: arrived.local_ip,
            upstream,
            used: Time::from_nanos(0),
        })),
        Err(error) => {
            tracing::warn!(%error, client = %arrived.source, "no upstream socket");
            None
        }
    }
}

fn packet(
    pool: &mut Vec<Vec<u8>>,
    arrived: &Arrived<'_>,
    source: SocketAddr,
    destination: SocketAddr,
) -> Packet {
    let mut payload = pool.pop().unwrap_or_default();
    payload.clear();
    payload.extend_from_slice(arrived.payload);
    Packet::new(source, destination, arrived.ecn, payload)
}

/// Where packets leaving a link go: they are matched with their flow again by their addresses.
fn sink(
    ports: &[Port],
    nat: &Nat,
    departures: &mut Vec<Departure>,
    counters: &mut ProxyCounters,
) -> impl FnMut(usize, Time, Packet) {
    move |lane, due, packet| {
        let (listen, client) = if lane == UP {
            (packet.destination, packet.source)
        } else {
            (packet.source, packet.destination)
        };
        let port = ports.iter().position(|port| port.socket.local() == listen);
        let Some(slot) = port.and_then(|port| nat.find(port, client)) else {
            counters.unroutable += 1;
            return;
        };
        departures.push(Departure {
            due,
            slot,
            up: lane == UP,
            ecn: packet.ecn,
            payload: packet.payload,
        });
    }
}
