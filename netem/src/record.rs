//! What became of each packet.

use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
};

use serde::Serialize;

use crate::{Direction, Time};

/// How a packet's way through the link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fate {
    /// It came out.
    Delivered,
    /// Lost on the wire, independently of its neighbours.
    LostWire,
    /// Lost on the wire while the loss model was in its bad state.
    LostBurst,
    /// The queue was full.
    QueueDrop,
    /// Larger than the MTU.
    MtuDrop,
    /// It came to the wire during a blackout.
    Blackout,
    /// The queue's discipline dropped it before the queue was full.
    EarlyDrop,
}

impl Fate {
    /// The name in `packets.csv`.
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

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One packet at the link; a packet that was duplicated has two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PacketRecord {
    /// When it entered the link.
    pub entered: Time,
    /// When its fate was met: it came out, or was lost.
    pub left: Time,
    /// Which link it was on.
    pub direction: Direction,
    /// The how-manyeth packet to enter this direction, from 0; a copy has its original's.
    pub index: u64,
    /// Who sent it.
    pub source: SocketAddr,
    /// Whom it was for.
    pub destination: SocketAddr,
    /// Its size on the link: payload, UDP and IP headers.
    pub link_bytes: u64,
    /// Its UDP payload.
    pub payload_bytes: u64,
    /// What became of it.
    pub fate: Fate,
    /// Is it a copy that the link made?
    pub duplicate: bool,
    /// Did the link flip one of its bits, or cut it short?
    pub corrupted: bool,
    /// Did the link mark it "congestion experienced"?
    pub ce_marked: bool,
    /// Bytes in the queue when it entered the link, itself not counted.
    pub queue_bytes: u64,
    /// The two ECN bits with which it met its fate.
    pub ecn: u8,
    /// Are the contents a whole IP packet, and not what UDP carries?
    pub whole: bool,
    /// The payload with which it met its fate, damage included; empty unless the link was asked
    /// to keep it.
    #[serde(skip)]
    pub contents: Box<[u8]>,
}

impl PacketRecord {
    /// The columns of [`write_csv`](Self::write_csv), without a line break.
    pub const CSV_HEADER: &'static str = "t_ns,left_ns,direction,index,source,destination,\
        link_bytes,payload_bytes,fate,delay_ns,duplicate,corrupted,ce_marked,queue_bytes";

    /// Nanoseconds from entering to coming out; `None` if it did not.
    #[must_use]
    pub fn delay_ns(&self) -> Option<u64> {
        (self.fate == Fate::Delivered).then(|| self.left.nanos_since(self.entered))
    }

    /// Writes one line of CSV with its line break; no field ever needs quotes.
    ///
    /// # Errors
    /// Whatever `out` says.
    pub fn write_csv(&self, out: &mut impl Write) -> io::Result<()> {
        write!(
            out,
            "{},{},{},{},{},{},{},{},{},",
            self.entered.as_nanos(),
            self.left.as_nanos(),
            self.direction,
            self.index,
            self.source,
            self.destination,
            self.link_bytes,
            self.payload_bytes,
            self.fate,
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
