//! Parts that the controllers with a model of the path share: `fathom` and `bbr3`.
//!
//! | file | what |
//! |---|---|
//! | [`rounds`] | rounds, counted by what has been delivered |
//! | [`aggregation`] | the surplus of aggregated acknowledgements |
//!
//! Here stands only what both drafts define alike: a departure of one controller belongs into its
//! own room, and a change here moves the baseline of both (`docs/CONGESTION.md` lists the constants,
//! a test holds them against the code). Relies on times, byte counts and rates that are handed in,
//! and on nothing else of the transport.

mod aggregation;
mod rounds;

use std::time::Duration;

use crate::time::nanos;

pub(super) use aggregation::Aggregation;
pub(super) use rounds::Rounds;

/// Least window, packets: enough that one loss is found without a timer
/// (draft-ietf-ccwg-bbr-02, `BBR.MinPipeCwnd`).
pub(super) const MINIMUM_WINDOW_PACKETS: u64 = 4;

/// Quanta of the pacer that may be on their way through the end systems: one in the sender's
/// stack, one in the receiver's, one in between (draft-ietf-ccwg-bbr-02 §5.6.4.2).
pub(super) const QUANTA: u64 = 3;

/// Paces the first flight when not even the handshake gave a round-trip time.
const GUESSED_RTT: Duration = Duration::from_millis(100);

/// Returns the bytes that `rate` bytes a second amount to in that time.
pub(super) fn bytes_in(rate: u64, time: Duration) -> u64 {
    let bytes = u128::from(rate) * u128::from(nanos(time)) / 1_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Returns 32 bits that look random: flows with other seeds do other things, and a seed does the
/// same in every run.
pub(super) const fn mixed(seed: u64) -> u64 {
    // Fibonacci hashing: the high bits of the product are well mixed.
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32
}

/// Returns thousandths of a value.
pub(super) fn scale(value: u64, permille: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(permille) / 1000;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

/// Returns a window a round trip, bytes a second: the rate before the first acknowledgement.
pub(super) fn initial_rate(window: u64, smoothed_rtt: Option<Duration>) -> u64 {
    let rtt_ns = nanos(smoothed_rtt.unwrap_or(GUESSED_RTT)).max(1);
    let rate = u128::from(window) * 1_000_000_000 / u128::from(rtt_ns);
    u64::try_from(rate).unwrap_or(u64::MAX)
}
