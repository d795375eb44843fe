//! FlowQueue-CoDel (RFC 8290): a queue with CoDel for each flow, served in turn, those that have
//! just become active first.
//!
//! Departs from Linux in two points, where Linux departs from the RFCs: the two packets that
//! CoDel leaves alone are two of the flow, not of all flows; and of the fattest queue half the
//! packets are dropped, not half the bytes.

use std::{collections::VecDeque, net::IpAddr, net::SocketAddr};

use rand::Rng;

use super::settings::FqCoDelSettings;
use crate::{
    Time,
    impair::queue::{
        codel::{CoDel, CoDelSettings},
        fifo::Fifo,
    },
    in_flight::InFlight,
    packet::Packet,
    rng::{RngStreams, fnv1a},
};

/// §4.1: the most packets dropped at once when there is no room.
const DROP_BATCH_MAX: u64 = 64;

#[derive(Debug)]
pub(crate) struct FqCoDel {
    quantum: i64,
    ce_threshold_ns: Option<u64>,
    /// Prefix of what is hashed, so that no sender can predict which flows share a queue.
    salt: u64,
    flows: Vec<Flow>,
    new: VecDeque<usize>,
    old: VecDeque<usize>,
    bytes: u64,
    packets: u64,
}

#[derive(Debug)]
struct Flow {
    fifo: Fifo,
    codel: CoDel,
    deficit: i64,
    /// Set while it is in one of the two lists.
    listed: bool,
}

impl FqCoDel {
    pub(crate) fn new(settings: &FqCoDelSettings, mtu_bytes: u64, streams: RngStreams) -> Self {
        let codel = CoDelSettings {
            target: settings.target,
            interval: settings.interval,
            ecn: settings.ecn,
        };
        let quantum = settings.quantum.map_or(mtu_bytes, |quantum| quantum.0);
        let flow = |_| Flow {
            fifo: Fifo::default(),
            codel: CoDel::new(codel, mtu_bytes),
            deficit: 0,
            listed: false,
        };
        Self {
            quantum: i64::try_from(quantum).unwrap_or(i64::MAX),
            ce_threshold_ns: settings.ce_threshold.map(|threshold| threshold.0),
            salt: streams.generator("flows").next_u64(),
            flows: (0..settings.flows).map(flow).collect(),
            new: VecDeque::new(),
            old: VecDeque::new(),
            bytes: 0,
            packets: 0,
        }
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) const fn packets(&self) -> u64 {
        self.packets
    }

    /// §4.1: the packet joins its flow's queue.
    pub(crate) fn push(&mut self, in_flight: Box<InFlight>) {
        let place = self.place(&in_flight.packet);
        let flow = &mut self.flows[place];
        self.bytes += in_flight.link_bytes;
        self.packets += 1;
        flow.fifo.push(in_flight);
        // A flow that has been silent is served before the others once (§4.1): sparse traffic finds
        // no queue.
        if !flow.listed {
            flow.listed = true;
            flow.deficit = self.quantum;
            self.new.push_back(place);
        }
    }

    /// Takes out everything, flow by flow.
    pub(crate) fn drain(&mut self) -> VecDeque<Box<InFlight>> {
        (self.bytes, self.packets) = (0, 0);
        let flows = self.flows.iter_mut();
        flows.flat_map(|flow| flow.fifo.drain()).collect()
    }

    /// Drops half of the queue with the most bytes, from its head on, for lack of room.
    pub(crate) fn drop_fattest(&mut self, dropped: &mut VecDeque<Box<InFlight>>) {
        // Reversed, so that of several with as many bytes it is the first.
        let fattest = self.flows.iter_mut().rev();
        let Some(flow) = fattest.max_by_key(|flow| flow.fifo.bytes()) else {
            return;
        };
        // Several at once, since the search for the fattest walks over all queues.
        let count = (flow.fifo.packets() / 2).clamp(1, DROP_BATCH_MAX);
        for in_flight in (0..count).map_while(|_| flow.fifo.pop()) {
            self.bytes -= in_flight.link_bytes;
            self.packets -= 1;
            flow.codel.note_drop();
            dropped.push_back(in_flight);
        }
    }

    /// §4.2: takes out the packet to send; what CoDel drops goes to `dropped`.
    pub(crate) fn serve(
        &mut self,
        now: Time,
        dropped: &mut VecDeque<Box<InFlight>>,
    ) -> Option<Box<InFlight>> {
        loop {
            let is_new = !self.new.is_empty();
            let list = if is_new { &mut self.new } else { &mut self.old };
            let place = *list.front()?;
            let flow = &mut self.flows[place];
            // Deficit round robin by bytes: by packets, large ones would have more of the link.
            if flow.deficit <= 0 {
                flow.deficit += self.quantum;
                list.pop_front();
                self.old.push_back(place);
                continue;
            }
            let (bytes, packets) = (flow.fifo.bytes(), flow.fifo.packets());
            flow.codel.serve(now, &mut flow.fifo, dropped);
            let sent = flow.fifo.pop();
            self.bytes -= bytes - flow.fifo.bytes();
            self.packets -= packets - flow.fifo.packets();
            let Some(mut in_flight) = sent else {
                list.pop_front();
                // §4.2: not off the lists yet, lest a flow that keeps coming back as new starve the
                // old ones.
                match is_new {
                    true => self.old.push_back(place),
                    false => flow.listed = false,
                }
                continue;
            };
            flow.deficit -= i64::try_from(in_flight.link_bytes).unwrap_or(i64::MAX);
            let stayed_ns = now.nanos_since(in_flight.arrived_at);
            if self.ce_threshold_ns.is_some_and(|limit| stayed_ns > limit) {
                in_flight.mark();
            }
            return Some(in_flight);
        }
    }

    /// Returns the queue of the packet's flow: of its addresses and ports, hashed with the salt.
    fn place(&self, packet: &Packet) -> usize {
        let mut key = [0; 8 + 2 * 18];
        key[..8].copy_from_slice(&self.salt.to_le_bytes());
        key[8..26].copy_from_slice(&endpoint(packet.source));
        key[26..].copy_from_slice(&endpoint(packet.destination));
        let hash = mix(fnv1a(&key));
        ((u128::from(hash) * self.flows.len() as u128) >> 64) as usize
    }
}

/// Returns an address and its port in 18 bytes.
fn endpoint(address: SocketAddr) -> [u8; 18] {
    let mut bytes = [0; 18];
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&address.port().to_be_bytes());
    bytes
}

/// Spreads a hash over all of its bits (the finalizer of MurmurHash3, 64 bits).
const fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
