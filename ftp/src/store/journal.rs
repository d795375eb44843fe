//! The journal beside a `.part` file: which blocks of it have been verified.
//!
//! ```text
//! +----------+--------+-----------------+-----------------+
//! | magic, 8 | length | JSON: [Header]  | BLAKE3 of it, 32|     once
//! +----------+--------+-----------------+-----------------+
//! | kind, 1 | value, 32: a block's hash, or a number | check, 7 |   appended
//! +---------+---------------------------------------+----------+
//! ```
//!
//! A record [`BLOCK`] follows the block into the file; it survives a crash of the process. A record
//! [`DURABLE`] says that this many blocks were on the disk when it was written; it survives a
//! crash of the machine. Blocks between the two are read and hashed again before they are relied
//! upon. Reading ends at the first damaged record: a journal that was truncated or overwritten
//! anywhere only knows less.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::disk::DiskFile;
use crate::protocol::blocks::{self, BLOCK_BYTES, BlockHash};

const MAGIC: &[u8; 8] = b"LFTPJRN1";
const RECORD_BYTES: usize = 40;
const CHECK_BYTES: usize = 7;
const BLOCK: u8 = 1;
const DURABLE: u8 = 2;

/// Longest header that is accepted, in bytes of JSON: names are at most 1 KiB.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// Identity of the file that is being received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Size of the whole file, in bytes.
    pub(crate) size: u64,
    /// Fingerprint of the source.
    pub(crate) source: String,
    /// Size of a block, in bytes.
    pub(crate) block_bytes: u64,
    /// Boot of the machine that wrote it, where nothing is synced: the durable marks then mean
    /// nothing to a later boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) boot: Option<String>,
    /// Allocated bytes of a sparse source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allocated: Option<u64>,
}

impl Header {
    pub(crate) fn new(size: u64, source: &str, durable: bool) -> Self {
        Self {
            allocated: None,
            size,
            source: source.to_owned(),
            block_bytes: BLOCK_BYTES,
            boot: (!durable).then(|| boot().unwrap_or_default()),
        }
    }

    /// The same header for a sparse source.
    pub(crate) fn sparse(mut self, allocated: Option<u64>) -> Self {
        self.allocated = allocated;
        self
    }

    /// Returns whether durable marks in a journal with this header still hold.
    fn has_valid_marks(&self) -> bool {
        self.boot
            .as_ref()
            .is_none_or(|then| boot().is_some_and(|now| now == *then))
    }
}

/// Identifies the current boot of the machine.
fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Contents of a journal.
#[derive(Debug)]
pub(crate) struct JournalContents {
    pub(crate) header: Header,
    /// One hash per block, from the first on; never that of the last block.
    pub(crate) hashes: Vec<BlockHash>,
    /// Number of them that were on the disk.
    pub(crate) durable: usize,
    /// End of the record of each block, as an offset in the journal.
    ends: Vec<u64>,
    /// End of the header.
    begin: u64,
}

/// A journal that is being written. A clone writes the same one.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    file: Arc<Mutex<DiskFile>>,
    /// Binds records to this header, so that those of an earlier journal in the same disk blocks are
    /// not taken for its own.
    key: [u8; 32],
    durable: bool,
}

impl Journal {
    /// Creates a journal in an empty file.
    pub(crate) fn create(mut file: DiskFile, header: &Header, durable: bool) -> io::Result<Self> {
        let json = serde_json::to_vec(header)?;
        let key = *blake3::hash(&json).as_bytes();
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&u32::try_from(json.len()).unwrap_or(u32::MAX).to_be_bytes());
        head.extend_from_slice(&json);
        head.extend_from_slice(&key);
        file.write_all(&head)?;
        Ok(Self {
            file: Arc::new(Mutex::new(file)),
            key,
            durable,
        })
    }

    /// Reads a journal; an error when the file is not one.
    pub(crate) fn read(file: &mut (impl Read + Seek)) -> io::Result<JournalContents> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        file.seek(SeekFrom::Start(0))?;
        let mut file = io::BufReader::new(file);
        let mut head = [0; 12];
        file.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if head[..8] != *MAGIC || length > MAX_HEADER_BYTES {
            return Err(invalid());
        }
        let mut json = vec![0; length];
        let mut key = [0; 32];
        file.read_exact(&mut json)?;
        file.read_exact(&mut key)?;
        if *blake3::hash(&json).as_bytes() != key {
            return Err(invalid());
        }
        let header: Header = serde_json::from_slice(&json)?;
        if header.block_bytes != BLOCK_BYTES {
            return Err(invalid());
        }
        let begin = (head.len() + json.len() + key.len()) as u64;
        let mut known = JournalContents {
            header,
            hashes: Vec::new(),
            durable: 0,
            ends: Vec::new(),
            begin,
        };
        known.read_records(&mut file, &key)?;
        Ok(known)
    }

    /// Continues a journal behind the first `blocks` blocks, and drops the rest.
    pub(crate) fn resume(
        mut file: DiskFile,
        known: &JournalContents,
        blocks: usize,
        durable: bool,
    ) -> io::Result<Self> {
        let end = blocks.checked_sub(1).map_or(known.begin, |i| known.ends[i]);
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let key = *blake3::hash(&serde_json::to_vec(&known.header)?).as_bytes();
        let journal = Self {
            file: Arc::new(Mutex::new(file)),
            key,
            durable,
        };
        // The last valid mark may have stood behind the blocks that are dropped.
        if known.header.has_valid_marks() {
            journal.mark(known.durable.min(blocks) as u64)?;
        }
        Ok(journal)
    }

    /// Records that the next block is verified and written.
    pub(crate) fn block(&self, hash: BlockHash) -> io::Result<()> {
        self.append(BLOCK, &hash.0)
    }

    /// Records that the first `blocks` blocks are on the disk, and syncs the journal itself.
    pub(crate) fn mark(&self, blocks: u64) -> io::Result<()> {
        let mut value = [0; 32];
        value[..8].copy_from_slice(&blocks.to_be_bytes());
        self.append(DURABLE, &value)?;
        if self.durable {
            self.file.lock().sync(false)?;
        }
        Ok(())
    }

    fn append(&self, kind: u8, value: &[u8; 32]) -> io::Result<()> {
        let mut record = [0; RECORD_BYTES];
        record[0] = kind;
        record[1..33].copy_from_slice(value);
        record[33..].copy_from_slice(&check(&self.key, kind, value));
        self.file.lock().write_all(&record)
    }
}

fn check(key: &[u8; 32], kind: u8, value: &[u8; 32]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&[kind]).update(value);
    let hash = hasher.finalize();
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hash.as_bytes()[..CHECK_BYTES]);
    check
}

impl JournalContents {
    fn read_records(&mut self, file: &mut impl Read, key: &[u8; 32]) -> io::Result<()> {
        // A journal never holds the last block, so that a resumed transfer has something to receive.
        let most = blocks::count(self.header.size).saturating_sub(1);
        let mut position = self.begin;
        let mut record = [0; RECORD_BYTES];
        while (self.hashes.len() as u64) < most {
            match file.read_exact(&mut record) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                read => read?,
            }
            let mut value = [0; 32];
            value.copy_from_slice(&record[1..33]);
            if record[33..] != check(key, record[0], &value) {
                break;
            }
            position += RECORD_BYTES as u64;
            match record[0] {
                BLOCK => {
                    self.hashes.push(BlockHash(value));
                    self.ends.push(position);
                }
                DURABLE => self.mark(&value),
                _ => break,
            }
        }
        // Marks are written by a thread of their own, and may follow records of later blocks.
        while file.read_exact(&mut record).is_ok() {
            let mut value = [0; 32];
            value.copy_from_slice(&record[1..33]);
            if record[33..] != check(key, record[0], &value) {
                break;
            }
            if record[0] == DURABLE {
                self.mark(&value);
            }
        }
        if !self.header.has_valid_marks() {
            self.durable = 0;
        }
        self.durable = self.durable.min(self.hashes.len());
        Ok(())
    }

    fn mark(&mut self, value: &[u8; 32]) {
        let mut blocks = [0; 8];
        blocks.copy_from_slice(&value[..8]);
        let blocks = usize::try_from(u64::from_be_bytes(blocks)).unwrap_or(usize::MAX);
        self.durable = self.durable.max(blocks);
    }
}

/// Reads any bytes as a journal (feature `fuzzing`), and checks that it holds no more than fits.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn fuzz(bytes: &[u8]) {
    let Ok(known) = Journal::read(&mut io::Cursor::new(bytes)) else {
        return;
    };
    assert!(known.durable <= known.hashes.len());
    assert!(known.hashes.len() <= bytes.len() / RECORD_BYTES);
    assert_eq!(known.hashes.len(), known.ends.len());
    assert!(known.ends.iter().all(|&end| end <= bytes.len() as u64));
}

#[cfg(test)]
mod tests {
    use super::super::disk::Disk;
    use super::*;

    fn hash(i: u8) -> BlockHash {
        BlockHash([i; 32])
    }

    fn empty() -> DiskFile {
        Disk::default().hold(tempfile::tempfile().unwrap())
    }

    fn written() -> (DiskFile, Header) {
        let file = empty();
        let header = Header::new(9 * BLOCK_BYTES + 1, "source", true);
        let journal = Journal::create(file.try_clone().unwrap(), &header, true).unwrap();
        for i in 0..5 {
            journal.block(hash(i)).unwrap();
        }
        journal.mark(3).unwrap();
        journal.block(hash(5)).unwrap();
        (file, header)
    }

    /// `LFTP_WRITE_SEEDS=1` rewrites the seed.
    #[test]
    fn the_seed_of_the_fuzz_target_is_a_journal() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/journal");
        if std::env::var_os("LFTP_WRITE_SEEDS").is_some() {
            let (mut file, _) = written();
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.read_to_end(&mut bytes).unwrap();
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("whole"), bytes).unwrap();
        }
        let bytes = std::fs::read(folder.join("whole")).unwrap();
        let known = Journal::read(&mut io::Cursor::new(&bytes)).unwrap();
        assert_eq!((known.hashes.len(), known.durable), (6, 3));
        fuzz(&bytes);
    }

    #[test]
    fn what_was_written_is_read_back() {
        let (mut file, header) = written();
        let known = Journal::read(&mut file).unwrap();
        assert_eq!(known.header, header);
        assert_eq!(known.hashes, (0..6).map(hash).collect::<Vec<_>>());
        assert_eq!(known.durable, 3);
    }

    #[test]
    fn it_continues_behind_the_blocks_that_are_relied_upon() {
        let (mut file, _) = written();
        let known = Journal::read(&mut file).unwrap();
        let again = Journal::resume(file.try_clone().unwrap(), &known, 2, true).unwrap();
        again.block(hash(9)).unwrap();
        let known = Journal::read(&mut file).unwrap();
        assert_eq!(known.hashes, [hash(0), hash(1), hash(9)]);
        assert_eq!(known.durable, 2);
    }

    #[test]
    fn truncated_anywhere_it_knows_less_and_never_something_else() {
        let (mut file, _) = written();
        let length = file.metadata().unwrap().len();
        let mut blocks = 6;
        for cut in (0..length).rev() {
            file.set_len(cut).unwrap();
            let Ok(known) = Journal::read(&mut file) else {
                blocks = 0;
                continue;
            };
            assert!(known.hashes.len() <= blocks, "cut at {cut}");
            blocks = known.hashes.len();
            assert!(known.hashes.iter().zip(0..).all(|(&h, i)| h == hash(i)));
            assert!(known.durable <= blocks && known.durable <= 3);
        }
        assert_eq!(blocks, 0);
    }

    #[test]
    fn a_byte_that_changed_ends_it_there() {
        let (mut file, _) = written();
        let length = file.metadata().unwrap().len();
        for at in 0..length {
            let mut byte = [0];
            file.seek(SeekFrom::Start(at)).unwrap();
            file.read_exact(&mut byte).unwrap();
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&[byte[0] ^ 0x40]).unwrap();
            if let Ok(known) = Journal::read(&mut file) {
                assert!(known.hashes.iter().zip(0..).all(|(&h, i)| h == hash(i)));
                assert!(known.durable <= 3);
            }
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(&byte).unwrap();
        }
    }

    #[test]
    fn without_fsync_marks_hold_for_this_boot_only() {
        for (boot, durable) in [(boot(), 1), (Some("another".to_owned()), 0)] {
            let mut file = empty();
            let mut header = Header::new(9 * BLOCK_BYTES, "source", false);
            header.boot = boot.or_else(|| Some(String::new()));
            let journal = Journal::create(file.try_clone().unwrap(), &header, false).unwrap();
            journal.block(hash(0)).unwrap();
            journal.mark(1).unwrap();
            let known = Journal::read(&mut file).unwrap();
            assert_eq!(known.hashes.len(), 1);
            if cfg!(target_os = "linux") {
                assert_eq!(known.durable, durable);
            }
        }
    }
}
