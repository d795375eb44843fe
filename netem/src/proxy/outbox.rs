//! Sending what is due: neighbours to the same peer go out in one system call.

use super::{
    clock::Clock,
    lane::Lane,
    lanes::{DOWN, Lanes, UP},
    nat::Nat,
    report::ProxyCounters,
    socket::{SEND_BYTES_MAX, Socket},
    worker::Port,
};
use crate::Time;
use std::net::{IpAddr, SocketAddr};

/// A packet that has left its link.
pub(crate) struct Departure {
    pub(crate) due: Time,
    /// The flow it belongs to.
    pub(crate) slot: usize,
    /// To the server, or to the client.
    pub(crate) up: bool,
    pub(crate) ecn: u8,
    pub(crate) payload: Vec<u8>,
}

/// Where the packets of one flow and direction go.
struct Route<'a> {
    socket: &'a Socket,
    destination: SocketAddr,
    source_ip: Option<IpAddr>,
}

/// Sends departures; keeps the buffer in which they are joined.
pub(crate) struct Outbox {
    joined: Vec<u8>,
    clock: Clock,
}

impl Outbox {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            joined: Vec::with_capacity(SEND_BYTES_MAX),
            clock,
        }
    }

    /// Sends everything in `departures` and notes how late each was.
    ///
    /// Within a flow and direction the order stays; between flows it is free.
    pub(crate) fn flush(
        &mut self,
        departures: &mut [Departure],
        ports: &[Port],
        nat: &Nat,
        lanes: &mut Lanes,
        counters: &mut ProxyCounters,
    ) {
        if departures.len() > 2 {
            departures.sort_by_key(|departure| (departure.slot, departure.up));
        }
        let mut rest = &*departures;
        while let Some(first) = rest.first() {
            let Some(route) = route(first, ports, nat) else {
                counters.unroutable += 1;
                rest = &rest[1..];
                continue;
            };
            let (run, after) = rest.split_at(run_length(rest, route.socket.segments_max()));
            let lane = lanes.get_mut(if first.up { UP } else { DOWN });
            self.send_run(run, &route, lane, counters);
            rest = after;
        }
    }

    fn send_run(
        &mut self,
        run: &[Departure],
        route: &Route<'_>,
        lane: &mut Lane,
        counters: &mut ProxyCounters,
    ) {
        if run.len() > 1 {
            self.joined.clear();
            for departure in run {
                self.joined.extend_from_slice(&departure.payload);
            }
            if route.send(&self.joined, &run[0]).is_ok() {
                self.sent(run, lane, counters);
                return;
            }
            // Perhaps only the joining was refused: one by one, then.
        }
        for departure in run {
            match route.send(&departure.payload, departure) {
                Ok(()) => self.sent(std::slice::from_ref(departure), lane, counters),
                Err(error) => {
                    tracing::debug!(%error, destination = %route.destination, "send refused");
                    counters.send_errors += 1;
                }
            }
        }
    }

    fn sent(&self, run: &[Departure], lane: &mut Lane, counters: &mut ProxyCounters) {
        let now_ns = self.clock.now().as_nanos();
        counters.sent += run.len() as u64;
        for departure in run {
            let late_ns = now_ns.saturating_sub(departure.due.as_nanos());
            lane.measured.lateness.record(late_ns);
        }
    }
}

impl Route<'_> {
    fn send(&self, contents: &[u8], first: &Departure) -> std::io::Result<()> {
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

fn route<'a>(departure: &Departure, ports: &'a [Port], nat: &'a Nat) -> Option<Route<'a>> {
    let flow = nat.get(departure.slot)?;
    let port = ports.get(flow.port)?;
    Some(if departure.up {
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

/// How many of the first departures may go in one send: one flow and direction, equal ECN bits,
/// equal size except for a shorter last one.
fn run_length(departures: &[Departure], segments_max: usize) -> usize {
    let Some(first) = departures.first() else {
        return 0;
    };
    let size = first.payload.len();
    let mut bytes = size;
    let mut length = 1;
    if size == 0 {
        return length;
    }
    for next in &departures[1..] {
        let len = next.payload.len();
        let alike = (next.slot, next.up, next.ecn) == (first.slot, first.up, first.ecn);
        let fits = length < segments_max && bytes + len <= SEND_BYTES_MAX;
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

    fn departure(slot: usize, up: bool, ecn: u8, size: usize) -> Departure {
        Departure {
            due: Time::from_nanos(0),
            slot,
            up,
            ecn,
            payload: vec![0; size],
        }
    }

    fn run(sizes: &[usize], segments_max: usize) -> usize {
        let departures: Vec<_> = sizes
            .iter()
            .map(|size| departure(1, true, 0, *size))
            .collect();
        run_length(&departures, segments_max)
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
        let others = [(2, true, 0), (1, false, 0), (1, true, 3)];
        for (slot, up, ecn) in others {
            let departures = [departure(1, true, 0, 50), departure(slot, up, ecn, 50)];
            assert_eq!(run_length(&departures, 64), 1);
        }
    }
}
