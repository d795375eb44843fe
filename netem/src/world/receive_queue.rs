//! A socket's receive queue: bounded in bytes, read a datagram or a run at a time.

use std::{collections::VecDeque, net::SocketAddr};

use super::pool::Pool;
use crate::packet::Packet;

/// Bytes that a datagram counts besides its payload, so that empty ones are bounded too.
const OVERHEAD_BYTES: usize = 64;

/// Datagrams in a run: what the Linux kernel joins at most (`UDP_GRO_CNT_MAX`).
const RUN_DATAGRAMS_MAX: usize = 64;

/// Datagrams in a row, of one source, one ECN mark and one size (GRO).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The sender's address.
    pub source: SocketAddr,
    /// Bytes in the run.
    pub len: usize,
    /// Bytes of each datagram but the last, which may be shorter. Equals `len` for one.
    pub stride: usize,
    /// The two ECN bits.
    pub ecn: u8,
}

impl Run {
    /// A value to fill an array with before it is received into.
    pub const EMPTY: Self = Self {
        source: SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0),
        len: 0,
        stride: 0,
        ecn: 0,
    };
}

pub(super) struct ReceiveQueue {
    packets: VecDeque<Packet>,
    bytes: usize,
    bytes_max: usize,
    /// Datagrams refused.
    pub(super) dropped: u64,
}

impl ReceiveQueue {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self {
            packets: VecDeque::new(),
            bytes: 0,
            bytes_max,
            dropped: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Gives the packet back when the queue is full.
    pub(super) fn push(&mut self, packet: Packet) -> Result<(), Packet> {
        let bytes = packet.payload.len() + OVERHEAD_BYTES;
        // The newest is refused, as a kernel's socket buffer does; what waits is not disturbed.
        if self.bytes + bytes > self.bytes_max {
            self.dropped += 1;
            return Err(packet);
        }
        self.bytes += bytes;
        self.packets.push_back(packet);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.payload.len() + OVERHEAD_BYTES;
        debug_assert!(!self.packets.is_empty() || self.bytes == 0);
        Some(packet)
    }

    /// Copies the longest run that fits into `room`. The first datagram is cut to `room`, as UDP
    /// does.
    pub(super) fn pop_run(&mut self, room: &mut [u8], pool: &mut Pool) -> Option<Run> {
        let first = self.pop()?;
        let stride = first.payload.len().min(room.len());
        room[..stride].copy_from_slice(&first.payload[..stride]);
        let mut run = Run {
            source: first.source,
            len: stride,
            stride,
            ecn: first.ecn,
        };
        pool.give(first.payload);
        for _ in 1..RUN_DATAGRAMS_MAX {
            let Some(next) = self.packets.front() else {
                break;
            };
            let bytes = next.payload.len();
            let is_alike = next.source == run.source && next.ecn == run.ecn;
            // An empty datagram would vanish in a run.
            if !is_alike || bytes == 0 || bytes > stride || run.len + bytes > room.len() {
                break;
            }
            room[run.len..run.len + bytes].copy_from_slice(&next.payload);
            run.len += bytes;
            if let Some(packet) = self.pop() {
                pool.give(packet.payload);
            }
            // A shorter one ends a run, as in the kernel's GRO: the next would be cut in the wrong
            // place.
            if bytes < stride {
                break;
            }
        }
        Some(run)
    }
}
