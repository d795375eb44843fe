//! The bounds that losses set: a long-term one of what may be in flight, found by probing, and
//! short-term ones of bandwidth and flight since the last probe
//! (draft-ietf-ccwg-bbr-02 §5.5.10).

/// Part of itself that a bound keeps with each round that has losses, per mille (`BBR.Beta`).
const BETA_PERMILLE: u64 = 700;

/// Part left free below the long-term bound for other flows, per mille (`BBR.Headroom`).
const HEADROOM_PERMILLE: u64 = 150;

/// Share of what was in flight whose loss is tolerated, per mille (`BBR.LossThresh`).
const LOSS_PERMILLE: u64 = 20;

/// Maxima of the latest round of losses.
#[derive(Clone, Debug, Default)]
struct Latest {
    /// Bytes a second.
    bandwidth: u64,
    /// Bytes.
    delivered: u64,
}

/// The bounds. `u64::MAX` bounds nothing.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// `BBR.inflight_hi`, of the long term.
    pub(super) inflight_hi: u64,
    /// `BBR.bw_lo` and `BBR.inflight_lo`, of the short term.
    pub(super) bandwidth_lo: u64,
    pub(super) inflight_lo: u64,
    latest: Latest,
    /// Losses were declared in the present round of losses.
    loss_in_round: bool,
    /// Times that they were.
    loss_events: u32,
    /// Bytes delivered when the present round of losses began; it ends when something sent since
    /// is acknowledged.
    round_end: u64,
    /// All three before the present round's losses.
    undo: [u64; 3],
}

impl Bounds {
    pub(super) const fn new() -> Self {
        Self {
            inflight_hi: u64::MAX,
            bandwidth_lo: u64::MAX,
            inflight_lo: u64::MAX,
            latest: Latest {
                bandwidth: 0,
                delivered: 0,
            },
            loss_in_round: false,
            loss_events: 0,
            round_end: 0,
            undo: [u64::MAX; 3],
        }
    }

    /// Returns how often losses were declared in the present round of losses.
    pub(super) const fn loss_events(&self) -> u32 {
        self.loss_events
    }

    /// Returns the largest flight that came through in the latest round.
    pub(super) const fn inflight_latest(&self) -> u64 {
        self.latest.delivered
    }

    /// Notes a loss (`BBRNoteLoss`, §5.5.10.2); `delivered` bytes so far, since the connection began.
    pub(super) fn note_loss(&mut self, delivered: u64) {
        if !self.loss_in_round {
            self.round_end = delivered;
            // From before the first loss of the round: when its losses prove spurious, all that they
            // did is taken back.
            self.undo = [self.inflight_hi, self.bandwidth_lo, self.inflight_lo];
        }
        self.loss_in_round = true;
        self.loss_events += 1;
    }

    /// Updates the latest maxima (`BBRUpdateLatestDeliverySignals`, §5.5.10.3). Returns true if a
    /// round of losses has ended.
    pub(super) fn update_latest(
        &mut self,
        bandwidth: u64,
        delivered: u64,
        prior_delivered: u64,
        total_delivered: u64,
    ) -> bool {
        self.latest.bandwidth = self.latest.bandwidth.max(bandwidth);
        self.latest.delivered = self.latest.delivered.max(delivered);
        let ended = prior_delivered >= self.round_end;
        if ended {
            self.round_end = total_delivered;
        }
        ended
    }

    /// `BBRAdvanceLatestDeliverySignals` (§5.5.10.3).
    pub(super) const fn advance_latest(&mut self, bandwidth: u64, delivered: u64) {
        self.latest = Latest {
            bandwidth,
            delivered,
        };
    }

    /// `BBRAdaptLowerBoundsFromCongestion` (§5.5.10.3), at the end of a round of losses.
    /// `probing`: the losses were asked for.
    pub(super) fn adapt_lower(&mut self, probing: bool, bandwidth: u64, window: u64) {
        // A probe loses on purpose: its losses bound the long term only.
        if self.loss_in_round && !probing {
            let cut = |bound: u64, first: u64, latest: u64| {
                // The first cut starts from what is in use: there is no bound to cut yet
                // (`BBRInitLowerBounds`).
                let bound = if bound == u64::MAX { first } else { bound };
                // What came through was not too much, whatever else was lost.
                latest.max(bound / 1000 * BETA_PERMILLE)
            };
            self.bandwidth_lo = cut(self.bandwidth_lo, bandwidth, self.latest.bandwidth);
            self.inflight_lo = cut(self.inflight_lo, window, self.latest.delivered);
        }
        self.loss_in_round = false;
        self.loss_events = 0;
    }

    /// `BBRResetShortTermModel` (§5.5.10.3).
    pub(super) const fn reset_lower(&mut self) {
        self.bandwidth_lo = u64::MAX;
        self.inflight_lo = u64::MAX;
    }

    /// `BBRResetCongestionSignals` (§5.5.10.3).
    pub(super) fn reset_signals(&mut self) {
        self.loss_in_round = false;
        self.loss_events = 0;
        self.latest = Latest::default();
    }

    /// `BBRHandleInflightTooHigh` (§5.5.10.2): `in_flight` was too much.
    pub(super) fn cut_upper(&mut self, in_flight: u64, target: u64) {
        self.inflight_hi = in_flight.max(target / 1000 * BETA_PERMILLE);
    }

    /// Returns what may be in flight while room is left for others (`BBRInflightWithHeadroom`,
    /// §5.3.3.4).
    pub(super) fn with_headroom(&self, mss: u64, least: u64) -> u64 {
        if self.inflight_hi == u64::MAX {
            return u64::MAX;
        }
        let headroom = mss.max(self.inflight_hi / 1000 * HEADROOM_PERMILLE);
        self.inflight_hi.saturating_sub(headroom).max(least)
    }

    /// Restores the bounds: nothing had been lost (`BBRHandleSpuriousLossDetection`, §5.5.10.4).
    pub(super) fn undo(&mut self) {
        self.loss_in_round = false;
        let [inflight_hi, bandwidth_lo, inflight_lo] = self.undo;
        // The larger one: the bounds may have risen since.
        self.inflight_hi = self.inflight_hi.max(inflight_hi);
        self.bandwidth_lo = self.bandwidth_lo.max(bandwidth_lo);
        self.inflight_lo = self.inflight_lo.max(inflight_lo);
    }
}

/// Returns true if too much of what was in flight was lost (`BBRIsInflightTooHigh`, §5.5.10.2).
pub(super) const fn is_too_high(lost: u64, in_flight: u64) -> bool {
    lost > in_flight / 1000 * LOSS_PERMILLE
}

/// Returns the flight at which, within the `bytes` lost last, the share lost passed the threshold
/// (`BBRInflightHiFromLostPacket`, §5.5.10.2).
pub(super) fn inflight_at_threshold(in_flight: u64, lost: u64, bytes: u64) -> u64 {
    let before = in_flight.saturating_sub(bytes);
    let lost_before = lost.saturating_sub(bytes);
    let allowed = before / 1000 * LOSS_PERMILLE;
    before + allowed.saturating_sub(lost_before) * 1000 / (1000 - LOSS_PERMILLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_with_losses_keeps_seven_tenths_or_what_came_through() {
        let mut bounds = Bounds::new();
        bounds.note_loss(0);
        bounds.update_latest(100_000, 10_000, 0, 10_000);
        bounds.adapt_lower(false, 1_000_000, 100_000);
        assert_eq!((bounds.bandwidth_lo, bounds.inflight_lo), (700_000, 70_000));
        bounds.note_loss(10_000);
        bounds.update_latest(650_000, 65_000, 10_000, 75_000);
        bounds.adapt_lower(false, 1_000_000, 100_000);
        assert_eq!((bounds.bandwidth_lo, bounds.inflight_lo), (650_000, 65_000));
    }

    #[test]
    fn losses_that_were_asked_for_cut_nothing_of_the_short_term() {
        let mut bounds = Bounds::new();
        bounds.note_loss(0);
        bounds.adapt_lower(true, 1_000_000, 100_000);
        assert_eq!(bounds.bandwidth_lo, u64::MAX);
        bounds.adapt_lower(false, 1_000_000, 100_000);
        assert_eq!(bounds.bandwidth_lo, u64::MAX, "the losses are done with");
    }

    #[test]
    fn what_proves_spurious_is_taken_back() {
        let mut bounds = Bounds::new();
        bounds.cut_upper(90_000, 0);
        bounds.note_loss(0);
        bounds.cut_upper(50_000, 0);
        bounds.adapt_lower(false, 1_000_000, 100_000);
        bounds.undo();
        assert_eq!(bounds.inflight_hi, 90_000);
        assert_eq!(bounds.bandwidth_lo, u64::MAX);
    }

    #[test]
    fn the_threshold_is_found_within_the_last_loss() {
        assert!(!is_too_high(2_000, 100_000));
        assert!(is_too_high(2_001, 100_000));
        // Nothing lost before, and 10,000 bytes at once: 2 % of 90,000 would have been tolerated.
        assert_eq!(inflight_at_threshold(100_000, 10_000, 10_000), 91_836);
        assert_eq!(inflight_at_threshold(100_000, 50_000, 1_000), 99_000);
    }
}
