//! Datagram size, and the detection of black holes (RFC 8899 §4.3).
//!
//! The configured size is used from the start. When several probe timeouts in a row bring no
//! acknowledgement of any datagram above the base size, the path may drop large ones: the
//! sender falls back to 1,200 bytes, which every path carries (RFC 9000 §14), and tries the
//! full size again later.

use std::time::Duration;

use crate::Time;

/// RFC 9000 §14: the size every path has to carry.
pub(crate) const BASE_BYTES: u64 = 1200;

/// Probe timeouts in a row after which large datagrams are suspected.
const SUSPICIOUS_TIMEOUTS: u32 = 3;

/// The time with small datagrams before the full size is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The present datagram size.
#[derive(Clone, Debug)]
pub(crate) struct Mtu {
    full: u64,
    current: u64,
    raise_at: Option<Time>,
}

impl Mtu {
    pub(crate) const fn new(full: u64) -> Self {
        Self {
            full,
            current: full,
            raise_at: None,
        }
    }

    /// The largest datagram to send, bytes of UDP payload.
    pub(crate) const fn current(&self) -> u64 {
        self.current
    }

    /// The peer takes no more than `limit`.
    pub(crate) fn limit(&mut self, limit: u64) {
        self.full = self.full.min(limit);
        self.current = self.current.min(limit);
    }

    /// Takes a probe timeout, the `count`th in a row; tells whether the size has changed.
    pub(crate) fn on_probe_timeout(&mut self, now: Time, count: u32) -> bool {
        // RFC 8899 §4.3 leaves open what shows a black hole. One or two timeouts may be a burst of
        // losses, and smaller datagrams would then only cost goodput.
        let suspect = count >= SUSPICIOUS_TIMEOUTS && self.current > BASE_BYTES;
        if suspect {
            self.current = BASE_BYTES;
            self.raise_at = Some(now + RETRY_AFTER);
        }
        suspect
    }

    /// Takes an acknowledgement, of a packet of up to `largest_bytes`; tells whether the size
    /// has changed.
    pub(crate) fn on_ack(&mut self, now: Time, largest_bytes: u64) -> bool {
        // A large datagram got through after all: it was congestion, not a black hole.
        if largest_bytes > BASE_BYTES && self.raise_at.take().is_some() {
            self.current = self.full;
            return true;
        }
        // The full size at once, without a probe of its own: if the hole is still there, the same
        // timeouts find it again.
        if self.raise_at.is_some_and(|at| at <= now) {
            self.raise_at = None;
            self.current = self.full;
            return true;
        }
        false
    }
}
