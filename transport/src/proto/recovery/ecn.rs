//! Explicit congestion notification: validation of the path, and the marks that it reports
//! (RFC 9000 §13.4.2).

use crate::wire::EcnCounts;

/// The sender's view of the path's ECN.
#[derive(Clone, Debug)]
pub(crate) struct EcnState {
    enabled: bool,
    marked_packets_acked: u64,
    counts: EcnCounts,
}

impl EcnState {
    pub(crate) const fn new(enabled: bool) -> Self {
        Self {
            enabled,
            marked_packets_acked: 0,
            counts: EcnCounts {
                ect0: 0,
                ect1: 0,
                ce: 0,
            },
        }
    }

    /// Tells whether to mark packets ECT(0).
    pub(crate) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Takes the counts of an acknowledgement of `newly_acked` packets; gives the number of
    /// new CE marks. A path that loses or changes marks is not marked any more.
    pub(crate) fn on_ack(&mut self, newly_acked: u64, counts: Option<EcnCounts>) -> u64 {
        if !self.enabled {
            return 0;
        }
        self.marked_packets_acked += newly_acked;
        let Some(counts) = counts else {
            // Counts may lag behind on a reordered path; after this many packets they would have
            // come.
            self.enabled = self.marked_packets_acked < 10;
            return 0;
        };
        // Fewer marks than packets, or marks never sent: the path bleaches or rewrites the field
        // (RFC 9000 §13.4.2.1).
        let reported = counts.ect0 + counts.ce;
        if counts.ect1 > 0 || reported < self.marked_packets_acked {
            self.enabled = false;
            return 0;
        }
        // An acknowledgement that was overtaken holds older counts: only what exceeds the largest
        // seen is new (RFC 9000 §13.4.2.1).
        let new_ce = counts.ce.saturating_sub(self.counts.ce);
        self.counts.ce = self.counts.ce.max(counts.ce);
        new_ce
    }
}
