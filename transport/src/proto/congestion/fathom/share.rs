//! Packets delivered and lost, with a fading memory.

/// Least packets that say anything of a share: among fewer, one more or less lost is much.
const LEAST_PACKETS: f64 = 48.0;

/// Standard deviations by which a share may be higher than it looks.
const UPPER_DEVIATIONS: f64 = 2.0;

/// Packets delivered and lost; not whole numbers once they fade.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Share {
    pub(super) delivered: f64,
    pub(super) lost: f64,
}

impl Share {
    /// Adds another, and keeps this part of what is known.
    pub(super) fn add(&mut self, keep: f64, other: Self) {
        self.delivered = self.delivered * keep + other.delivered;
        self.lost = self.lost * keep + other.lost;
    }

    /// Returns packets delivered and lost.
    pub(super) fn total(self) -> f64 {
        self.delivered + self.lost
    }

    /// Returns true if it holds enough packets to say anything.
    pub(super) fn is_known(self) -> bool {
        self.total() >= LEAST_PACKETS
    }

    /// Returns the share lost, if enough is known.
    pub(super) fn ratio(self) -> Option<f64> {
        self.is_known().then(|| self.lost / self.total())
    }

    /// Returns an upper bound of the share lost, if enough is known.
    pub(super) fn at_most(self) -> Option<f64> {
        let total = self.total();
        // Laplace's rule: without it, nothing lost of a few would bound the share to zero.
        let ratio = (self.lost + 1.0) / (total + 2.0);
        let deviation = (ratio * (1.0 - ratio) / total).sqrt();
        self.is_known()
            .then_some(ratio + UPPER_DEVIATIONS * deviation)
    }
}
