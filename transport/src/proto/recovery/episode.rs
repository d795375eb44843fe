//! Loss episodes: which losses one reduction of the congestion window answers, and whether all
//! of them have proved spurious (RFC 9002 §7.3.2; the undo follows Linux's DSACK undo).

/// The losses of the present episode.
#[derive(Clone, Debug, Default)]
pub(super) struct LossEpisode {
    /// Losses that have not proved spurious.
    lost: u64,
    /// The packet numbers of the episode. A later packet starts another; an earlier one
    /// belongs to the last, whose reduction is not what would be undone.
    begin: u64,
    end: u64,
}

impl LossEpisode {
    /// Adds losses, lowest number first, of which `largest` is the last.
    pub(super) fn on_lost<T>(&mut self, lost: &[(u64, T)], largest: u64, next_packet_number: u64) {
        // A packet sent after the reduction shows new congestion.
        if largest >= self.end {
            self.lost = 0;
            self.begin = self.end;
            self.end = next_packet_number;
        }
        // What was sent before the episode belongs to the reduction before it: its return would
        // undo the wrong one.
        let earlier = lost.partition_point(|&(number, _)| number < self.begin);
        self.lost += (lost.len() - earlier) as u64;
    }

    /// Takes a loss that has proved spurious; tells whether it was the last of the episode.
    pub(super) fn on_spurious(&mut self, number: u64) -> bool {
        if self.lost == 0 || !(self.begin..self.end).contains(&number) {
            return false;
        }
        self.lost -= 1;
        self.lost == 0
    }
}
