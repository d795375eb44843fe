//! Flow control, sending half: how far the peer lets this side send.

/// The limit that the peer has offered.
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

    /// Takes a limit from the peer; tells whether it is higher. An older one that arrives late
    /// changes nothing.
    pub(crate) fn on_limit(&mut self, limit: u64) -> bool {
        // Limits never shrink (RFC 9000 §4.1): a packet that was overtaken offers an older one.
        let grew = limit > self.limit;
        self.limit = self.limit.max(limit);
        grew
    }

    /// Tells whether to ask for more, once for each limit at which the sender stands still.
    pub(crate) fn on_blocked(&mut self) -> bool {
        let ask = self.asked_at != Some(self.limit);
        self.asked_at = Some(self.limit);
        ask
    }

    /// Allows the same question again: the first was lost.
    pub(crate) const fn ask_again(&mut self) {
        self.asked_at = None;
    }
}
