//! Packets sent, until they are settled: a ring indexed by packet number.
//!
//! A packet that needs no acknowledgement holds only its place. One that was declared lost
//! stays for a few round trips, so that a late acknowledgement can prove the loss spurious.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};

use super::rate::PacketRate;
use crate::Time;
use crate::proto::ranges::RangeSet;

/// The state of a packet that was sent.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum SentState {
    /// Nothing in it has to be acknowledged.
    #[default]
    Untracked,
    /// Sent, neither acknowledged nor declared lost.
    InFlight,
    Acked,
    /// Declared lost.
    Lost,
}

/// One packet sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct SentPacket {
    pub(crate) state: SentState,
    pub(crate) sent_at: Time,
    pub(crate) bytes: u16,
    /// The stream bytes in it; empty when none.
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
    /// A packet of `bytes` that only takes its place in the numbering.
    pub(crate) fn untracked(bytes: usize) -> Self {
        Self {
            bytes: bytes as u16,
            ..Self::default()
        }
    }

    /// The stream bytes in it.
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
    /// No packet below is in flight.
    oldest_in_flight: u64,
    /// Numbers the peer has acknowledged, as far back as the ring goes.
    acked: RangeSet,
    bytes_in_flight: u64,
    packets_in_flight: u64,
}

impl SentPackets {
    pub(crate) const fn new() -> Self {
        Self {
            packets: VecDeque::new(),
            first: 0,
            oldest_in_flight: 0,
            acked: RangeSet::new(),
            bytes_in_flight: 0,
            packets_in_flight: 0,
        }
    }

    /// The number of the next packet.
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
        if packet.state == SentState::InFlight {
            self.bytes_in_flight += u64::from(packet.bytes);
            self.packets_in_flight += 1;
        }
        // A packet that nothing will ever be asked about needs no place in an empty ring.
        if self.packets.is_empty() && packet.state == SentState::Untracked {
            self.first += 1;
        } else {
            self.packets.push_back(packet);
        }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&SentPacket> {
        self.packets
            .get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The packets in flight, oldest first.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = (u64, &SentPacket)> {
        let skip = self.oldest_in_flight.saturating_sub(self.first);
        let numbers = self.first + skip..;
        numbers
            .zip(self.packets.range(skip as usize..))
            .filter(|(_, packet)| packet.state == SentState::InFlight)
    }

    /// Appends to `newly` the packet numbers of `range` that are acknowledged for the first
    /// time and need to be settled, highest first. False when the ring does not go back that
    /// far.
    pub(crate) fn acknowledge(&mut self, range: RangeInclusive<u64>, newly: &mut Vec<u64>) -> bool {
        let range = (*range.start()).max(self.first)..(range.end() + 1).min(self.next_number());
        if range.is_empty() {
            return false;
        }
        let before = newly.len();
        let mut is_new = false;
        // Only the gaps, not the whole range: an acknowledgement lists again what earlier ones did,
        // and a long flight would be walked through each time.
        for gap in self.acked.missing_in(range.clone()) {
            is_new = true;
            newly.extend(gap.filter(|&number| {
                let state = self.get(number).map(|packet| packet.state);
                matches!(state, Some(SentState::InFlight | SentState::Lost))
            }));
        }
        newly[before..].reverse();
        // Most ranges of an acknowledgement repeat those of the last one.
        if is_new {
            self.acked.insert(range);
        }
        true
    }

    /// Records the new state of a packet; gives the one before.
    pub(crate) fn settle(&mut self, number: u64, state: SentState) -> SentState {
        let Some(index) = number.checked_sub(self.first) else {
            // Below the ring: forgotten because it was settled, and so nothing changes by settling
            // it again.
            return SentState::Acked;
        };
        let Some(packet) = self.packets.get_mut(index as usize) else {
            // Above the ring: never sent. The connection refuses such acknowledgements before (RFC
            // 9000 §13.1).
            return SentState::Untracked;
        };
        let before = std::mem::replace(&mut packet.state, state);
        if before == SentState::InFlight && state != SentState::InFlight {
            self.bytes_in_flight -= u64::from(packet.bytes);
            self.packets_in_flight -= 1;
        }
        // A mark that only moves forward: `in_flight` would otherwise walk over every settled
        // packet that a lost one in front keeps in the ring.
        while self.oldest_in_flight < self.next_number()
            && self
                .get(self.oldest_in_flight)
                .is_none_or(|p| p.state != SentState::InFlight)
        {
            self.oldest_in_flight += 1;
        }
        before
    }

    /// Drops the packets at the front that are settled, and losses from before `horizon`.
    pub(crate) fn forget(&mut self, horizon: Time) {
        while let Some(front) = self.packets.front() {
            let settled = match front.state {
                SentState::Untracked | SentState::Acked => true,
                // A late acknowledgement has to find it, to prove the loss spurious.
                SentState::Lost => front.sent_at < horizon,
                SentState::InFlight => false,
            };
            if !settled {
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
        let in_flight = self
            .packets
            .iter()
            .filter(|packet| packet.state == SentState::InFlight);
        let bytes: u64 = in_flight
            .clone()
            .map(|packet| u64::from(packet.bytes))
            .sum();
        assert_eq!(bytes, self.bytes_in_flight, "bytes in flight are conserved");
        assert_eq!(in_flight.count() as u64, self.packets_in_flight);
    }
}
