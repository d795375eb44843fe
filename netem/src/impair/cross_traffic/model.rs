//! Cross traffic: the times at which its packets arrive at the queue.
//!
//! They are sampled one after the other from a stream of their own, so that they do not
//! depend on what else is sent.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::settings::{CrossTraffic, Spacing};
use crate::{Time, rng::RngStreams};

#[derive(Debug)]
pub(crate) struct CrossTrafficSource {
    settings: CrossTraffic,
    packet_bytes: u64,
    rng: ChaCha8Rng,
    /// Arrival of the next packet; `None` once there will be no more.
    next: Option<Time>,
    /// Start of the present on-period, what has been sent in it, and its end.
    began: Time,
    sent_bytes: u128,
    ends: Time,
    stop: Time,
}

impl CrossTrafficSource {
    /// Creates the source; `None` without settings. Its times count from `origin`.
    pub(crate) fn new(
        settings: Option<CrossTraffic>,
        mtu_bytes: u64,
        origin: Time,
        streams: RngStreams,
    ) -> Option<Self> {
        let settings = settings?;
        let at = |ns: u64| Time::from_nanos(origin.as_nanos().saturating_add(ns));
        let start = at(settings.start.unwrap_or_default().0);
        let mut traffic = Self {
            settings,
            packet_bytes: settings.packet.map_or(mtu_bytes, |size| size.0),
            rng: streams.generator("cross-traffic"),
            next: None,
            began: start,
            sent_bytes: 0,
            ends: start,
            stop: settings.stop.map_or(Time::MAX, |stop| at(stop.0)),
        };
        traffic.begin(start);
        // Looked for ahead of time: the link has to know its next event.
        traffic.find_next(start);
        Some(traffic)
    }

    /// Returns the arrival of the next packet.
    pub(crate) const fn next(&self) -> Option<Time> {
        self.next
    }

    /// Takes the packet that arrives now; returns its bytes on the link.
    pub(crate) fn take(&mut self) -> u64 {
        if let Some(now) = self.next {
            self.find_next(now);
        }
        self.packet_bytes
    }

    /// Starts an on-period.
    fn begin(&mut self, now: Time) {
        let length = self.settings.on.map(|mean| self.exponential(mean.0));
        (self.began, self.sent_bytes) = (now, 0);
        self.ends = length.map_or(Time::MAX, |ns| later(now, ns));
    }

    fn find_next(&mut self, after: Time) {
        let mut next = self.follow(after);
        // The packet would come after the end of the period: it is not sent, and another period
        // begins after a silence. Several may pass in which none fits.
        while next >= self.ends && self.ends < self.stop {
            let silent = self.settings.off.unwrap_or_default().0;
            let silent = self.exponential(silent);
            let now = later(self.ends, silent);
            self.begin(now);
            next = self.follow(now);
        }
        self.next = Some(next).filter(|next| *next < self.stop && *next < Time::MAX);
    }

    /// Returns the arrival of the packet that follows, if the on-period lasts that long.
    fn follow(&mut self, after: Time) -> Time {
        match self.settings.spacing.unwrap_or_default() {
            Spacing::Even => {
                // From the start of the period, not from the last packet: rounding does not add up.
                self.sent_bytes += u128::from(self.packet_bytes);
                later(self.began, self.takes_ns(self.sent_bytes))
            }
            Spacing::Poisson => {
                let mean_ns = self.takes_ns(u128::from(self.packet_bytes));
                let gap_ns = self.exponential(mean_ns);
                later(after, gap_ns)
            }
        }
    }

    /// Returns the nanoseconds that this many bytes take at its rate.
    fn takes_ns(&self, bytes: u128) -> u64 {
        let ns = bytes * 8_000_000_000 / u128::from(self.settings.rate.bps());
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    fn exponential(&mut self, mean_ns: u64) -> u64 {
        // In (0, 1], with 53 bits.
        let uniform = ((self.rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        // `libm`, not the standard library's logarithm, whose last bit differs between platforms.
        (-libm::log(uniform) * mean_ns as f64) as u64
    }
}

fn later(time: Time, ns: u64) -> Time {
    Time::from_nanos(time.as_nanos().saturating_add(ns))
}
