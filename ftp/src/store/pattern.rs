//! A file that is generated as it is read: of any length, without memory.

use blake3::{Hash, Hasher};
use bytes::Bytes;

use super::error::StoreError;
use super::traits::Source;
use crate::protocol::Attributes;

/// Bytes of one word of the pattern.
const WORD_BYTES: u64 = 8;

/// Bytes hashed at once.
const BLOCK_BYTES: usize = 1 << 20;

/// A file of incompressible bytes, the same for the same seed on every machine.
#[derive(Clone, Debug)]
pub struct PatternSource {
    seed: u64,
    size: u64,
    position: u64,
}

impl PatternSource {
    /// Creates a source of the first `size` bytes of the pattern of `seed`.
    pub const fn new(seed: u64, size: u64) -> Self {
        Self {
            seed,
            size,
            position: 0,
        }
    }

    /// Hash of the whole file, independent of the read position.
    pub fn hash(&self) -> Hash {
        let mut hasher = Hasher::new();
        let mut whole = Self::new(self.seed, self.size);
        let mut block = Vec::new();
        while whole.position < whole.size {
            block.clear();
            whole.append(&mut block, BLOCK_BYTES);
            hasher.update(&block);
        }
        hasher.finalize()
    }

    /// Appends the next bytes, `max` of them or what is left.
    fn append(&mut self, block: &mut Vec<u8>, max: usize) {
        let left = usize::try_from(self.size - self.position).unwrap_or(usize::MAX);
        let len = left.min(max);
        let begin = block.len();
        let within = usize::try_from(self.position % WORD_BYTES).unwrap_or(0);
        let words = (within + len).div_ceil(8) as u64;
        let first = self.position / WORD_BYTES;
        block.reserve(len + 8);
        if within > 0 && len > 0 {
            let bytes = word(self.seed, first).to_le_bytes();
            block.extend_from_slice(&bytes[within..]);
        }
        let whole = first + u64::from(within > 0)..first + words;
        block.extend(whole.flat_map(|at| word(self.seed, at).to_le_bytes()));
        block.truncate(begin + len);
        self.position += len as u64;
    }
}

/// Word number `at` of the pattern: that output of `SplitMix64`.
const fn word(seed: u64, at: u64) -> u64 {
    let mut z = seed.wrapping_add(at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Source for PatternSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, max: usize) -> Result<Bytes, StoreError> {
        let mut block = Vec::new();
        self.append(&mut block, max);
        Ok(block.into())
    }

    /// Benchmarks never resume a generated file.
    fn fingerprint(&self) -> Option<String> {
        None
    }

    fn allocated(&self) -> Option<u64> {
        None
    }

    fn attributes(&self) -> Attributes {
        Attributes::default()
    }

    fn seek(&mut self, offset: u64) -> Result<(), StoreError> {
        Err(StoreError::no_seek(offset))
    }

    fn has_changed(&self) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn reopen(&self) -> Result<Box<dyn Source>, StoreError> {
        Err(StoreError::no_seek(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in(steps: &[usize], source: &mut PatternSource) -> Vec<u8> {
        let mut all = Vec::new();
        for &max in steps.iter().cycle() {
            let block = source.read(max).unwrap();
            if block.is_empty() {
                break;
            }
            assert!(block.len() <= max);
            all.extend_from_slice(&block);
        }
        all
    }

    #[test]
    fn the_same_bytes_come_in_blocks_of_any_size() {
        let source = PatternSource::new(7, 1001);
        let whole = read_in(&[5000], &mut source.clone());
        assert_eq!(whole.len(), 1001);
        for steps in [&[1][..], &[7, 8, 9], &[64], &[1000], &[3, 1]] {
            assert_eq!(read_in(steps, &mut source.clone()), whole, "{steps:?}");
        }
        assert_eq!(source.hash(), blake3::hash(&whole));
        let other = read_in(&[5000], &mut PatternSource::new(8, 1001));
        assert_ne!(other, whole);
    }

    #[test]
    fn the_pattern_is_the_one_that_was_published() {
        // The first outputs of SplitMix64 for the seed 1234567.
        let first = [6_457_827_717_110_365_317_u64, 3_203_168_211_198_807_973];
        let expected: Vec<u8> = first.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut source = PatternSource::new(1_234_567, 16);
        assert_eq!(source.read(16).unwrap(), expected);
    }

    #[test]
    fn an_empty_file_has_the_hash_of_nothing() {
        let mut source = PatternSource::new(1, 0);
        assert_eq!(source.hash(), blake3::hash(b""));
        assert!(source.read(10).unwrap().is_empty());
    }
}
