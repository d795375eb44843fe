//! Packets sent, until they are settled: a ring in the order of their numbers.
//!
//! A packet that needs no acknowledgement is not kept: a peer that leaves one in flight and asks
//! for acknowledgements would make the ring as long as it likes. One that was declared lost
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

/// A packet and its number.
#[derive(Debug)]
struct Numbered {
    number: u64,
    packet: SentPacket,
}

// A ring has room for up to twice what is in it: `Config` says 256 bytes a packet.
const _: () = assert!(size_of::<Numbered>() <= 128);

/// Ranges of acknowledged numbers that are remembered, only to spare work: of what lies below,
/// every packet tells its state.
const MAX_ACKED_RANGES: usize = 1_024;

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

/// The ring. Packet numbers are never reused.
#[derive(Debug)]
pub(crate) struct SentPackets {
    packets: VecDeque<Numbered>,
    next_number: u64,
    /// No packet of the ring before this index is in flight.
    oldest_in_flight: usize,
    /// Numbers the peer has acknowledged, as far back as the ring goes.
    acked: RangeSet,
    bytes_in_flight: u64,
    packets_in_flight: u64,
}

impl SentPackets {
    pub(crate) const fn new() -> Self {
        Self {
            packets: VecDeque::new(),
            next_number: 0,
            oldest_in_flight: 0,
            acked: RangeSet::new(),
            bytes_in_flight: 0,
            packets_in_flight: 0,
        }
    }

    /// The number of the next packet.
    pub(crate) const fn next_number(&self) -> u64 {
        self.next_number
    }

    pub(crate) const fn bytes_in_flight(&self) -> u64 {
        self.bytes_in_flight
    }

    pub(crate) const fn packets_in_flight(&self) -> u64 {
        self.packets_in_flight
    }

    /// Leaves out the numbers below `number`.
    pub(crate) const fn skip_to(&mut self, number: u64) {
        debug_assert!(number >= self.next_number, "no number is used twice");
        self.next_number = number;
    }

    pub(crate) fn push(&mut self, packet: SentPacket) {
        let number = self.next_number;
        self.next_number += 1;
        if packet.state == SentState::Untracked {
            return;
        }
        if packet.state == SentState::InFlight {
            self.bytes_in_flight += u64::from(packet.bytes);
            self.packets_in_flight += 1;
        }
        self.packets.push_back(Numbered { number, packet });
    }

    pub(crate) fn get(&self, number: u64) -> Option<&SentPacket> {
        let index = self.index_of(number)?;
        self.packets.get(index).map(|it| &it.packet)
    }

    /// The packets in flight, oldest first.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = (u64, &SentPacket)> {
        self.packets
            .range(self.oldest_in_flight..)
            .filter(|it| it.packet.state == SentState::InFlight)
            .map(|it| (it.number, &it.packet))
    }

    /// Appends to `newly` the packet numbers of `range` that are acknowledged for the first
    /// time and need to be settled, highest first. False when the ring does not go back that
    /// far.
    pub(crate) fn acknowledge(&mut self, range: RangeInclusive<u64>, newly: &mut Vec<u64>) -> bool {
        let range = (*range.start()).max(self.first())..(range.end() + 1).min(self.next_number);
        if range.is_empty() {
            return false;
        }
        let before = newly.len();
        let mut is_new = false;
        for gap in self.acked.missing_in(range.clone()) {
            is_new = true;
            let packets = self.packets.range(self.first_index_from(gap.start)..);
            let packets = packets.take_while(|it| it.number < gap.end);
            let unsettled = packets
                .filter(|it| matches!(it.packet.state, SentState::InFlight | SentState::Lost));
            newly.extend(unsettled.map(|it| it.number));
        }
        newly[before..].reverse();
        // Most ranges of an acknowledgement repeat those of the last one.
        if is_new {
            self.acked.insert(range);
        }
        while self.acked.len() > MAX_ACKED_RANGES {
            self.acked.pop_first();
        }
        true
    }

    /// Records the new state of a packet; gives the one before.
    pub(crate) fn settle(&mut self, number: u64, state: SentState) -> SentState {
        if number < self.first() {
            return SentState::Acked;
        }
        let index = self.index_of(number);
        let Some(held) = index.and_then(|index| self.packets.get_mut(index)) else {
            return SentState::Untracked;
        };
        let before = std::mem::replace(&mut held.packet.state, state);
        if before == SentState::InFlight && state != SentState::InFlight {
            self.bytes_in_flight -= u64::from(held.packet.bytes);
            self.packets_in_flight -= 1;
        }
        while let Some(held) = self.packets.get(self.oldest_in_flight)
            && held.packet.state != SentState::InFlight
        {
            self.oldest_in_flight += 1;
        }
        before
    }

    /// Drops the packets at the front that are settled, and losses from before `horizon`.
    pub(crate) fn forget(&mut self, horizon: Time) {
        while let Some(Numbered { packet, .. }) = self.packets.front() {
            let settled = match packet.state {
                SentState::Untracked | SentState::Acked => true,
                SentState::Lost => packet.sent_at < horizon,
                SentState::InFlight => false,
            };
            if !settled {
                break;
            }
            self.packets.pop_front();
            self.oldest_in_flight = self.oldest_in_flight.saturating_sub(1);
        }
        let first = self.first();
        self.acked.remove_below(first);
    }

    /// The lowest number that is remembered.
    fn first(&self) -> u64 {
        self.packets
            .front()
            .map_or(self.next_number, |it| it.number)
    }

    fn index_of(&self, number: u64) -> Option<usize> {
        let index = self.first_index_from(number);
        let held = self.packets.get(index)?;
        (held.number == number).then_some(index)
    }

    /// The index of the first packet with this number or a higher one.
    fn first_index_from(&self, number: u64) -> usize {
        // Nearly all packets of a sender are in the ring: most often there is no search.
        let ahead = number.saturating_sub(self.first());
        let guess = usize::try_from(ahead).unwrap_or(usize::MAX);
        let guess = guess.min(self.packets.len());
        match self.packets.get(guess) {
            Some(held) if held.number == number => guess,
            // Each packet before has a lower number than the one behind it, so none with this
            // number lies behind the guess.
            _ => self.packets.partition_point(|held| held.number < number),
        }
    }

    /// Checks that the running totals equal the sum over the ring.
    #[cfg(any(debug_assertions, test))]
    pub(crate) fn assert_conserved(&self) {
        let in_flight = self
            .packets
            .iter()
            .map(|it| &it.packet)
            .filter(|packet| packet.state == SentState::InFlight);
        let bytes: u64 = in_flight
            .clone()
            .map(|packet| u64::from(packet.bytes))
            .sum();
        assert_eq!(bytes, self.bytes_in_flight, "bytes in flight are conserved");
        assert_eq!(in_flight.count() as u64, self.packets_in_flight);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn in_flight() -> SentPacket {
        SentPacket {
            state: SentState::InFlight,
            bytes: 100,
            ..SentPacket::default()
        }
    }

    #[test]
    fn acknowledgements_behind_a_packet_in_flight_take_no_memory() {
        let mut sent = SentPackets::new();
        sent.push(in_flight());
        (0..1_000_000).for_each(|_| sent.push(SentPacket::untracked(40)));
        assert_eq!((sent.packets.len(), sent.next_number()), (1, 1_000_001));
        // Nor does a peer that acknowledges every second of them.
        for number in (2..200_000).step_by(2) {
            assert!(sent.acknowledge(number..=number, &mut Vec::new()));
        }
        assert_eq!(sent.acked.len(), MAX_ACKED_RANGES);
        let mut newly = Vec::new();
        assert!(sent.acknowledge(0..=1_000_000, &mut newly));
        assert_eq!(newly, [0]);
    }

    proptest! {
        #[test]
        fn each_packet_is_found_by_its_number(
            steps in vec((0..6_u8, 0..60_u64, 0..8_u64), 1..200),
        ) {
            let mut sent = SentPackets::new();
            // The state of every packet that was tracked.
            let mut model: Vec<Option<SentState>> = Vec::new();
            for (act, number, len) in steps {
                match act {
                    0 | 1 => {
                        sent.push(in_flight());
                        model.push(Some(SentState::InFlight));
                    }
                    2 => {
                        sent.push(SentPacket::untracked(10));
                        model.push(None);
                    }
                    3 => {
                        let mut newly = Vec::new();
                        sent.acknowledge(number..=number + len, &mut newly);
                        for number in newly {
                            let state = &mut model[number as usize];
                            prop_assert!(matches!(
                                *state,
                                Some(SentState::InFlight | SentState::Lost)
                            ));
                            sent.settle(number, SentState::Acked);
                            *state = Some(SentState::Acked);
                        }
                    }
                    4 => {
                        if let Some(state) = model.get_mut(number as usize)
                            && *state == Some(SentState::InFlight)
                        {
                            let before = sent.settle(number, SentState::Lost);
                            prop_assert_eq!(before, SentState::InFlight);
                            *state = Some(SentState::Lost);
                        }
                    }
                    _ => sent.forget(Time::ZERO),
                }
                sent.assert_conserved();
                prop_assert_eq!(sent.next_number(), model.len() as u64);
                for (number, state) in (0..).zip(&model) {
                    let held = sent.get(number).map(|packet| packet.state);
                    prop_assert!(held.is_none() || held == *state);
                    let is_open = matches!(state, Some(SentState::InFlight | SentState::Lost));
                    prop_assert!(held.is_some() || !is_open, "{} is gone", number);
                }
                let flying = (0..).zip(&model).filter(|(_, it)| **it == Some(SentState::InFlight));
                prop_assert!(sent.in_flight().map(|it| it.0).eq(flying.map(|it| it.0)));
            }
        }
    }
}
