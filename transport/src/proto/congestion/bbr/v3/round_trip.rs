//! The least round-trip time, and when to look for it (draft-ietf-ccwg-bbr-02 §5.3.4.3).

use std::time::Duration;

use crate::Time;

/// `MinRTTFilterLen`.
const LIFETIME: Duration = Duration::from_secs(10);

/// `ProbeRTTInterval`.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// `BBR.min_rtt`, of ten seconds, and `BBR.probe_rtt_min_delay`, of five.
#[derive(Clone, Debug, Default)]
pub(super) struct MinRtt {
    least: Option<(Duration, Time)>,
    recent: Option<(Duration, Time)>,
    is_expired: bool,
}

impl MinRtt {
    pub(super) fn get(&self) -> Option<Duration> {
        self.least.map(|(rtt, _)| rtt)
    }

    /// Nothing has been as low as the least of late: it has to be looked for.
    pub(super) const fn is_expired(&self) -> bool {
        self.is_expired
    }

    /// `BBRUpdateMinRTT`.
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

    /// It has been looked for.
    pub(super) fn probed(&mut self, now: Time) {
        if let Some((_, seen_at)) = &mut self.recent {
            *seen_at = now;
        }
        self.is_expired = false;
    }
}
