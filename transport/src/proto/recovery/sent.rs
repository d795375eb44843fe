//! Packets sent and not yet done with: a ring indexed by packet number.
//!
//! A packet that carries nothing worth acknowledging holds only its place. One that was given
//! up stays for a while, so that a late acknowledgement can prove the loss spurious.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};

use super::rate::PacketRate;
use crate::Time;
use crate::proto::ranges::RangeSet;

/// What has become of a packet.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing in it has to be acknowledged.
    Untracked,
    Outstanding,
    Acked,
    Lost,
}

/// One packet sent.
#[derive(Clone, Debug)]
pub(crate) struct SentPacket {
    pub(crate) fate: Fate,
    pub(crate) sent_at: Time,
    pub(crate) bytes: u16,
    /// The stream bytes it carried; empty when none.
    pub(crate) stream_offset: u64,
    pub(crate) stream_len: u16,
    pub(crate) fin: bool,
    pub(crate) rwnd: bool,
    pub(crate) rwnd_check: bool,
    /// Everything below this packet number was acknowledged to the peer in this packet.
    pub(crate) acked_below: u64,
    pub(crate) rate: PacketRate,
}

// A ring has room for up to twice what is in it: `Config` says 256 bytes a packet.
const _: () = assert!(size_of::<SentPacket>() <= 128);

impl SentPacket {
    pub(crate) const fn stream(&self) -> Range<u64> {
        self.stream_offset..self.stream_offset + self.stream_len as u64
    }
}

/// The ring. Packet numbers are never reused and have no gaps.
#[derive(Debug)]
pub(crate) struct SentPackets {
    packets: VecDeque<SentPacket>,
    /// The packet number of the front of the ring.
    first: u64,
    /// No packet below is outstanding.
    oldest_outstanding: u64,
    /// What the peer has acknowledged, as far back as the ring goes.
    acked: RangeSet,
    bytes_in_flight: u64,
    packets_in_flight: u64,
}

impl SentPackets {
    pub(crate) const fn new() -> Self {
        Self {
            packets: VecDeque::new(),
            first: 0,
            oldest_outstanding: 0,
            acked: RangeSet::new(),
            bytes_in_flight: 0,
            packets_in_flight: 0,
        }
    }

    /// The number the next packet gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    pub(crate) const fn bytes_in_flight(&self) -> u64 {
        self.bytes_in_flight
    }

    pub(crate) const fn packets_in_flight(&self) -> u64 {
        self.packets_in_flight
    }

    pub(crate) fn push(&mut self, packet: SentPacket) {
        if packet.fate == Fate::Outstanding {
            self.bytes_in_flight += u64::from(packet.bytes);
            self.packets_in_flight += 1;
        }
        if self.packets.is_empty() && packet.fate == Fate::Untracked {
            self.first += 1;
        } else {
            self.packets.push_back(packet);
        }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&SentPacket> {
        self.packets
            .get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The outstanding packets, oldest first.
    pub(crate) fn outstanding(&self) -> impl Iterator<Item = (u64, &SentPacket)> {
        let skip = self.oldest_outstanding.saturating_sub(self.first);
        let numbers = self.first + skip..;
        numbers
            .zip(self.packets.range(skip as usize..))
            .filter(|(_, packet)| packet.fate == Fate::Outstanding)
    }

    /// Puts into `newly` the packet numbers of `range` that are told acknowledged for the
    /// first time, and whose packets carried something, highest first. False when the ring
    /// does not go back that far.
    pub(crate) fn acknowledge(&mut self, range: RangeInclusive<u64>, newly: &mut Vec<u64>) -> bool {
        let range = (*range.start()).max(self.first)..(range.end() + 1).min(self.next_number());
        if range.is_empty() {
            return false;
        }
        let before = newly.len();
        let mut is_new = false;
        for gap in self.acked.missing_in(range.clone()) {
            is_new = true;
            newly.extend(gap.filter(|&number| {
                let fate = self.get(number).map(|packet| packet.fate);
                matches!(fate, Some(Fate::Outstanding | Fate::Lost))
            }));
        }
        newly[before..].reverse();
        // Most ranges of an acknowledgement have been told before.
        if is_new {
            self.acked.insert(range);
        }
        true
    }

    /// Records what became of a packet; gives back what it was before.
    pub(crate) fn settle(&mut self, number: u64, fate: Fate) -> Fate {
        let Some(index) = number.checked_sub(self.first) else {
            return Fate::Acked;
        };
        let Some(packet) = self.packets.get_mut(index as usize) else {
            return Fate::Untracked;
        };
        let before = std::mem::replace(&mut packet.fate, fate);
        if before == Fate::Outstanding && fate != Fate::Outstanding {
            self.bytes_in_flight -= u64::from(packet.bytes);
            self.packets_in_flight -= 1;
        }
        while self.oldest_outstanding < self.next_number()
            && self
                .get(self.oldest_outstanding)
                .is_none_or(|p| p.fate != Fate::Outstanding)
        {
            self.oldest_outstanding += 1;
        }
        before
    }

    /// Drops what needs no remembering: everything at the front that is done with, and
    /// losses from before `horizon`.
    pub(crate) fn forget(&mut self, horizon: Time) {
        while let Some(front) = self.packets.front() {
            let done = match front.fate {
                Fate::Untracked | Fate::Acked => true,
                Fate::Lost => front.sent_at < horizon,
                Fate::Outstanding => false,
            };
            if !done {
                break;
            }
            self.packets.pop_front();
            self.first += 1;
        }
        self.acked.remove_below(self.first);
    }

    /// Checks that the running totals equal the sum over the ring.
    #[cfg(any(debug_assertions, test))]
    pub(crate) fn assert_conserved(&self) {
        let outstanding = self
            .packets
            .iter()
            .filter(|packet| packet.fate == Fate::Outstanding);
        let bytes: u64 = outstanding
            .clone()
            .map(|packet| u64::from(packet.bytes))
            .sum();
        assert_eq!(bytes, self.bytes_in_flight, "bytes in flight are conserved");
        assert_eq!(outstanding.count() as u64, self.packets_in_flight);
    }
}
