//! The pipe is full: more in flight brings no more bandwidth (draft-ietf-ccwg-bbr-02 §5.3.1.2).

/// Growth by less than this in a round is none, per mille (`BBR.FullBwThresh` is 1.25).
const GROWTH_PERMILLE: u64 = 1250;

/// Rounds without growth that fill the pipe (`BBR.FullBwCount`).
const FLAT_ROUNDS: u32 = 3;

/// `BBR.full_bw` and what belongs to it.
#[derive(Clone, Debug, Default)]
pub(super) struct FullPipe {
    bandwidth: u64,
    flat_rounds: u32,
    is_full: bool,
}

impl FullPipe {
    /// Creates one that has seen this bandwidth so far (`BBRResetFullBW`).
    pub(super) const fn since(bandwidth: u64) -> Self {
        Self {
            bandwidth,
            flat_rounds: 0,
            is_full: false,
        }
    }

    /// Returns true if the pipe is full.
    pub(super) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// Adds a sample that the application has not limited (`BBRCheckFullBWReached`).
    pub(super) const fn on_sample(&mut self, bandwidth: u64, round_start: bool) {
        if self.is_full {
            return;
        }
        if bandwidth.saturating_mul(1000) >= self.bandwidth.saturating_mul(GROWTH_PERMILLE) {
            *self = Self::since(bandwidth);
            return;
        }
        // Once a round, though every sample is compared: several of one round share most of their
        // packets.
        if round_start {
            self.flat_rounds += 1;
            self.is_full = self.flat_rounds >= FLAT_ROUNDS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_flat_rounds_fill_the_pipe() {
        let mut pipe = FullPipe::default();
        for bandwidth in [100, 200, 240, 245] {
            pipe.on_sample(bandwidth, true);
            pipe.on_sample(bandwidth, false);
            assert!(!pipe.is_full(), "{bandwidth}");
        }
        pipe.on_sample(200, true);
        assert!(pipe.is_full());
    }
}
