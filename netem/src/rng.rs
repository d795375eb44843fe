//! Randomness is addressed, not shared.
//!
//! Every impairment of every direction has a ChaCha stream of its own, and within it every
//! packet a place of its own. Switching one impairment on shifts no other, and a packet that
//! the queue dropped, or that another sender never sent, takes nobody's draw.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Direction;

/// A ChaCha generator that depends on nothing but the seed, the direction and the name.
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

/// FNV-1a, 64 bits: short, and the same everywhere and for ever.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Copies draw from the far half of the stream.
const COPY_OFFSET: u64 = 1 << 62;
/// 32-bit words of ChaCha output in a draw.
const WORDS: u128 = 2;

/// One 64-bit draw for each packet, found by the packet's index.
#[derive(Debug)]
pub(crate) struct Draws {
    rng: ChaCha8Rng,
    next: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64, direction: Direction, name: &str) -> Self {
        Self {
            rng: stream(seed, direction, name),
            next: 0,
        }
    }

    /// The draw of packet `index`, or of the copy made of it. In order it is cheap; elsewhere it
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

/// The upper half of a draw.
pub(crate) const fn high(draw: u64) -> u32 {
    (draw >> 32) as u32
}

/// The lower half of a draw.
pub(crate) const fn low(draw: u64) -> u32 {
    draw as u32
}

/// A probability, to be compared with 32 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Threshold(u64);

impl Threshold {
    /// `part` of `whole`, rounded to the nearest 2^-32.
    pub(crate) fn ratio(part: u128, whole: u128) -> Self {
        debug_assert!(part <= whole && whole > 0, "{part} of {whole}");
        Self((((part << 32) + whole / 2) / whole) as u64)
    }

    /// Does it happen, with these random bits?
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
    fn a_draw_does_not_depend_on_which_others_were_made() {
        let mut all = Draws::new(7, Direction::Forward, "loss");
        let in_order: Vec<u64> = (0..200).map(|index| all.at(index, false)).collect();
        let mut some = Draws::new(7, Direction::Forward, "loss");
        for index in [3, 4, 150, 151, 17, 0, 199] {
            assert_eq!(some.at(index, false), in_order[index as usize]);
            some.at(index, true);
        }
    }

    #[test]
    fn seeds_directions_names_and_copies_draw_differently() {
        let first =
            |seed, direction, name: &str, copy| Draws::new(seed, direction, name).at(0, copy);
        let draws = [
            first(1, Direction::Forward, "loss", false),
            first(2, Direction::Forward, "loss", false),
            first(1, Direction::Reverse, "loss", false),
            first(1, Direction::Forward, "jitter", false),
            first(1, Direction::Forward, "loss", true),
        ];
        for (index, draw) in draws.iter().enumerate() {
            assert!(!draws[..index].contains(draw));
        }
    }

    /// Guards against a generator that changes with its crate: every recorded run would.
    #[test]
    fn the_stream_is_the_one_it_always_was() {
        let mut draws = Draws::new(1, Direction::Forward, "loss");
        assert_eq!(
            [draws.at(0, false), draws.at(1, false)],
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
