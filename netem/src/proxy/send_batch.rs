//! Sending what is due: consecutive packets to the same peer go out in one system call.

use std::net::{IpAddr, SocketAddr};

use super::{
    clock::Clock,
    nat::{FlowId, Nat},
    paced_links::PacedLinks,
    port::Port,
    report::ProxyCounters,
    socket::{SEND_BYTES_MAX, Socket},
};
use crate::{Direction, Time};

/// A packet that has come out of its link.
pub(crate) struct Outgoing {
    pub(crate) due: Time,
    pub(crate) flow: FlowId,
    pub(crate) direction: Direction,
    pub(crate) ecn: u8,
    pub(crate) payload: Vec<u8>,
}

/// The way of the packets of one flow and direction to their peer.
struct Route<'a> {
    socket: &'a Socket,
    destination: SocketAddr,
    source_ip: Option<IpAddr>,
}

/// The packets that are due.
pub(crate) struct SendBatch {
    packets: Vec<Outgoing>,
    /// The buffer in which a run of packets is joined.
    joined: Vec<u8>,
    clock: Clock,
}

impl SendBatch {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            packets: Vec::new(),
            joined: Vec::with_capacity(SEND_BYTES_MAX),
            clock,
        }
    }

    pub(crate) fn push(&mut self, packet: Outgoing) {
        self.packets.push(packet);
    }

    /// Sends every packet and records how late each was; the payloads go to `recycle`.
    ///
    /// Within a flow and direction the order stays; between flows it is free.
    pub(crate) fn flush(
        &mut self,
        ports: &[Port],
        nat: &Nat,
        links: &mut PacedLinks,
        counters: &mut ProxyCounters,
        mut recycle: impl FnMut(Vec<u8>),
    ) {
        let mut packets = std::mem::take(&mut self.packets);
        let client_to_server = links.client_to_server();
        // Sorted, packets of one flow stand together even where flows alternate on the link, and
        // more of them fit into one call.
        // Two are in order or need two calls anyway. The sort is stable: the order within a flow
        // stays.
        if packets.len() > 2 {
            packets.sort_by_key(|packet| (packet.flow, packet.direction == client_to_server));
        }
        let mut rest = &*packets;
        while let Some(first) = rest.first() {
            let Some(route) = route(first, client_to_server, ports, nat) else {
                counters.unroutable += 1;
                rest = &rest[1..];
                continue;
            };
            let (run, after) = rest.split_at(run_length(rest, route.socket.segments_max()));
            self.send_run(run, &route, links, counters);
            rest = after;
        }
        // The vector is kept as well: this runs many thousand times a second.
        packets.drain(..).for_each(|packet| recycle(packet.payload));
        self.packets = packets;
    }

    fn send_run(
        &mut self,
        run: &[Outgoing],
        route: &Route<'_>,
        links: &mut PacedLinks,
        counters: &mut ProxyCounters,
    ) {
        if run.len() > 1 {
            self.joined.clear();
            for packet in run {
                self.joined.extend_from_slice(&packet.payload);
            }
            if route.send(&self.joined, &run[0]).is_ok() {
                self.sent(run, links, counters);
                return;
            }
            // Only the segmentation may have been refused, as an interface without it does: the
            // packets are sent one by one before any counts as an error.
        }
        for packet in run {
            match route.send(&packet.payload, packet) {
                Ok(()) => self.sent(std::slice::from_ref(packet), links, counters),
                Err(error) => {
                    tracing::debug!(%error, destination = %route.destination, "send refused");
                    counters.send_errors += 1;
                }
            }
        }
    }

    fn sent(&self, run: &[Outgoing], links: &mut PacedLinks, counters: &mut ProxyCounters) {
        // After the call, and once for the run: the packets leave together.
        let now = self.clock.now();
        counters.sent += run.len() as u64;
        for packet in run {
            let measured = links.measured_mut(packet.direction);
            measured.lateness.record(now.nanos_since(packet.due));
        }
    }
}

impl Route<'_> {
    fn send(&self, contents: &[u8], first: &Outgoing) -> std::io::Result<()> {
        let segment_bytes = first.payload.len();
        self.socket.send(
            self.destination,
            self.source_ip,
            first.ecn,
            contents,
            segment_bytes,
        )
    }
}

fn route<'a>(
    packet: &Outgoing,
    client_to_server: Direction,
    ports: &'a [Port],
    nat: &'a Nat,
) -> Option<Route<'a>> {
    let flow = nat.get(packet.flow)?;
    let port = ports.get(flow.port)?;
    Some(if packet.direction == client_to_server {
        Route {
            socket: &flow.upstream,
            destination: port.target,
            source_ip: None,
        }
    } else {
        Route {
            socket: &port.socket,
            destination: flow.client,
            source_ip: flow.local_ip,
        }
    })
}

/// The number of packets at the front that one send may hold: of one flow and direction, with
/// equal ECN bits, and of equal size except for a shorter last one.
fn run_length(packets: &[Outgoing], segments_max: usize) -> usize {
    let Some(first) = packets.first() else {
        return 0;
    };
    let size = first.payload.len();
    let mut bytes = size;
    let mut length = 1;
    // Segmentation has no way to say that there is an empty datagram.
    if size == 0 {
        return length;
    }
    for next in &packets[1..] {
        let len = next.payload.len();
        let alike =
            (next.flow, next.direction, next.ecn) == (first.flow, first.direction, first.ecn);
        let fits = length < segments_max && bytes + len <= SEND_BYTES_MAX;
        // The kernel cuts at equal lengths: a longer or empty datagram in the middle would be cut
        // into others.
        if !alike || !fits || len > size || len == 0 {
            break;
        }
        bytes += len;
        length += 1;
        if len < size {
            break;
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(flow: FlowId, direction: Direction, ecn: u8, size: usize) -> Outgoing {
        Outgoing {
            due: Time::ZERO,
            flow,
            direction,
            ecn,
            payload: vec![0; size],
        }
    }

    fn flows() -> [FlowId; 2] {
        let mut ids = slotmap::SlotMap::with_key();
        [ids.insert(()), ids.insert(())]
    }

    fn run(sizes: &[usize], segments_max: usize) -> usize {
        let [flow, _] = flows();
        let packets: Vec<_> = sizes
            .iter()
            .map(|size| outgoing(flow, Direction::Forward, 0, *size))
            .collect();
        run_length(&packets, segments_max)
    }

    #[test]
    fn equal_sizes_are_joined_and_a_shorter_one_ends_the_run() {
        assert_eq!(run(&[1200, 1200, 700, 1200], 64), 3);
        assert_eq!(run(&[700, 1200], 64), 1);
        assert_eq!(run(&[1200], 64), 1);
        assert_eq!(run(&[], 64), 0);
    }

    #[test]
    fn an_empty_datagram_is_never_joined() {
        assert_eq!(run(&[0, 0], 64), 1);
        assert_eq!(run(&[1200, 0], 64), 1);
    }

    #[test]
    fn a_run_ends_at_the_limits_of_the_system() {
        assert_eq!(run(&[10; 100], 64), 64);
        assert_eq!(run(&[10; 100], 1), 1);
        assert_eq!(run(&[9000; 20], 64), SEND_BYTES_MAX / 9000);
    }

    #[test]
    fn another_flow_direction_or_ecn_mark_ends_a_run() {
        let [one, two] = flows();
        let others = [
            (two, Direction::Forward, 0),
            (one, Direction::Reverse, 0),
            (one, Direction::Forward, 3),
        ];
        for (flow, direction, ecn) in others {
            let first = outgoing(one, Direction::Forward, 0, 50);
            let packets = [first, outgoing(flow, direction, ecn, 50)];
            assert_eq!(run_length(&packets, 64), 1);
        }
    }
}
