//! The least round-trip time, and the time to measure it again (draft-ietf-ccwg-bbr-02 §5.3.4.3).

use std::time::Duration;

use crate::Time;

/// Time for which the least is kept (`MinRTTFilterLen`).
const LIFETIME: Duration = Duration::from_secs(10);

/// Time after which it is measured again (`ProbeRTTInterval`).
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// `BBR.min_rtt`, the least of ten seconds, and `BBR.probe_rtt_min_delay`, of five.
#[derive(Clone, Debug, Default)]
pub(super) struct MinRtt {
    least: Option<(Duration, Time)>,
    recent: Option<(Duration, Time)>,
    is_expired: bool,
}

impl MinRtt {
    /// Returns the least round-trip time.
    pub(super) fn get(&self) -> Option<Duration> {
        self.least.map(|(rtt, _)| rtt)
    }

    /// Returns true if nothing has been as low as the recent least: it has to be measured again.
    pub(super) const fn is_expired(&self) -> bool {
        self.is_expired
    }

    /// Adds a sample (`BBRUpdateMinRTT`).
    pub(super) fn update(&mut self, now: Time, rtt: Option<Duration>) {
        let older = |of: Option<(Duration, Time)>, than: Duration| {
            of.is_some_and(|(_, seen_at)| now.saturating_since(seen_at) > than)
        };
        self.is_expired = older(self.recent, PROBE_INTERVAL);
        if let Some(rtt) = rtt
            && (self.is_expired || self.recent.is_none_or(|(least, _)| rtt < least))
        {
            self.recent = Some((rtt, now));
        }
        let lower = match (self.recent, self.least) {
            (Some((recent, _)), Some((least, _))) => recent < least,
            (recent, _) => recent.is_some(),
        };
        if lower || older(self.least, LIFETIME) {
            self.least = self.recent;
        }
    }

    /// Notes that `ProbeRTT` has measured it.
    pub(super) fn probed(&mut self, now: Time) {
        if let Some((_, seen_at)) = &mut self.recent {
            *seen_at = now;
        }
        self.is_expired = false;
    }
}
