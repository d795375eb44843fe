//! Packet numbers that are left out: a trap for acknowledgements of what has not arrived.
//!
//! A receiver that acknowledges packets before they come, or although they were lost, makes its
//! peer send faster than the path carries, at the cost of everyone else on it (RFC 9000 §21.4).
//! It cannot know which numbers were never used, so sooner or later it acknowledges one. The
//! gaps between them grow: the first ones catch a cheat early, and each costs the receiver a
//! range and an acknowledgement.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// The secret of one connection, of which its numbers follow.
pub(crate) type SkipSecret = Zeroizing<[u8; 32]>;

/// The least gap between two numbers left out.
const LEAST_GAP: u64 = 128;

/// Doublings of the random part of the gap.
const MAX_DOUBLINGS: u32 = 7;

/// Numbers left out that are remembered, the last ones.
const MAX_REMEMBERED: usize = 8;

/// The numbers left out so far, and the next.
pub(crate) struct SkippedNumbers {
    secret: SkipSecret,
    count: u32,
    next: u64,
    last: VecDeque<u64>,
}

impl std::fmt::Debug for SkippedNumbers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SkippedNumbers").finish_non_exhaustive()
    }
}

impl SkippedNumbers {
    pub(crate) fn new(secret: SkipSecret) -> Self {
        let mut skipped = Self {
            secret,
            count: 0,
            next: 0,
            last: VecDeque::new(),
        };
        skipped.next = skipped.gap();
        skipped
    }

    /// The number to use in the place of `number`: itself, or the one behind if it is left out.
    pub(crate) fn pass(&mut self, number: u64) -> u64 {
        if number < self.next {
            return number;
        }
        self.last.push_back(number);
        if self.last.len() > MAX_REMEMBERED {
            self.last.pop_front();
        }
        self.count += 1;
        self.next = number + self.gap();
        number + 1
    }

    /// Tells whether a range of acknowledged numbers has one that was left out.
    pub(crate) fn is_caught(&self, acked: &RangeInclusive<u64>) -> bool {
        self.last.iter().any(|number| acked.contains(number))
    }

    /// How far the next number lies. The peer must not be able to tell, though it knows the
    /// keys of the connection and every number left out so far.
    fn gap(&self) -> u64 {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret[..]);
        let tag = hmac::sign(&key, &self.count.to_be_bytes());
        let random = tag.as_ref().iter().take(8);
        let random = random.fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        LEAST_GAP + random % (LEAST_GAP << self.count.min(MAX_DOUBLINGS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers left out among the first of a connection.
    fn left_out(secret: u8) -> Vec<u64> {
        let mut skipped = SkippedNumbers::new(Zeroizing::new([secret; 32]));
        let mut number = 0;
        let mut left_out = Vec::new();
        while number < 200_000 {
            let used = skipped.pass(number);
            left_out.extend(number..used);
            number = used + 1;
        }
        left_out
    }

    #[test]
    fn numbers_left_out_follow_from_the_secret_alone_and_differ_with_it() {
        let first = left_out(1);
        assert_eq!(left_out(1), first);
        assert_ne!(left_out(2), first);
        let gaps: Vec<u64> = first.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            gaps.iter()
                .all(|gap| (128..=128 + (128 << 7)).contains(gap))
        );
        assert!((10..60).contains(&first.len()), "{}", first.len());
    }

    #[test]
    fn only_a_number_that_was_left_out_catches() {
        let mut skipped = SkippedNumbers::new(Zeroizing::new([1; 32]));
        let number = left_out(1)[0];
        for used in 0..number {
            assert_eq!(skipped.pass(used), used);
        }
        assert!(!skipped.is_caught(&(0..=number)), "it could still be sent");
        assert_eq!(skipped.pass(number), number + 1);
        assert!(skipped.is_caught(&(0..=number + 1)));
        assert!(skipped.is_caught(&(number..=number)));
        assert!(!skipped.is_caught(&(0..=number - 1)));
        assert!(!skipped.is_caught(&(number + 1..=number + 9)));
    }
}
