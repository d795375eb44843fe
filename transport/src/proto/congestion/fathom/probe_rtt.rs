//! `ProbeRtt`: a visit to where no queue of this sender's own can be
//! (draft-cardwell-iccrg-bbr-00 §4.3.5).
//!
//! Departs from the draft, which goes down to four packets: half of what fits drains any queue that
//! is this sender's within the visit and costs half as much (as draft-ietf-ccwg-bbr-02 §5.3.4.2
//! does since).

use std::time::Duration;

use crate::Time;

/// Time that a visit lasts once so little is in flight (§4.3.5): longer than most round trips, so
/// that flows which share a link visit together.
const PROBE_RTT_DURATION: Duration = Duration::from_millis(200);

/// The present visit.
#[derive(Clone, Debug)]
pub(super) struct ProbeRtt {
    /// Time at which the visit ends; `None` until so little is in flight.
    done_at: Option<Time>,
    /// Round that it has to reach as well.
    round: u64,
    rtt_min: Option<Duration>,
    window_before: u64,
}

impl ProbeRtt {
    pub(super) const fn new(window_before: u64) -> Self {
        Self {
            done_at: None,
            round: 0,
            rtt_min: None,
            window_before,
        }
    }

    /// Returns the window to restore afterwards.
    pub(super) const fn window_before(&self) -> u64 {
        self.window_before
    }

    /// Returns the least round-trip time of the visit.
    pub(super) const fn rtt_min(&self) -> Option<Duration> {
        self.rtt_min
    }

    /// Handles an acknowledgement; `low`: no more is in flight than is meant to be. Returns true
    /// if the visit is over.
    pub(super) fn on_ack(
        &mut self,
        now: Time,
        round: u64,
        low: bool,
        rtt: Option<Duration>,
    ) -> bool {
        let Some(done_at) = self.done_at else {
            if low {
                self.done_at = Some(now + PROBE_RTT_DURATION);
                self.round = round + 1;
            }
            return false;
        };
        if let Some(rtt) = rtt {
            self.rtt_min = Some(self.rtt_min.map_or(rtt, |min| min.min(rtt)));
        }
        now >= done_at && round >= self.round
    }
}
