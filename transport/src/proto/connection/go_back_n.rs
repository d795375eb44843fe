//! The seed's recovery: one fixed timer, everything from the first missing byte again.
//!
//! The receiver takes only what comes next in order and acknowledges that at once. The sender
//! knows no fast retransmission: when nothing has been acknowledged for the length of the
//! timer, it halves its window and goes back. Kept as the baseline that the rest is measured
//! against.

use super::Connection;
use crate::Time;
use crate::proto::recovery::LossTrigger;

impl Connection {
    /// Takes the end of the timer: everything in flight is declared lost and sent again.
    pub(super) fn rewind(&mut self, now: Time) {
        while let Some((number, packet)) = self.recovery.declare_oldest_lost() {
            self.pending.rwnd |= packet.rwnd;
            self.pending.rwnd_check |= packet.rwnd_check;
            self.pending.ping |= packet.stream().is_empty();
            self.count_lost(now, (number, &packet), LossTrigger::Timeout);
        }
        self.send.rewind();
        self.path.controller_mut().on_retransmission_timeout(now);
    }
}
