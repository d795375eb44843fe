//! Flow control, sending half: how far the peer lets this side send.

/// The sending half.
#[derive(Debug)]
pub(crate) struct SendWindow {
    limit: u64,
    /// The limit at which the peer was last asked for more.
    asked_at: Option<u64>,
}

impl SendWindow {
    pub(crate) const fn new(limit: u64) -> Self {
        Self {
            limit,
            asked_at: None,
        }
    }

    /// The first offset that may not be sent.
    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes a limit from the peer; an older one that arrives late changes nothing.
    pub(crate) fn on_limit(&mut self, limit: u64) -> bool {
        let grew = limit > self.limit;
        self.limit = self.limit.max(limit);
        grew
    }

    /// The sender stands still at the limit: whether to ask, once for each limit.
    pub(crate) fn on_blocked(&mut self) -> bool {
        let ask = self.asked_at != Some(self.limit);
        self.asked_at = Some(self.limit);
        ask
    }

    /// The question was lost.
    pub(crate) const fn ask_again(&mut self) {
        self.asked_at = None;
    }
}
