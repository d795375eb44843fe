//! Randomness is addressed, not shared.
//!
//! Every impairment of every direction has a ChaCha stream of its own, and within it every
//! packet a place of its own. Switching one impairment on shifts no other, and a packet that
//! the queue dropped, or that another sender never sent, changes no other packet's sample.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Direction;

/// Returns a ChaCha generator that depends on nothing but the seed, the direction and the name.
///
/// Seed and direction make the key; the name, hashed, chooses the stream under that key.
#[must_use]
pub fn stream(seed: u64, direction: Direction, name: &str) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = match direction {
        Direction::Forward => 0,
        Direction::Reverse => 1,
    };
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(fnv1a(name.as_bytes()));
    rng
}

/// Source of a link's random numbers: each impairment takes a stream by its own name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RngStreams {
    seed: u64,
    direction: Direction,
}

impl RngStreams {
    pub(crate) const fn new(seed: u64, direction: Direction) -> Self {
        Self { seed, direction }
    }

    /// Returns the stream of this name in which each packet has a place of its own.
    pub(crate) fn by_packet(self, name: &str) -> RngStream {
        RngStream {
            rng: self.generator(name),
            next: 0,
        }
    }

    /// Returns the stream of this name for numbers that are sampled one after the other.
    pub(crate) fn generator(self, name: &str) -> ChaCha8Rng {
        stream(self.seed, self.direction, name)
    }
}

/// Returns the FNV-1a hash, 64 bits: short, and the same everywhere and for ever.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Offset of the samples of copies, in the far half of the stream.
const COPY_OFFSET: u64 = 1 << 62;
/// 32-bit words of ChaCha output in a sample.
const WORDS: u128 = 2;

/// A stream with one 64-bit sample for each packet, found by the packet's index.
#[derive(Debug)]
pub(crate) struct RngStream {
    rng: ChaCha8Rng,
    next: u64,
}

impl RngStream {
    /// Returns the sample of packet `index`, or of its copy. In order it is cheap; elsewhere it
    /// costs a block of ChaCha.
    pub(crate) fn at(&mut self, index: u64, copy: bool) -> u64 {
        let place = if copy { index + COPY_OFFSET } else { index };
        if place != self.next {
            self.rng.set_word_pos(u128::from(place) * WORDS);
        }
        self.next = place + 1;
        self.rng.next_u64()
    }
}

/// Returns the upper half of a sample.
pub(crate) const fn high(sample: u64) -> u32 {
    (sample >> 32) as u32
}

/// Returns the lower half of a sample.
pub(crate) const fn low(sample: u64) -> u32 {
    sample as u32
}

/// A probability, to be compared with 32 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Threshold(u64);

impl Threshold {
    /// Creates the threshold `part / whole`, rounded to the nearest 2^-32.
    pub(crate) fn ratio(part: u128, whole: u128) -> Self {
        debug_assert!(part <= whole && whole > 0, "{part} of {whole}");
        Self((((part << 32) + whole / 2) / whole) as u64)
    }

    /// Returns whether it happens, with these random bits.
    pub(crate) const fn hits(self, bits: u32) -> bool {
        (bits as u64) < self.0
    }

    pub(crate) const fn is_never(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_does_not_depend_on_which_others_were_taken() {
        let streams = RngStreams::new(7, Direction::Forward);
        let mut all = streams.by_packet("loss");
        let in_order: Vec<u64> = (0..200).map(|index| all.at(index, false)).collect();
        let mut some = streams.by_packet("loss");
        for index in [3, 4, 150, 151, 17, 0, 199] {
            assert_eq!(some.at(index, false), in_order[index as usize]);
            some.at(index, true);
        }
    }

    #[test]
    fn seeds_directions_names_and_copies_have_different_samples() {
        let first = |seed, direction, name: &str, copy| {
            RngStreams::new(seed, direction).by_packet(name).at(0, copy)
        };
        let samples = [
            first(1, Direction::Forward, "loss", false),
            first(2, Direction::Forward, "loss", false),
            first(1, Direction::Reverse, "loss", false),
            first(1, Direction::Forward, "jitter", false),
            first(1, Direction::Forward, "loss", true),
        ];
        for (index, sample) in samples.iter().enumerate() {
            assert!(!samples[..index].contains(sample));
        }
    }

    /// Guards against a generator that changes with its crate: every recorded run would.
    #[test]
    fn the_stream_is_the_one_it_always_was() {
        let mut samples = RngStreams::new(1, Direction::Forward).by_packet("loss");
        assert_eq!(
            [samples.at(0, false), samples.at(1, false)],
            [4_233_226_055_918_101_983, 835_201_771_698_435_486]
        );
    }

    #[test]
    fn never_and_always_are_exact() {
        assert!(!Threshold::ratio(0, 5).hits(0));
        assert!(Threshold::ratio(5, 5).hits(u32::MAX));
        assert!(Threshold::ratio(1, 2).hits(0x7fff_ffff));
        assert!(!Threshold::ratio(1, 2).hits(0x8000_0000));
    }
}
