//! Who is where, and how a datagram gets from a socket to a socket.
//!
//! A destination on the sender's own side is reached directly; everything else, known or not,
//! lies beyond the link, so datagrams to a host that has gone still load the bottleneck.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    task::{Context, Waker},
};

use super::{
    WorldConfig,
    host::{HostId, HostState, Incarnation, Side},
    pool::Pool,
    receive_queue::ReceiveQueue,
    stats::WorldStats,
};
use crate::{Direction, Time, link::Link, packet::Packet};

/// Names a socket; the generation tells it from an earlier one in the same slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SocketId {
    slot: u32,
    generation: u32,
}

struct SocketSlot {
    generation: u32,
    socket: Option<OpenSocket>,
}

/// A socket's end inside the network.
pub(super) struct OpenSocket {
    host: HostId,
    port: u16,
    pub(super) queue: ReceiveQueue,
    /// The task that waits for a datagram.
    waker: Option<Waker>,
}

impl OpenSocket {
    /// Has the task woken by the next datagram. A replaced waker is handed back: it must not be
    /// dropped under the lock.
    pub(super) fn watch(&mut self, cx: &Context<'_>) -> Option<Waker> {
        debug_assert!(
            self.queue.is_empty(),
            "waits though there is something to read"
        );
        if self
            .waker
            .as_ref()
            .is_some_and(|old| old.will_wake(cx.waker()))
        {
            return None;
        }
        self.waker.replace(cx.waker().clone())
    }
}

/// What a socket sends in one call.
pub(super) struct Burst<'a> {
    pub(super) destination: SocketAddr,
    pub(super) ecn: u8,
    pub(super) contents: &'a [u8],
    /// The size of every datagram but the last; not 0.
    pub(super) segment_bytes: usize,
}

/// Links, hosts and sockets.
pub(super) struct Network {
    /// From the clients to the servers, and back.
    links: [Link; 2],
    client_to_server: Direction,
    /// Between hosts of one side, in order of arrival: all take the same time.
    local: VecDeque<(Time, Packet)>,
    local_delay_ns: u64,
    pub(super) hosts: Vec<HostState>,
    /// Sorted, for a search by halves.
    addresses: Vec<(IpAddr, HostId)>,
    sockets: Vec<SocketSlot>,
    free: Vec<u32>,
    pub(super) pool: Pool,
    receive_queue_bytes: usize,
    pub(super) stats: WorldStats,
}

impl Network {
    pub(super) fn new(config: &WorldConfig) -> Self {
        let link = |direction| {
            let profile = match direction {
                Direction::Forward => &config.forward,
                Direction::Reverse => &config.reverse,
            };
            Link::new(profile, config.seed, direction)
        };
        let links = match config.client_to_server {
            Direction::Forward => [link(Direction::Forward), link(Direction::Reverse)],
            Direction::Reverse => [link(Direction::Reverse), link(Direction::Forward)],
        };
        let local_delay_ns = u64::try_from(config.local_delay.as_nanos()).unwrap_or(u64::MAX);
        Self {
            links,
            client_to_server: config.client_to_server,
            local: VecDeque::new(),
            local_delay_ns,
            hosts: Vec::new(),
            addresses: Vec::new(),
            sockets: Vec::new(),
            free: Vec::new(),
            pool: Pool::default(),
            receive_queue_bytes: config.receive_queue_bytes,
            stats: WorldStats::default(),
        }
    }

    pub(super) fn link(&mut self, direction: Direction) -> &mut Link {
        &mut self.links[usize::from(direction != self.client_to_server)]
    }

    /// When something is due next.
    pub(super) fn next_event(&self) -> Option<Time> {
        let local = self.local.front().map(|(at, _)| *at);
        let links = self.links.iter().filter_map(Link::next_wakeup);
        links.chain(local).min()
    }

    /// Delivers all that is due: from clients to servers, back, then within the sides.
    pub(super) fn deliver_due(&mut self, now: Time, wakers: &mut Vec<Waker>) {
        for index in 0..self.links.len() {
            if self.links[index].next_wakeup().is_some_and(|at| at <= now) {
                while let Some(packet) = self.links[index].pop(now) {
                    self.stats.link_exits += 1;
                    self.deliver(packet, wakers);
                }
            }
        }
        while let Some((_, packet)) = self.local.pop_front_if(|(at, _)| *at <= now) {
            self.stats.local_packets += 1;
            self.deliver(packet, wakers);
        }
    }

    fn deliver(&mut self, packet: Packet, wakers: &mut Vec<Waker>) {
        let found = self.find(packet.destination);
        let Some(socket) = found.and_then(|id| self.sockets[id.slot as usize].socket.as_mut())
        else {
            self.stats.dropped_unclaimed += 1;
            self.pool.give(packet.payload);
            return;
        };
        match socket.queue.push(packet) {
            Ok(()) => {
                self.stats.delivered += 1;
                wakers.extend(socket.waker.take());
            }
            Err(refused) => {
                self.stats.dropped_queue_full += 1;
                self.pool.give(refused.payload);
            }
        }
    }

    fn find(&self, destination: SocketAddr) -> Option<SocketId> {
        let host = self.host_at(destination.ip())?;
        self.hosts[host.index()].socket_at(destination.port())
    }

    pub(super) fn host_at(&self, ip: IpAddr) -> Option<HostId> {
        let found = self.addresses.binary_search_by_key(&ip, |(ip, _)| *ip);
        found.ok().map(|index| self.addresses[index].1)
    }

    /// Makes `ip` the host's; it must be nobody's.
    pub(super) fn assign(&mut self, ip: IpAddr, host: HostId) {
        let found = self.addresses.binary_search_by_key(&ip, |(ip, _)| *ip);
        debug_assert!(found.is_err(), "{ip} is taken");
        let (Ok(index) | Err(index)) = found;
        self.addresses.insert(index, (ip, host));
    }

    pub(super) fn unassign(&mut self, ip: IpAddr) {
        self.addresses.retain(|(assigned, _)| *assigned != ip);
    }

    pub(super) fn open(&mut self, host: HostId, port: u16) -> SocketId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.sockets.push(SocketSlot {
                generation: 0,
                socket: None,
            });
            u32::try_from(self.sockets.len() - 1).expect("fewer than 2^32 sockets at once")
        });
        let place = &mut self.sockets[slot as usize];
        place.socket = Some(OpenSocket {
            host,
            port,
            queue: ReceiveQueue::new(self.receive_queue_bytes),
            waker: None,
        });
        let id = SocketId {
            slot,
            generation: place.generation,
        };
        self.hosts[host.index()].claim(port, id);
        id
    }

    /// Closes a socket, if it is open still. Its waker is handed back: it must not be woken or
    /// dropped under the lock.
    pub(super) fn close(&mut self, id: SocketId) -> Option<Waker> {
        let place = &mut self.sockets[id.slot as usize];
        if place.generation != id.generation {
            return None;
        }
        let mut socket = place.socket.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(id.slot);
        self.hosts[socket.host.index()].release(socket.port);
        while let Some(packet) = socket.queue.pop() {
            self.pool.give(packet.payload);
        }
        socket.waker
    }

    /// Takes a host down: closes its sockets.
    pub(super) fn kill(&mut self, host: HostId, wakers: &mut Vec<Waker>) -> Incarnation {
        let state = &mut self.hosts[host.index()];
        let killed = Incarnation {
            host,
            epoch: state.epoch,
        };
        state.epoch += 1;
        state.is_up = false;
        for id in state.sockets() {
            wakers.extend(self.close(id));
        }
        killed
    }

    /// An open socket.
    ///
    /// # Errors
    /// `NotConnected` when it was closed with its host.
    pub(super) fn socket(&mut self, id: SocketId) -> io::Result<&mut OpenSocket> {
        let place = &mut self.sockets[id.slot as usize];
        let socket = place
            .socket
            .as_mut()
            .filter(|_| place.generation == id.generation);
        socket.ok_or_else(closed)
    }

    /// An open socket, and the pool for what is taken out of it.
    pub(super) fn socket_and_pool(
        &mut self,
        id: SocketId,
    ) -> io::Result<(&mut OpenSocket, &mut Pool)> {
        let place = &mut self.sockets[id.slot as usize];
        let socket = place
            .socket
            .as_mut()
            .filter(|_| place.generation == id.generation);
        Ok((socket.ok_or_else(closed)?, &mut self.pool))
    }

    pub(super) fn local_addr(&mut self, id: SocketId) -> io::Result<SocketAddr> {
        let socket = self.socket(id)?;
        let (host, port) = (socket.host, socket.port);
        Ok(SocketAddr::new(self.hosts[host.index()].ip, port))
    }

    /// Puts datagrams on their way.
    pub(super) fn send(&mut self, now: Time, from: SocketId, burst: &Burst<'_>) -> io::Result<()> {
        let socket = self.socket(from)?;
        let (host, port) = (socket.host, socket.port);
        let sender = &self.hosts[host.index()];
        let (ip, side) = (sender.ip, sender.side);
        if ip.is_ipv4() != burst.destination.is_ipv4() {
            let message = "no route from one IP version to the other";
            return Err(io::Error::new(io::ErrorKind::NetworkUnreachable, message));
        }
        let source = SocketAddr::new(ip, port);
        let receiver = self.host_at(burst.destination.ip());
        let is_local = receiver.is_some_and(|host| self.hosts[host.index()].side == side);
        let mut rest = burst.contents;
        loop {
            let (datagram, later) = rest.split_at(burst.segment_bytes.min(rest.len()));
            let payload = self.pool.filled(datagram);
            let packet = Packet::new(source, burst.destination, burst.ecn, payload);
            if is_local {
                let at = now.plus_nanos(self.local_delay_ns);
                self.local.push_back((at, packet));
            } else {
                self.stats.link_entries += 1;
                self.links[usize::from(side == Side::Server)].push(now, packet);
            }
            rest = later;
            if rest.is_empty() {
                return Ok(());
            }
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "the socket was closed when its host was killed",
    )
}
