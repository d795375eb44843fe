//! The packets received, and when to acknowledge them (RFC 9000 §13.2).
//!
//! A bulk receiver sends a handful of acknowledgements a round trip: after an eighth of it,
//! or after [`MAX_PACKETS`]. A gap brings it sooner, but no more often than 16 times a round
//! trip: at 10 % loss every tenth packet shows a gap. While a connection is young every
//! second packet is acknowledged, so that start-up sees its own effect.
//!
//! Acknowledgements wait for neither the congestion window nor the pacer, so what the peer has
//! sent bounds them: [`MAX_AMPLIFICATION`] bytes for each one received. A peer that asks for
//! more gets it later, in one.

use std::time::Duration;

use crate::Time;
use crate::proto::MAX_AMPLIFICATION;
use crate::proto::ranges::RangeSet;
use crate::wire::EcnCounts;

/// The most packets that share an acknowledgement.
const MAX_PACKETS: u32 = 64;

/// Packets of a young connection that are acknowledged two by two.
const YOUNG_PACKETS: u64 = 128;

/// The most acknowledgements that PINGs may have outstanding.
const MAX_COPIES: u8 = 32;

/// The most ranges that are remembered; beyond that the oldest count as received.
const MAX_RANGES: usize = 512;

/// With more ranges than this, those that the peer knows of are forgotten.
const ENOUGH_RANGES: usize = 32;

/// Bytes of acknowledgements that a peer may bring before it has sent anything: some probes of a
/// peer with little to send, whose answers are lost.
const FIRST_CREDIT_BYTES: u64 = 4 << 10;

/// The most credit that is kept for later, bytes: 32 acknowledgements of 512 ranges.
const MAX_CREDIT_BYTES: u64 = 64 << 10;

/// A packet that acknowledges one range, at most, bytes: 13 of header, 51 of frame, 16 of tag.
const ONE_RANGE_BYTES: u64 = 80;

/// Packet numbers received, and the acknowledgement that is still owed for them.
#[derive(Debug)]
pub(crate) struct AckState {
    received: RangeSet,
    /// Everything below counts as received.
    floor: u64,
    largest_at: Time,
    ecn: EcnCounts,
    eliciting_total: u64,
    /// Ack-eliciting packets that have not been acknowledged.
    pending: u32,
    due: Option<Time>,
    last_sent: Time,
    /// Acknowledgements that follow the next one at once.
    copies: u8,
    /// Bytes of packets without data that may still be sent.
    credit_bytes: u64,
}

impl AckState {
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            received: RangeSet::new(),
            floor: 0,
            largest_at: now,
            ecn: EcnCounts {
                ect0: 0,
                ect1: 0,
                ce: 0,
            },
            eliciting_total: 0,
            pending: 0,
            due: None,
            last_sent: Time::ZERO,
            copies: 0,
            credit_bytes: FIRST_CREDIT_BYTES,
        }
    }

    /// Counts a packet of so many bytes, which may be answered with a multiple of them.
    pub(crate) fn on_bytes_received(&mut self, bytes: u64) {
        let credit = self.credit_bytes + MAX_AMPLIFICATION * bytes;
        self.credit_bytes = credit.min(MAX_CREDIT_BYTES);
    }

    /// Counts a packet that went out past the congestion window, with or without an
    /// acknowledgement. Copies that the peer's bytes no longer pay for are left out.
    pub(crate) const fn on_bytes_sent(&mut self, bytes: u64) {
        self.credit_bytes = self.credit_bytes.saturating_sub(bytes);
        if self.credit_bytes < ONE_RANGE_BYTES {
            self.copies = 0;
        }
    }

    /// Bytes that may go past the congestion window now.
    pub(crate) const fn credit_bytes(&self) -> u64 {
        self.credit_bytes
    }

    pub(crate) fn is_duplicate(&self, number: u64) -> bool {
        number < self.floor || self.received.contains(number)
    }

    /// Takes a packet number that is new; tells whether it leaves or fills a gap.
    pub(crate) fn on_received(&mut self, now: Time, number: u64) -> bool {
        let expected = self
            .received
            .max()
            .map_or(self.floor, |largest| largest + 1);
        self.received.insert_one(number);
        if number >= expected {
            self.largest_at = now;
        }
        while self.received.len() > MAX_RANGES {
            if let Some(lowest) = self.received.pop_first() {
                self.floor = lowest.end;
            }
        }
        number != expected
    }

    pub(crate) const fn on_ecn(&mut self, ecn: Option<crate::Ecn>) {
        match ecn {
            Some(crate::Ecn::Ect0) => self.ecn.ect0 += 1,
            Some(crate::Ecn::Ect1) => self.ecn.ect1 += 1,
            Some(crate::Ecn::Ce) => self.ecn.ce += 1,
            None => {}
        }
    }

    /// Takes an ack-eliciting packet; `round` is the round-trip time as this side knows it.
    pub(crate) fn on_eliciting(
        &mut self,
        now: Time,
        out_of_order: bool,
        round: Duration,
        max_delay: Duration,
    ) {
        self.pending += 1;
        self.eliciting_total += 1;
        let every = if self.eliciting_total <= YOUNG_PACKETS {
            2
        } else {
            MAX_PACKETS
        };
        // RFC 9000 §13.2.1 asks for an acknowledgement at once when a packet is out of order; on
        // a path that loses one in ten that would be nearly every one, so it is limited.
        let by = if self.pending >= every {
            now
        } else if out_of_order {
            now.max(self.last_sent + round / 16)
        } else {
            now + (round / 8).min(max_delay)
        };
        self.due = Some(self.due.map_or(by, |due| due.min(by)));
    }

    /// Has an acknowledgement go with the next packet, and a packet go now.
    pub(crate) fn ack_immediately(&mut self, now: Time) {
        self.pending += 1;
        self.due = Some(now);
    }

    /// Has each of several PINGs in a packet acknowledged by itself, at once: their sender
    /// expects that some of the acknowledgements are lost.
    pub(crate) fn ack_each_ping(&mut self, now: Time, pings: u8) {
        self.due = Some(now);
        self.copies = self.copies.saturating_add(pings).min(MAX_COPIES) - 1;
    }

    /// When an acknowledgement has to go. One that what has been received does not pay for goes
    /// with the next packet that does.
    pub(crate) const fn due(&self) -> Option<Time> {
        if self.credit_bytes < ONE_RANGE_BYTES {
            return None;
        }
        self.due
    }

    /// Tells whether a packet that goes out anyway should carry an acknowledgement.
    pub(crate) const fn is_pending(&self) -> bool {
        self.pending > 0
    }

    pub(crate) const fn ecn_counts(&self) -> Option<EcnCounts> {
        if self.ecn.ect0 + self.ecn.ect1 + self.ecn.ce > 0 {
            Some(self.ecn)
        } else {
            None
        }
    }

    pub(crate) const fn ranges(&self) -> &RangeSet {
        &self.received
    }

    /// The delay of the acknowledgement since the largest packet arrived, microseconds.
    pub(crate) fn delay_us(&self, now: Time) -> u64 {
        now.saturating_since(self.largest_at).as_micros() as u64
    }

    /// Records that an acknowledgement goes out; gives the packet number below which it covers
    /// everything.
    pub(crate) fn on_ack_sent(&mut self, now: Time) -> u64 {
        self.pending = u32::from(self.copies > 0);
        self.due = (self.copies > 0).then_some(now);
        self.copies = self.copies.saturating_sub(1);
        self.last_sent = now;
        self.received
            .max()
            .map_or(self.floor, |largest| largest + 1)
    }

    /// Takes word that the peer has seen an acknowledgement of everything below `number`: it
    /// needs no repetition (RFC 9000 §13.2.4).
    pub(crate) fn on_ack_acked(&mut self, number: u64) {
        while self.received.len() > ENOUGH_RANGES {
            match self.received.peek_first() {
                Some(lowest) if lowest.end <= number => self.floor = lowest.end,
                _ => break,
            }
            self.received.pop_first();
        }
    }
}
