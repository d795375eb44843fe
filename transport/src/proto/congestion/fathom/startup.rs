//! The end of start-up: the bandwidth has been found, or far too much is being lost.

use super::packet_train::PacketTrain;
use super::random_loss::MAX_RANDOM_LOSS;
use super::{Fathom, State};
use crate::proto::congestion::AckInfo;

impl Fathom {
    /// Leaves start-up within a round if most of what it sends is lost: until the round has ended,
    /// much more would be sent in vain (`policer`).
    pub(super) fn check_flood(&mut self, ack: &AckInfo<'_>) {
        if matches!(self.state, State::Startup) && self.random_loss.is_flooded() {
            self.leave_startup();
            self.adopt_delivered_rate(ack.next_packet_number);
        }
    }

    /// Ends a round of start-up, and start-up if the pipe is full.
    pub(super) fn end_startup_round(&mut self, ack: &AckInfo<'_>, queue: bool) {
        let lost = self.random_loss.lost_in_round();
        let full = self.full_pipe.end_round(self.bandwidth.get(), queue, lost);
        if full {
            self.leave_startup();
            // More than any path loses by itself: the bandwidth is what came through.
            if lost > MAX_RANDOM_LOSS {
                self.adopt_delivered_rate(ack.next_packet_number);
            }
        }
    }

    pub(super) fn leave_startup(&mut self) {
        self.filled = true;
        self.state = State::Drain;
        // The model is what samples have shown from here on: a train's rate is never taken back.
        self.train = PacketTrain::default();
    }
}
