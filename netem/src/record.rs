//! The record of each packet: what became of it, and when.

use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
};

use serde::Serialize;

use crate::{Direction, Time};

/// Outcome of a packet's way through the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PacketOutcome {
    /// Delivered.
    Delivered,
    /// Lost on the wire, independently of its neighbours.
    LostWire,
    /// Lost on the wire while the loss model was in its bad state.
    LostBurst,
    /// Dropped by a full queue.
    QueueDrop,
    /// Larger than the MTU.
    MtuDrop,
    /// Lost for coming to the wire during a blackout.
    Blackout,
    /// Dropped by the queue's discipline before the queue was full.
    EarlyDrop,
}

impl PacketOutcome {
    /// Returns the name in `packets.csv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::LostWire => "lost-wire",
            Self::LostBurst => "lost-burst",
            Self::QueueDrop => "queue-drop",
            Self::MtuDrop => "mtu-drop",
            Self::Blackout => "blackout",
            Self::EarlyDrop => "early-drop",
        }
    }
}

impl fmt::Display for PacketOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A packet at the link; a packet that was duplicated has two records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PacketRecord {
    /// Time of its arrival at the link.
    #[serde(rename = "entered")]
    pub arrived_at: Time,
    /// Time at which it came out of the link or was lost.
    #[serde(rename = "left")]
    pub departed_at: Time,
    /// Direction of the link.
    pub direction: Direction,
    /// Position among the packets of this direction, from 0; a copy has its original's.
    pub index: u64,
    /// Source address.
    pub source: SocketAddr,
    /// Destination address.
    pub destination: SocketAddr,
    /// Size on the link in bytes: payload, UDP and IP headers.
    pub link_bytes: u64,
    /// Size of the UDP payload in bytes.
    pub payload_bytes: u64,
    /// Outcome.
    #[serde(rename = "fate")]
    pub outcome: PacketOutcome,
    /// Set on a copy that the link made.
    pub duplicate: bool,
    /// Set if the link flipped one of its bits or cut it short.
    pub corrupted: bool,
    /// Set if the link marked it "congestion experienced".
    pub ce_marked: bool,
    /// Bytes in the queue when it arrived, itself not counted.
    pub queue_bytes: u64,
    /// ECN bits with which it came out or was lost.
    pub ecn: u8,
    /// Set if the contents are a whole IP packet rather than the payload of UDP.
    pub whole: bool,
    /// Payload with which it came out or was lost, damage included; empty unless the link was
    /// asked to keep payloads.
    #[serde(skip)]
    pub contents: Box<[u8]>,
}

impl PacketRecord {
    /// Columns of [`write_csv`](Self::write_csv), without a line break.
    pub const CSV_HEADER: &'static str = "t_ns,left_ns,direction,index,source,destination,\
        link_bytes,payload_bytes,fate,delay_ns,duplicate,corrupted,ce_marked,queue_bytes";

    /// Returns the nanoseconds from arrival to departure; `None` if it was lost.
    #[must_use]
    pub fn delay_ns(&self) -> Option<u64> {
        (self.outcome == PacketOutcome::Delivered)
            .then(|| self.departed_at.nanos_since(self.arrived_at))
    }

    /// Writes one line of CSV with its line break; no field ever needs quotes.
    ///
    /// # Errors
    /// Any error of `out`.
    pub fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        write!(
            out,
            "{},{},{},{},{},{},{},{},{},",
            self.arrived_at.as_nanos(),
            self.departed_at.as_nanos(),
            self.direction,
            self.index,
            self.source,
            self.destination,
            self.link_bytes,
            self.payload_bytes,
            self.outcome,
        )?;
        if let Some(delay_ns) = self.delay_ns() {
            write!(out, "{delay_ns}")?;
        }
        let flag = u8::from;
        let (duplicate, corrupted) = (flag(self.duplicate), flag(self.corrupted));
        let (ce_marked, queue_bytes) = (flag(self.ce_marked), self.queue_bytes);
        writeln!(out, ",{duplicate},{corrupted},{ce_marked},{queue_bytes}")
    }
}
