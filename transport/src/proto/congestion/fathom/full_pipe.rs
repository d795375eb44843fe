//! The pipe is full: more sending no longer brings more bandwidth.

use super::random_loss::MAX_RANDOM_LOSS;

/// Growth by less than this in a round is none, per mille (draft-cardwell-iccrg-bbr-00
/// §4.3.2.2).
const GROWTH_PERMILLE: u64 = 1250;

/// Rounds without growth that fill the pipe, whatever else is seen (§4.3.2.2).
const FLAT_ROUNDS: u32 = 3;

/// Share lost, beyond that of the last round in which bandwidth grew, that comes of sending more:
/// a little less than the half that a full queue drops while the rate doubles.
const LOSS_JUMP: f64 = 0.4;

/// Detects that start-up has found the bandwidth.
#[derive(Clone, Debug, Default)]
pub(super) struct FullPipe {
    /// Bytes a second when it last grew.
    bandwidth: u64,
    flat_rounds: u32,
    /// Share lost in the last round in which bandwidth grew.
    lost: f64,
}

impl FullPipe {
    /// Ends a round with this bandwidth known, of which a share of `lost` was lost; `queue`: one
    /// stood all through it. Returns true if the pipe is full.
    pub(super) fn end_round(&mut self, bandwidth: u64, queue: bool, lost: f64) -> bool {
        if bandwidth.saturating_mul(1000) >= self.bandwidth.saturating_mul(GROWTH_PERMILLE) {
            self.bandwidth = bandwidth;
            self.flat_rounds = 0;
            self.lost = lost;
            return false;
        }
        self.flat_rounds += 1;
        // One flat round is enough with a second signal: a queue, a flood of losses, or more loss
        // than a path has by itself. The draft waits for three, each of which makes another round
        // trip of queue.
        queue
            || lost > (self.lost + LOSS_JUMP).min(MAX_RANDOM_LOSS)
            || self.flat_rounds >= FLAT_ROUNDS
    }

    /// Returns true if bandwidth grew in the last round.
    pub(super) const fn is_growing(&self) -> bool {
        self.flat_rounds == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pipe_is_full_after_three_flat_rounds_or_one_with_a_queue_or_a_flood_of_losses() {
        let mut pipe = FullPipe::default();
        assert!(!pipe.end_round(100, true, 0.0));
        assert!(!pipe.end_round(126, true, 0.0));
        assert!(!pipe.end_round(130, false, 0.0));
        assert!(!pipe.end_round(130, false, 0.0));
        assert!(pipe.end_round(130, false, 0.0));
        let mut pipe = FullPipe::default();
        assert!(!pipe.end_round(100, true, 0.0));
        assert!(pipe.end_round(110, true, 0.0));
        let mut pipe = FullPipe::default();
        assert!(!pipe.end_round(100, false, 0.3));
        assert!(!pipe.end_round(110, false, 0.5));
        assert!(pipe.end_round(110, false, 0.75));
        // No path loses most of what is sent by itself.
        let mut pipe = FullPipe::default();
        assert!(!pipe.end_round(100, false, 0.9));
        assert!(pipe.end_round(110, false, 0.6));
    }
}
