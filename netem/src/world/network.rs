//! The hosts' addresses and the way of a datagram from a socket to a socket.
//!
//! A destination on the sender's own side is reached directly; everything else, known or not,
//! lies beyond the link, so datagrams to a host that has gone still load the bottleneck.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    task::Waker,
};

use slotmap::SlotMap;

use super::{
    WorldConfig,
    host_state::HostState,
    id::{HostId, Incarnation, SocketId},
    open_socket::OpenSocket,
    pool::Pool,
    receive_queue::ReceiveQueue,
    stats::WorldStats,
};
use crate::{Time, link_pair::LinkPair, packet::Packet};

/// The datagrams that a socket sends in one call.
pub(super) struct Burst<'a> {
    pub(super) destination: SocketAddr,
    pub(super) ecn: u8,
    pub(super) contents: &'a [u8],
    /// The size of every datagram but the last; not 0.
    pub(super) segment_bytes: usize,
}

/// Links, hosts and sockets.
pub(super) struct Network {
    pub(super) links: LinkPair,
    /// Packets between hosts of one side, in order of arrival: all take the same time.
    local: VecDeque<(Time, Packet)>,
    local_delay_ns: u64,
    pub(super) hosts: Vec<HostState>,
    /// Sorted by address, for binary search.
    addresses: Vec<(IpAddr, HostId)>,
    sockets: SlotMap<SocketId, OpenSocket>,
    pub(super) pool: Pool,
    receive_queue_bytes: usize,
    pub(super) stats: WorldStats,
}

impl Network {
    pub(super) fn new(config: &WorldConfig) -> Self {
        let local_delay_ns = u64::try_from(config.local_delay.as_nanos()).unwrap_or(u64::MAX);
        Self {
            links: LinkPair::new(&config.links),
            local: VecDeque::new(),
            local_delay_ns,
            hosts: Vec::new(),
            addresses: Vec::new(),
            sockets: SlotMap::with_key(),
            pool: Pool::default(),
            receive_queue_bytes: config.receive_queue_bytes,
            stats: WorldStats::default(),
        }
    }

    /// The time of the next arrival.
    pub(super) fn next_event(&self) -> Option<Time> {
        let local = self.local.front().map(|(at, _)| *at);
        self.links.next_wakeup().into_iter().chain(local).min()
    }

    /// Delivers all that is due: from clients to servers, back, then between hosts of one side.
    pub(super) fn deliver_due(&mut self, now: Time, wakers: &mut Vec<Waker>) {
        for direction in self.links.service_order() {
            // Most events are of one link: the other is not advanced for nothing.
            if self.links[direction]
                .next_wakeup()
                .is_some_and(|at| at <= now)
            {
                while let Some(packet) = self.links[direction].pop(now) {
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
        // Without an ICMP message: none would cross the links, and a peer that has gone is silent.
        let Some(socket) = found.and_then(|id| self.sockets.get_mut(id)) else {
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

    /// Assigns `ip`, which no host may have, to the host.
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
        let queue = ReceiveQueue::new(self.receive_queue_bytes);
        let id = self.sockets.insert(OpenSocket::new(host, port, queue));
        self.hosts[host.index()].claim(port, id);
        id
    }

    /// Closes a socket, if it is still open. Its waker is handed back: it must not be woken or
    /// dropped under the lock.
    pub(super) fn close(&mut self, id: SocketId) -> Option<Waker> {
        let mut socket = self.sockets.remove(id)?;
        self.hosts[socket.host.index()].release(socket.port);
        while let Some(packet) = socket.queue.pop() {
            self.pool.give(packet.payload);
        }
        socket.waker
    }

    /// Takes a host down: closes its sockets.
    pub(super) fn kill(&mut self, host: HostId, wakers: &mut Vec<Waker>) -> Incarnation {
        let state = &mut self.hosts[host.index()];
        let killed = state.incarnation(host);
        // Raised at the kill, not at the restart: what is spawned in between belongs to no
        // incarnation that runs.
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
        self.sockets.get_mut(id).ok_or_else(closed)
    }

    /// An open socket, and the pool for what is taken out of it.
    pub(super) fn socket_and_pool(
        &mut self,
        id: SocketId,
    ) -> io::Result<(&mut OpenSocket, &mut Pool)> {
        let socket = self.sockets.get_mut(id).ok_or_else(closed)?;
        Ok((socket, &mut self.pool))
    }

    pub(super) fn local_addr(&mut self, id: SocketId) -> io::Result<SocketAddr> {
        let socket = self.socket(id)?;
        let (host, port) = (socket.host, socket.port);
        Ok(SocketAddr::new(self.hosts[host.index()].ip, port))
    }

    /// Sends datagrams from an open socket.
    pub(super) fn send(&mut self, now: Time, from: SocketId, burst: &Burst<'_>) -> io::Result<()> {
        let socket = self.socket(from)?;
        let (host, port) = (socket.host, socket.port);
        let sender = &self.hosts[host.index()];
        let (ip, outbound) = (sender.ip, sender.outbound);
        // A host has one address, so there is no route to the other IP version.
        if ip.is_ipv4() != burst.destination.is_ipv4() {
            let message = "no route from one IP version to the other";
            return Err(io::Error::new(io::ErrorKind::NetworkUnreachable, message));
        }
        let source = SocketAddr::new(ip, port);
        let receiver = self.host_at(burst.destination.ip());
        let is_local = receiver.is_some_and(|host| self.hosts[host.index()].outbound == outbound);
        let mut rest = burst.contents;
        loop {
            // At least once, also with nothing to send: an empty datagram is one.
            let (datagram, later) = rest.split_at(burst.segment_bytes.min(rest.len()));
            let payload = self.pool.filled(datagram);
            let packet = Packet::new(source, burst.destination, burst.ecn, payload);
            // An unknown destination is not local: datagrams to a host that has gone still load the
            // bottleneck, as on a real path.
            if is_local {
                let at = now.plus_nanos(self.local_delay_ns);
                self.local.push_back((at, packet));
            } else {
                self.stats.link_entries += 1;
                self.links[outbound].push(now, packet);
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
