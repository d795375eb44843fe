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
    nat::{Flow, FlowId, Nat},
    overflow,
    paced_links::PacedLinks,
    port::Port,
    reactor::{Reactor, WAKE, Waiter},
    report::{ProxyCounters, ProxyReport, Snapshot},
    send_batch::{Outgoing, SendBatch},
    socket::{Datagram, ReceiveBuffer, Socket},
};
use crate::{Direction, PerDirection, Time, packet::Packet, profile::DirectionProfile};

/// Payload buffers kept for reuse.
const POOL_MAX: usize = 4096;

/// Records are delivered when nothing is due for this long.
const QUIET_NS: u64 = 500_000;

/// Everything that a worker starts with.
pub(crate) struct Setup {
    pub(crate) clock: Clock,
    pub(crate) reactor: Reactor,
    /// Requests of other threads.
    pub(crate) messages: Receiver<Message>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) ports: Vec<Port>,
    pub(crate) links: PacedLinks,
    pub(crate) buffer_bytes: usize,
    pub(crate) flows_max: usize,
    pub(crate) idle_ns: u64,
    pub(crate) rebind_ns: Option<u64>,
    pub(crate) warnings: Vec<String>,
}

/// A datagram that was read and is not yet in its link.
struct Incoming {
    at: Time,
    direction: Direction,
    packet: Packet,
}

pub(crate) struct Worker {
    setup: Setup,
    nat: Nat,
    buffer: ReceiveBuffer,
    incoming: Vec<Incoming>,
    batch: SendBatch,
    pool: Vec<Vec<u8>>,
    counters: ProxyCounters,
    started: Time,
    swept: Time,
    rebound: Time,
    /// Upstream sockets before the last rebinding. They stay open, so that what the server still
    /// sends there is dropped silently, without an ICMP error.
    rebound_from: Vec<Socket>,
}

impl Worker {
    pub(crate) fn new(setup: Setup) -> Self {
        let started = setup.clock.now();
        Self {
            nat: Nat::new(setup.flows_max),
            buffer: ReceiveBuffer::new(),
            incoming: Vec::new(),
            batch: SendBatch::new(setup.clock),
            pool: Vec::new(),
            counters: ProxyCounters::default(),
            started,
            swept: started,
            rebound: started,
            rebound_from: Vec::new(),
            setup,
        }
    }

    /// Runs until it is asked to stop.
    pub(crate) fn run(mut self) -> ProxyReport {
        let failure = self.rounds().err().map(|error| error.to_string());
        self.setup.links.deliver_records();
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
            // One batch of each, not until it is empty: a flood on one socket must not keep the
            // others waiting.
            for &token in &ready {
                self.read(token);
            }
            self.push_incoming();
            self.answer();
            let now = self.setup.clock.now();
            self.send_due(now);
            self.tidy(now);
        }
        Ok(())
    }

    /// The time of the next work even if nothing arrives.
    fn deadline(&self) -> Option<Time> {
        let link = self.setup.links.next_wakeup();
        let sweep_ns = self.swept.as_nanos().saturating_add(self.sweep_every_ns());
        let sweep = (!self.nat.is_empty()).then(|| Time::from_nanos(sweep_ns));
        // Without clients there is nothing to forget or rebind: an idle proxy sleeps.
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
        // An error is counted, not fatal: ICMP reports on an earlier datagram come up as errors of
        // a read.
        let result = match FlowId::from_token(token) {
            Some(flow) => self.read_server(flow),
            None => self.read_clients(token as usize),
        };
        if let Err(error) = result {
            tracing::debug!(%error, "receive failed");
            self.counters.receive_errors += 1;
        }
    }

    /// Reads one batch from a listened port, on its way to the server.
    fn read_clients(&mut self, index: usize) -> io::Result<()> {
        let direction = self.setup.links.client_to_server();
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
        port.socket.receive(&mut self.buffer, |datagram| {
            self.counters.received += 1;
            let at = reading.arrival(datagram.stamp);
            // A batch is mostly one client's: the table is searched once for a run of packets.
            if last != Some(datagram.source) {
                let known = self.nat.find(index, datagram.source).or_else(|| {
                    let port = (index, port);
                    open(&mut self.nat, reactor, port, *buffer_bytes, &datagram)
                });
                // The table is full or no socket was available: an own drop, which the report holds
                // against the run.
                let Some(flow) = known.and_then(|id| self.nat.get_mut(id)) else {
                    self.counters.nat_full += 1;
                    return;
                };
                (flow.used, flow.local_ip) = (at, datagram.local_ip);
                last = Some(datagram.source);
            }
            let packet = packet(&mut self.pool, &datagram, datagram.source, listen);
            self.incoming.push(Incoming {
                at,
                direction,
                packet,
            });
        })
    }

    /// Reads one batch from an upstream socket, on its way back to the client.
    fn read_server(&mut self, id: FlowId) -> io::Result<()> {
        let direction = self.setup.links.client_to_server().opposite();
        let reading = self.setup.clock.reading();
        let Some(flow) = self.nat.get_mut(id) else {
            return Ok(());
        };
        let port = &self.setup.ports[flow.port];
        let (listen, target, client) = (port.socket.local(), port.target, flow.client);
        flow.upstream.receive(&mut self.buffer, |datagram| {
            // Compared without scope and flow label, which the kernel may fill in for IPv6.
            if (datagram.source.ip(), datagram.source.port()) != (target.ip(), target.port()) {
                self.counters.foreign += 1;
                return;
            }
            self.counters.received += 1;
            let at = reading.arrival(datagram.stamp);
            let packet = packet(&mut self.pool, &datagram, listen, client);
            self.incoming.push(Incoming {
                at,
                direction,
                packet,
            });
        })?;
        // Also when nothing but foreign datagrams came: a client whose server answers from
        // elsewhere is in use.
        flow.used = reading.arrival(None);
        Ok(())
    }

    /// Pushes everything that was read into its link, in order of arrival.
    fn push_incoming(&mut self) {
        // Sockets are read one after another, but the link must get packets in the order in which
        // they arrived, whichever socket they came by.
        self.incoming.sort_by_key(|incoming| incoming.at);
        let client_to_server = self.setup.links.client_to_server();
        let (ports, nat) = (&self.setup.ports, &self.nat);
        for Incoming {
            at,
            direction,
            packet,
        } in self.incoming.drain(..)
        {
            let batch = &mut self.batch;
            let out = sink(client_to_server, ports, nat, batch, &mut self.counters);
            self.setup.links.push(direction, at, packet, out);
        }
    }

    /// Sends everything that is due.
    fn send_due(&mut self, now: Time) {
        let client_to_server = self.setup.links.client_to_server();
        let (ports, nat, batch) = (&self.setup.ports, &self.nat, &mut self.batch);
        let out = sink(client_to_server, ports, nat, batch, &mut self.counters);
        self.setup.links.advance(now, out);
        let recycle = |payload| {
            // Bounded: after a burst its buffers would stay for the whole run.
            if self.pool.len() < POOL_MAX {
                self.pool.push(payload);
            }
        };
        let links = &mut self.setup.links;
        self.batch
            .flush(ports, nat, links, &mut self.counters, recycle);
    }

    /// Does what is not urgent: records, idle clients, rebinding.
    fn tidy(&mut self, now: Time) {
        let quiet_until = now.plus_nanos(QUIET_NS);
        let quiet = |links: &PacedLinks| links.next_wakeup().is_none_or(|at| at > quiet_until);
        self.setup.links.keep_records(quiet);
        // Four times in the idle time, so that a client is forgotten at most a quarter too late.
        if now.as_nanos().saturating_sub(self.swept.as_nanos()) >= self.sweep_every_ns() {
            self.swept = now;
            self.rebound_from.clear();
            self.forget_idle(now);
        }
        if let Some(every_ns) = self.setup.rebind_ns {
            let passed = now.nanos_since(self.rebound) / every_ns;
            // However many intervals have passed, one rebinding has the effect of all of them.
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
            .filter_map(|id| {
                let flow = self.nat.remove(id)?;
                // Closing the socket, soon after, removes it as well.
                let _ = self.setup.reactor.remove(flow.upstream.inner(), id.token());
                Some(flow)
            })
            .collect();
        self.count_overflow(flows.iter().map(|flow| &flow.upstream));
    }

    /// Counts what these sockets dropped; their counters end when they are closed.
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
        Snapshot {
            duration_ns: self.setup.clock.now().nanos_since(self.started),
            processor_ns: processor_ns(),
            links: self.setup.links.snapshots(),
            budget: self.setup.links.budget(),
            limit_ns: self.setup.links.limit_ns(),
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

    fn set_network(&mut self, profiles: &PerDirection<DirectionProfile>) {
        let now = self.setup.clock.now();
        let client_to_server = self.setup.links.client_to_server();
        let (ports, nat, batch) = (&self.setup.ports, &self.nat, &mut self.batch);
        let out = sink(client_to_server, ports, nat, batch, &mut self.counters);
        self.setup.links.set_network(now, profiles, out);
    }

    fn rebind(&mut self) -> u64 {
        self.rebound_from.clear();
        let Setup {
            reactor,
            ports,
            buffer_bytes,
            ..
        } = &mut self.setup;
        for (id, flow) in self.nat.iter_mut() {
            let token = id.token();
            let bound = Socket::upstream(ports[flow.port].target, *buffer_bytes);
            // The new socket is bound first: if that fails the client keeps the old one.
            let moved = bound.and_then(|bound| {
                reactor.remove(flow.upstream.inner(), token)?;
                let before = std::mem::replace(&mut flow.upstream, bound);
                self.rebound_from.push(before);
                reactor.add(flow.upstream.inner(), token)
            });
            if let Err(error) = moved {
                tracing::warn!(%error, client = %flow.client, "no other upstream socket");
            }
        }
        let rebound_from = std::mem::take(&mut self.rebound_from);
        self.count_overflow(rebound_from.iter());
        let count = rebound_from.len() as u64;
        self.rebound_from = rebound_from;
        self.counters.rebound += count;
        count
    }
}

/// Opens a flow for a client not seen before, if there is room for it and a socket available.
fn open(
    nat: &mut Nat,
    reactor: &mut Reactor,
    (index, port): (usize, &Port),
    buffer_bytes: usize,
    datagram: &Datagram<'_>,
) -> Option<FlowId> {
    // A new client is refused, an old one is never evicted for it: a port scan would otherwise cut
    // off the run's own clients.
    if nat.is_full() {
        return None;
    }
    let opened = nat.try_insert(|id| {
        let upstream = Socket::upstream(port.target, buffer_bytes)?;
        reactor.add(upstream.inner(), id.token())?;
        Ok::<_, io::Error>(Flow {
            port: index,
            client: datagram.source,
            local_ip: datagram.local_ip,
            upstream,
            used: Time::ZERO,
        })
    });
    opened
        .inspect_err(
            |error| tracing::warn!(%error, client = %datagram.source, "no upstream socket"),
        )
        .ok()
}

fn packet(
    pool: &mut Vec<Vec<u8>>,
    datagram: &Datagram<'_>,
    source: SocketAddr,
    destination: SocketAddr,
) -> Packet {
    let mut payload = pool.pop().unwrap_or_default();
    payload.clear();
    payload.extend_from_slice(datagram.payload);
    Packet::new(source, destination, datagram.ecn, payload)
}

/// Queues packets that come out of a link for sending: their addresses say to which flow they
/// belong.
fn sink(
    client_to_server: Direction,
    ports: &[Port],
    nat: &Nat,
    batch: &mut SendBatch,
    counters: &mut ProxyCounters,
) -> impl FnMut(Direction, Time, Packet) {
    move |direction, due, packet| {
        let (listen, client) = if direction == client_to_server {
            (packet.destination, packet.source)
        } else {
            (packet.source, packet.destination)
        };
        let port = ports.iter().position(|port| port.socket.local() == listen);
        // A client may have been forgotten while its packet was inside the link.
        let Some(flow) = port.and_then(|port| nat.find(port, client)) else {
            counters.unroutable += 1;
            return;
        };
        batch.push(Outgoing {
            due,
            flow,
            direction,
            ecn: packet.ecn,
            payload: packet.payload,
        });
    }
}
