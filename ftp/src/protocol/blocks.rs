//! A file in blocks, each with a hash of its own; together they give the hash of the file.
//!
//! BLAKE3 is a binary tree over chunks of 1 KiB. A block is a whole subtree, so its chaining value
//! proves it before the rest has arrived, and the hash of the whole file follows from the chaining
//! values alone. See the
//! [BLAKE3 paper](https://github.com/BLAKE3-team/BLAKE3-specs) §2.1 and [`blake3::hazmat`].

use std::fmt;

use blake3::hazmat::{self, ChainingValue, HasherExt, Mode};
use blake3::{Hash, Hasher};
use serde::{Deserialize, Serialize};

/// Size of a block, in bytes, a power of two: what is retransmitted at most after an interruption.
pub const BLOCK_BYTES: u64 = 4 << 20;

/// Hash of one block at its position in a file: the chaining value of its subtree.
#[derive(Copy, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlockHash(pub ChainingValue);

impl BlockHash {
    /// Hashes `bytes` as block number `index` of a file; they must not be empty.
    pub fn of(index: u64, bytes: &[u8]) -> Self {
        let mut hasher = hasher(index);
        hasher.update(bytes);
        Self(hasher.finalize_non_root())
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}

impl From<BlockHash> for String {
    fn from(hash: BlockHash) -> Self {
        Hash::from_bytes(hash.0).to_hex().to_string()
    }
}

impl TryFrom<String> for BlockHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| "the hash of a block is 64 hexadecimal digits")
    }
}

/// Number of blocks of a file of `size` bytes.
pub(crate) const fn count(size: u64) -> u64 {
    size.div_ceil(BLOCK_BYTES)
}

/// Offset of block `index`, in bytes; the largest number for a block that no file has.
pub(crate) const fn offset(index: u64) -> u64 {
    index.saturating_mul(BLOCK_BYTES)
}

fn hasher(index: u64) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset(index));
    hasher
}

/// Subtrees that the first blocks of a file form, largest first: one for every bit in the number
/// of blocks. More must follow, because the root is merged differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix {
    blocks: u64,
    subtrees: Vec<BlockHash>,
}

impl Prefix {
    pub(crate) fn of(hashes: &[BlockHash]) -> Self {
        let mut prefix = Self::default();
        hashes.iter().for_each(|&hash| prefix.push(hash));
        prefix
    }

    /// Appends a full block that is not the last.
    fn push(&mut self, hash: BlockHash) {
        let mut hash = hash;
        self.blocks += 1;
        for _ in 0..self.blocks.trailing_zeros() {
            let left = self.subtrees.pop().unwrap_or(hash);
            hash = BlockHash(merge(left, hash));
        }
        self.subtrees.push(hash);
    }

    /// Hash of the whole file whose last block is `last`.
    fn finish(mut self, last: BlockHash) -> Option<Hash> {
        let mut right = last;
        while self.subtrees.len() > 1 {
            right = BlockHash(merge(self.subtrees.pop()?, right));
        }
        let left = self.subtrees.pop()?;
        Some(hazmat::merge_subtrees_root(&left.0, &right.0, Mode::Hash))
    }
}

fn merge(left: BlockHash, right: BlockHash) -> ChainingValue {
    hazmat::merge_subtrees_non_root(&left.0, &right.0, Mode::Hash)
}

/// Hashes a file block by block. It may start behind the first blocks of the file, whose hashes
/// are then needed at the end.
#[derive(Debug)]
pub(crate) struct TreeHasher {
    size: u64,
    at: u64,
    /// Index of the block that is being hashed.
    index: u64,
    block: Hasher,
    blocks: Blocks,
    whole: Option<Hash>,
}

/// The blocks that were hashed, but the last.
#[derive(Debug)]
enum Blocks {
    /// All blocks of the file so far.
    FromStart(Prefix),
    /// Those behind blocks that are hashed elsewhere. With the last one, when it is known.
    Behind(Vec<BlockHash>),
}

impl TreeHasher {
    /// Creates a hasher for a file of `size` bytes.
    pub(crate) fn new(size: u64) -> Self {
        Self::behind(size, 0)
    }

    /// The same for the bytes behind the first `index` blocks; at least one block must follow.
    pub(crate) fn behind(size: u64, index: u64) -> Self {
        debug_assert!(index == 0 || offset(index) < size);
        let block = hasher(index);
        let whole = (size == 0).then(|| block.finalize());
        let blocks = match index {
            0 => Blocks::FromStart(Prefix::default()),
            _ => Blocks::Behind(Vec::new()),
        };
        Self {
            size,
            at: offset(index),
            index,
            block,
            blocks,
            whole,
        }
    }

    /// Bytes left in the block that is being hashed.
    pub(crate) fn left_in_block(&self) -> u64 {
        (BLOCK_BYTES - self.at % BLOCK_BYTES).min(self.size - self.at)
    }

    /// Hashes the next bytes, at most [`left_in_block`](Self::left_in_block) of them. Returns the
    /// hash at the end of a block, unless that block is the whole file.
    pub(crate) fn update(&mut self, bytes: &[u8]) -> Option<BlockHash> {
        debug_assert!(bytes.len() as u64 <= self.left_in_block());
        self.block.update(bytes);
        self.at += bytes.len() as u64;
        let is_last = self.at == self.size;
        // A single block is the root of the tree and is finalized differently (BLAKE3 §2.1).
        if self.size <= BLOCK_BYTES {
            self.whole = is_last.then(|| self.block.finalize());
            return None;
        }
        if bytes.is_empty() || !(is_last || self.at.is_multiple_of(BLOCK_BYTES)) {
            return None;
        }
        let hash = BlockHash(self.block.finalize_non_root());
        match &mut self.blocks {
            Blocks::FromStart(prefix) if is_last => {
                self.whole = std::mem::take(prefix).finish(hash);
            }
            Blocks::FromStart(prefix) => prefix.push(hash),
            Blocks::Behind(hashes) => hashes.push(hash),
        }
        self.index += 1;
        self.block = hasher(self.index);
        Some(hash)
    }

    /// Returns true once all of the file was hashed.
    pub(crate) const fn is_complete(&self) -> bool {
        self.at == self.size
    }

    /// Hash of the whole file, once all of it was hashed. `first`: the hashes of the blocks before
    /// the one at which this hasher began.
    pub(crate) fn root(self, first: &[BlockHash]) -> Option<Hash> {
        if !self.is_complete() {
            return None;
        }
        match self.blocks {
            Blocks::FromStart(_) => self.whole,
            Blocks::Behind(hashes) => {
                let mut prefix = Prefix::of(first);
                let (&last, before) = hashes.split_last()?;
                before.iter().for_each(|&hash| prefix.push(hash));
                // Not the blocks that were left out: the root of another file.
                (prefix.blocks + 1 == self.index).then(|| prefix.finish(last))?
            }
        }
    }
}

/// Hashes a file of unknown length block by block.
#[derive(Debug, Default)]
pub(crate) struct OpenEndedHasher {
    /// All blocks but the last.
    prefix: Prefix,
    last: Option<BlockHash>,
    /// Hash of the first block as a whole file, which it may be.
    first: Option<Hash>,
}

impl OpenEndedHasher {
    /// Hashes the next block, which must be full if another follows, and not empty.
    pub(crate) fn push(&mut self, block: &[u8]) -> BlockHash {
        match self.last.take() {
            Some(before) => self.prefix.push(before),
            None => self.first = Some(blake3::hash(block)),
        }
        let hash = BlockHash::of(self.prefix.blocks, block);
        self.last = Some(hash);
        hash
    }

    /// Hash of the whole file.
    pub(crate) fn finish(self) -> Hash {
        let root = self.last.and_then(|last| self.prefix.finish(last));
        root.or(self.first).unwrap_or_else(|| blake3::hash(&[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: u64) -> Vec<u8> {
        (0..len)
            .map(|i| (i % 251) as u8 ^ (i >> 20) as u8)
            .collect()
    }

    fn hashed(contents: &[u8], first: &[BlockHash]) -> (Hash, Vec<BlockHash>) {
        let index = first.len() as u64;
        let mut rest = &contents[usize::try_from(offset(index)).unwrap()..];
        let mut tree = TreeHasher::behind(contents.len() as u64, index);
        let mut hashes = Vec::new();
        while tree.left_in_block() > 0 {
            let step = usize::try_from(tree.left_in_block().min(1_000_003)).unwrap();
            hashes.extend(tree.update(&rest[..step]));
            rest = &rest[step..];
        }
        (tree.root(first).unwrap(), hashes)
    }

    #[test]
    fn blocks_of_files_of_every_length_combine_into_the_hash_of_the_file() {
        let block = BLOCK_BYTES;
        let longest = bytes(9 * block + 5);
        for len in [
            0,
            1,
            block - 1,
            block,
            block + 1,
            2 * block,
            3 * block,
            4 * block,
            5 * block - 7,
            8 * block,
            9 * block + 5,
        ] {
            let contents = &longest[..usize::try_from(len).unwrap()];
            let (root, hashes) = hashed(contents, &[]);
            assert_eq!(root, blake3::hash(contents), "{len} bytes");
            let expected = if len > block { count(len) } else { 0 };
            assert_eq!(hashes.len() as u64, expected, "{len} bytes");
        }
    }

    #[test]
    fn the_blocks_before_may_be_hashed_elsewhere() {
        let contents = bytes(7 * BLOCK_BYTES + 1);
        let (root, hashes) = hashed(&contents, &[]);
        for known in 0..hashes.len() {
            let (again, rest) = hashed(&contents, &hashes[..known]);
            assert_eq!((again, &rest[..]), (root, &hashes[known..]), "{known}");
        }
        let chunks = contents.chunks(usize::try_from(BLOCK_BYTES).unwrap());
        let alone = chunks.zip(0..).map(|(chunk, i)| BlockHash::of(i, chunk));
        assert!(alone.eq(hashes));
    }

    #[test]
    fn a_wrong_number_of_blocks_before_has_no_root() {
        let contents = bytes(3 * BLOCK_BYTES);
        let (_, hashes) = hashed(&contents, &[]);
        let mut tree = TreeHasher::behind(contents.len() as u64, 2);
        tree.update(&contents[usize::try_from(offset(2)).unwrap()..]);
        assert!(tree.root(&hashes[..1]).is_none());
    }

    #[test]
    fn the_hash_of_a_block_travels_as_hexadecimal_digits_and_nothing_else() {
        let json = serde_json::to_string(&BlockHash([0xab; 32])).unwrap();
        assert_eq!(json, format!("\"{}\"", "ab".repeat(32)));
        let back: BlockHash = serde_json::from_str(&json).unwrap();
        assert_eq!(back, BlockHash([0xab; 32]));
        for wrong in ["", "ab", &"zz".repeat(32)] {
            assert!(BlockHash::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_of_unknown_length_has_the_same_hashes() {
        for len in [
            0,
            1,
            BLOCK_BYTES,
            BLOCK_BYTES + 1,
            3 * BLOCK_BYTES,
            5 * BLOCK_BYTES + 7,
        ] {
            let contents = bytes(len);
            let mut hasher = OpenEndedHasher::default();
            let size = usize::try_from(BLOCK_BYTES).unwrap();
            let hashes: Vec<_> = contents
                .chunks(size)
                .map(|block| hasher.push(block))
                .collect();
            let (whole, known) = hashed(&contents, &[]);
            assert_eq!(hasher.finish(), whole);
            if len > BLOCK_BYTES {
                assert_eq!(hashes, known);
            }
        }
    }
}
