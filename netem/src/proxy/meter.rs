//! The proxy's lateness: a histogram of bounded size.
//!
//! Buckets as in HdrHistogram: exact below 64 ns, then 64 buckets to each power of two, so a
//! quantile is never too low and at most 1/64 (1.6 %) too high. The maximum is exact.
//!
//! The crate `hdrhistogram` offers 16 or 128 buckets to a power of two and none between, so its
//! quantiles, which reports print and budgets are compared with, would be others.

use serde::Serialize;

const SUB_BITS: u32 = 6;
const SUB: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB;

/// Counts of `u64` nanoseconds; 30 KiB, whatever the values.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    samples: u64,
    max_ns: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            samples: 0,
            max_ns: 0,
        }
    }

    pub(crate) fn record(&mut self, value_ns: u64) {
        self.counts[bucket(value_ns)] += 1;
        self.samples += 1;
        self.max_ns = self.max_ns.max(value_ns);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.samples += other.samples;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// The smallest recorded value that `permille` of all values do not exceed, rounded up to
    /// its bucket's end; 0 when nothing was recorded.
    pub(crate) fn quantile_ns(&self, permille: u64) -> u64 {
        // Rounded up (the nearest-rank quantile): a quantile is a value that was measured, and
        // never too low.
        let rank = (u128::from(self.samples) * u128::from(permille)).div_ceil(1000);
        let rank = u64::try_from(rank).unwrap_or(u64::MAX).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                // The end of the bucket of the maximum may lie above it.
                return bucket_end(index).min(self.max_ns);
            }
        }
        self.max_ns
    }

    pub(crate) fn lateness(&self) -> Lateness {
        Lateness {
            samples: self.samples,
            p50_ns: self.quantile_ns(500),
            p99_ns: self.quantile_ns(990),
            max_ns: self.max_ns,
        }
    }
}

fn bucket(value: u64) -> usize {
    // Below 64 a bucket is one value: there are no lower bits to cut off.
    if value < SUB as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    let within = (value >> shift) as usize - SUB;
    (shift as usize + 1) * SUB + within
}

fn bucket_end(index: usize) -> u64 {
    if index < SUB {
        return index as u64;
    }
    let shift = index / SUB - 1;
    // In 128 bits, since the last bucket ends at 2^64.
    let end = u128::from((index % SUB + SUB) as u64 + 1) << shift;
    u64::try_from(end - 1).unwrap_or(u64::MAX)
}

/// A summary of how late something was, in nanoseconds.
///
/// The quantiles are at most 1.6 % too high and never too low; the maximum is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Lateness {
    /// Number of packets measured.
    pub samples: u64,
    /// Half of the packets were no later than this.
    pub p50_ns: u64,
    /// 99 % of the packets were no later than this.
    pub p99_ns: u64,
    /// The latest of all.
    pub max_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_value_has_a_bucket() {
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket_end(BUCKETS - 1), u64::MAX);
    }

    #[test]
    fn an_empty_histogram_is_all_zeroes() {
        let empty = Histogram::new().lateness();
        assert_eq!((empty.samples, empty.p50_ns, empty.max_ns), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_and_the_bucket_is_narrow(value: u64) {
            let index = bucket(value);
            let end = bucket_end(index);
            prop_assert!(end >= value);
            prop_assert!(end - value <= value / 64);
            prop_assert!(index == 0 || bucket_end(index - 1) < value);
        }

        #[test]
        fn a_quantile_is_never_below_the_exact_one_and_at_most_one_64th_above(
            mut values in prop::collection::vec(0u64..10_000_000_000, 1..300),
            permille in 1u64..=1000,
        ) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|value| histogram.record(*value));
            values.sort_unstable();
            let rank = (values.len() as u64 * permille).div_ceil(1000).max(1);
            let exact = values[rank as usize - 1];
            let reported = histogram.quantile_ns(permille);
            prop_assert!(reported >= exact, "{reported} < {exact}");
            prop_assert!(reported - exact <= exact / 64, "{reported} too far above {exact}");
        }

        #[test]
        fn adding_two_histograms_is_recording_into_one(
            left in prop::collection::vec(any::<u64>(), 0..50),
            right in prop::collection::vec(any::<u64>(), 0..50),
        ) {
            let (mut a, mut b, mut both) = (Histogram::new(), Histogram::new(), Histogram::new());
            left.iter().for_each(|value| a.record(*value));
            right.iter().for_each(|value| b.record(*value));
            left.iter().chain(&right).for_each(|value| both.record(*value));
            a.add(&b);
            prop_assert_eq!(a.lateness(), both.lateness());
        }
    }
}
