//! The probe timeout: how long to wait for an acknowledgement before asking for one
//! (RFC 9002 §6.2), or, in go-back-N, the fixed timer of the original protocol.

use std::time::Duration;

use crate::Time;

/// Probe timeouts that follow the same wait; each later one waits twice as long.
const EVEN_TIMEOUTS: u32 = 2;

/// Limit of the backoff: a path that comes back after a blackout is found again at once, and
/// two probes a second harm no path.
const MAX_INTERVAL: Duration = Duration::from_millis(500);

/// Probes sent and not answered yet.
#[derive(Clone, Debug)]
pub(super) struct ProbeTimeout {
    /// Timeouts in a row.
    count: u32,
    /// When the last packet was sent that counts as in flight.
    last_sent: Time,
    /// The stream offset where the next probe's data starts.
    data_from: u64,
    /// The timer of go-back-N, which knows neither round trips nor backoff.
    fixed: Option<Duration>,
}

impl ProbeTimeout {
    pub(super) const fn new(fixed: Option<Duration>) -> Self {
        Self {
            count: 0,
            last_sent: Time::ZERO,
            data_from: 0,
            fixed,
        }
    }

    /// Timeouts in a row.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// PINGs in each probe, and so the acknowledgements that it asks for: more with every
    /// probe in vain. A burst of losses may be so many packets long, whenever they are sent,
    /// and nothing else is in flight that could end it.
    pub(super) fn pings(&self) -> u8 {
        1 << self.count.clamp(1, 4)
    }

    pub(super) const fn data_from(&self) -> u64 {
        self.data_from
    }

    pub(super) const fn set_data_from(&mut self, offset: u64) {
        self.data_from = offset;
    }

    pub(super) const fn on_sent(&mut self, now: Time) {
        self.last_sent = now;
    }

    pub(super) const fn on_timeout(&mut self) {
        self.count += 1;
    }

    /// Ends the backoff; the next probe starts with the oldest data.
    pub(super) const fn on_acked(&mut self) {
        self.count = 0;
        self.data_from = 0;
    }

    /// Ends the backoff and nothing else: the path has changed.
    pub(super) const fn end_backoff(&mut self) {
        self.count = 0;
    }

    /// The wait before the probe that follows `backoff` unanswered ones; `base` is the timeout
    /// without backoff. The first two waits are alike, as in QUIC before RFC 9002 and in TCP's
    /// loss probes (RFC 8985 §7): four small packets are no load, and a burst of losses that
    /// takes them all is not congestion yet.
    pub(super) fn interval(&self, base: Duration, backoff: u32) -> Duration {
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        // Doubling after the first timeout, as RFC 9002 §6.2.1 has it, costs a lossy path seconds:
        // two probes of a row are often lost by chance (`lossy-20pct`).
        let doublings = (backoff + 1).saturating_sub(EVEN_TIMEOUTS).min(10);
        // A path whose round trip exceeds the limit waits for that round trip at least: to probe
        // sooner would ask before an answer can come.
        (base * 2u32.pow(doublings)).min(base.max(MAX_INTERVAL))
    }

    /// When the next probe is due.
    pub(super) fn due(&self, base: Duration) -> Time {
        self.last_sent + self.interval(base, self.count)
    }
}
