//! Delivery-rate sampling: how fast the path carries what is sent
//! (draft-cheng-iccrg-delivery-rate-estimation-02).
//!
//! Each packet records how much had been delivered when it was sent. When it is acknowledged,
//! the bytes delivered in between, over the longer of the time it took to send and the time it
//! took to acknowledge that much, are a rate that the path has shown it can carry.
//! Stretches in which the application had nothing to send are marked: they only show what
//! the application asked for.
//!
//! Departs from the draft: lost bytes are counted beside delivered ones, as what was sent,
//! has not been delivered and is no longer in flight. A packet that arrives after all is
//! thereby taken off again.

use std::time::Duration;

use crate::Time;
use crate::time::nanos;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A connection's counters. All bytes are those of packets that count as in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct RateSampler {
    sent_bytes: u64,
    delivered_bytes: u64,
    lost_bytes: u64,
    delivered_time: Time,
    /// When the packet acknowledged last was sent.
    first_sent_time: Time,
    /// Samples are application-limited until this much has been delivered; 0 when they are not.
    app_limited_until: u64,
    newest: Option<Newest>,
    newly_acked_bytes: u64,
}

/// The packet sent last of those acknowledged since the last sample.
#[derive(Copy, Clone, Debug)]
struct Newest {
    packet: PacketRate,
    sent_at: Time,
    acked_at: Time,
    send_elapsed: Duration,
}

/// The sampler's state when a packet was sent.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct PacketRate {
    /// The packet went through [`RateSampler::on_sent`].
    counted: bool,
    is_app_limited: bool,
    delivered: u64,
    delivered_time: Time,
    first_sent_time: Time,
    tx_in_flight: u64,
    lost: u64,
}

/// A delivery-rate sample: what one acknowledgement shows.
#[derive(Clone, Debug, Default)]
pub struct RateSample {
    /// Bytes delivered since the connection began.
    pub delivered: u64,
    /// `delivered` when the newest acknowledged packet was sent.
    pub prior_delivered: u64,
    /// Time over which `delivered - prior_delivered` bytes came through; zero when unknown.
    pub interval: Duration,
    /// Delivery rate, bits a second; `None` without a sound interval.
    pub delivery_rate_bps: Option<u64>,
    /// True if the application, not the network, may have set this rate.
    pub is_app_limited: bool,
    /// Round-trip time of the newest packet acknowledged, the peer's delay included.
    pub rtt: Option<Duration>,
    /// Bytes acknowledged since the last sample.
    pub newly_acked_bytes: u64,
    /// Bytes in flight right after the newest acknowledged packet was sent.
    pub tx_in_flight: u64,
    /// Bytes lost between the sending and the acknowledgement of that packet.
    pub lost: u64,
    /// Bytes lost since the connection began.
    pub total_lost: u64,
}

impl PacketRate {
    /// Bytes in flight right after it was sent.
    pub(crate) const fn tx_in_flight(&self) -> u64 {
        self.tx_in_flight
    }
}

impl RateSampler {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes a packet that goes out; `bytes_in_flight_before` does not include it.
    pub(crate) fn on_sent(
        &mut self,
        now: Time,
        bytes_in_flight_before: u64,
        bytes: u64,
    ) -> PacketRate {
        // A flight that begins after silence: the pause was no time in which the path delivered
        // (draft §3.2).
        if bytes_in_flight_before == 0 {
            self.first_sent_time = now;
            self.delivered_time = now;
        }
        // Reckoned from what is conserved, not added up: a packet declared lost that is delivered
        // after all moves between the terms by itself.
        self.lost_bytes = self
            .sent_bytes
            .saturating_sub(self.delivered_bytes + bytes_in_flight_before);
        self.sent_bytes += bytes;
        PacketRate {
            counted: true,
            is_app_limited: self.app_limited_until > 0,
            delivered: self.delivered_bytes,
            delivered_time: self.delivered_time,
            first_sent_time: self.first_sent_time,
            tx_in_flight: bytes_in_flight_before + bytes,
            lost: self.lost_bytes,
        }
    }

    /// Takes the first acknowledgement of a packet, also of one that was declared lost.
    pub(crate) fn on_acked(&mut self, now: Time, packet: &PacketRate, sent_at: Time, bytes: u64) {
        if !packet.counted {
            return;
        }
        self.delivered_bytes += bytes;
        self.delivered_time = now;
        self.newly_acked_bytes += bytes;
        // The packet sent last spans the least time before this acknowledgement: the freshest rate
        // (draft §3.3). Equal counts are told apart by the time of sending.
        let newer = self.newest.is_none_or(|newest| {
            (packet.delivered, sent_at) >= (newest.packet.delivered, newest.sent_at)
        });
        if newer {
            let send_elapsed = sent_at.saturating_since(packet.first_sent_time);
            self.newest = Some(Newest {
                packet: *packet,
                sent_at,
                acked_at: now,
                send_elapsed,
            });
            self.first_sent_time = sent_at;
        }
        // What was in flight when the application paused has been delivered: later samples show the
        // path again.
        if self.app_limited_until > 0 && self.delivered_bytes > self.app_limited_until {
            self.app_limited_until = 0;
        }
    }

    /// Takes packets of so many bytes in all that were declared lost.
    pub(crate) const fn on_lost(&mut self, bytes: u64) {
        self.lost_bytes += bytes;
    }

    /// Bytes declared lost since the packet was sent.
    pub(crate) const fn lost_since(&self, packet: &PacketRate) -> u64 {
        self.lost_bytes.saturating_sub(packet.lost)
    }

    /// Marks the samples from here on as limited by the application, or by the peer's window:
    /// the bytes in flight now do not fill the path.
    pub(crate) fn set_app_limited(&mut self, bytes_in_flight: u64) {
        // At least 1, because 0 means that nothing is limited.
        self.app_limited_until = (self.delivered_bytes + bytes_in_flight).max(1);
    }

    /// Closes the sample, once for each acknowledgement processed. An interval below
    /// `min_rtt` means acknowledgements came compressed: it makes no rate.
    pub(crate) fn take_sample(&mut self, now: Time, min_rtt: Duration) -> RateSample {
        let mut sample = RateSample {
            delivered: self.delivered_bytes,
            newly_acked_bytes: std::mem::take(&mut self.newly_acked_bytes),
            total_lost: self.lost_bytes,
            ..RateSample::default()
        };
        let Some(newest) = self.newest.take() else {
            return sample;
        };
        let packet = newest.packet;
        let ack_elapsed = newest.acked_at.saturating_since(packet.delivered_time);
        sample.prior_delivered = packet.delivered;
        sample.is_app_limited = packet.is_app_limited;
        sample.rtt = Some(now.saturating_since(newest.sent_at));
        sample.tx_in_flight = packet.tx_in_flight;
        sample.lost = self.lost_since(&packet);
        // The longer one: neither a burst sent at once nor acknowledgements that were held back and
        // came together may look like more than the path delivers.
        let interval = newest.send_elapsed.max(ack_elapsed);
        if interval >= min_rtt && !interval.is_zero() {
            sample.interval = interval;
            let delivered = self.delivered_bytes - packet.delivered;
            let rate = u128::from(delivered) * 8 * NANOS_PER_SECOND / u128::from(nanos(interval));
            sample.delivery_rate_bps = Some(u64::try_from(rate).unwrap_or(u64::MAX));
        }
        sample
    }
}
