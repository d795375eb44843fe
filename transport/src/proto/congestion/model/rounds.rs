//! Rounds of a flow, counted by what has been delivered
//! (draft-ietf-ccwg-bbr-02 §5.5.1).

use std::time::Duration;

/// The present round, which ends when a packet is acknowledged that was sent after it began.
#[derive(Clone, Debug, Default)]
pub(in crate::proto::congestion) struct Rounds {
    next_delivered: u64,
    count: u64,
    rtt_min: Option<Duration>,
    last_rtt_min: Option<Duration>,
}

impl Rounds {
    /// Handles an acknowledgement. Returns true if it begins a new round.
    pub(in crate::proto::congestion) fn update(
        &mut self,
        prior_delivered: u64,
        delivered: u64,
        rtt: Option<Duration>,
    ) -> bool {
        // By what had been delivered when the packet was sent, not by its number: a retransmission
        // has a new number and the same place in the flow.
        let starts = prior_delivered >= self.next_delivered;
        if starts {
            self.next_delivered = delivered;
            self.count += 1;
            self.last_rtt_min = self.rtt_min.take();
        }
        if let Some(rtt) = rtt {
            self.rtt_min = Some(self.rtt_min.map_or(rtt, |min| min.min(rtt)));
        }
        starts
    }

    /// Returns the number of rounds that have begun.
    pub(in crate::proto::congestion) const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the least round-trip time of the last whole round.
    pub(in crate::proto::congestion) const fn last_rtt_min(&self) -> Option<Duration> {
        self.last_rtt_min
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_ends_when_something_sent_in_it_is_acknowledged() {
        let mut rounds = Rounds::default();
        assert!(rounds.update(0, 10, None));
        assert!(!rounds.update(5, 20, None));
        assert!(rounds.update(10, 30, None));
        assert!(!rounds.update(29, 40, None));
        assert_eq!(rounds.count(), 2);
    }
}
