//! Messages of the transfer of a tree on one connection.
//!
//! ```text
//! sender                                receiver
//!   │  Page 0, Page 1               ──►   │
//!   │  ◄──        Answer 0, Answer 1      │  wanted? how much is held?
//!   │  FileHeader, file, …          ──►   │  those of page 0 that are wanted
//!   │  Page 2                       ──►   │
//!   │  FileHeader, file, …          ──►   │  those of page 1
//!   │  ◄──        reply: TreeSummary      │
//! ```

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::held::HeldBlocks;
use super::peer_text::PeerText;

/// Entries of a [`Page`] at most.
pub const MAX_PAGE_FILES: usize = 256;

/// Failures named in a [`TreeSummary`] at most; more are only counted.
pub const MAX_NAMED_FAILURES: usize = 100;

/// JSON of the failures in a [`TreeSummary`] at most, in bytes, and as much of what was skipped:
/// both must fit one message.
const MAX_NAMED_BYTES: usize = 30_000;

/// Treatment of an existing file that differs in size or time.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overwrite {
    /// The file stays, which counts as a failure.
    Refuse,
    /// The file stays.
    Skip,
    /// The file is replaced by one that was modified later.
    Newer,
    /// The file is replaced.
    #[default]
    Replace,
}

/// Some files and folders of a tree, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Entries, at most [`MAX_PAGE_FILES`].
    pub entries: Vec<TreeEntry>,
    /// Whether this is the last page.
    pub last: bool,
    /// Files that the sender found and cannot send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedFile>,
    /// What the sender found and does not send because it is no file: links, pipes, devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<FailedFile>,
}

/// A file or folder of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Name below the root of the tree.
    pub path: String,
    /// Size of a file, in bytes; absent for a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Mode and time.
    #[serde(flatten)]
    pub attributes: Attributes,
    /// Fingerprint of a file that is longer than a block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Bytes that a sparse file takes on the sender's disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated: Option<u64>,
}

/// Metadata that is transferred with a file's contents.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// The nine permission bits of Unix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// Modification time, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_ns: Option<i64>,
}

/// The receiver's answer to a page: the files to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Wanted files, in the order of the page.
    pub want: Vec<WantedEntry>,
}

/// A file to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedEntry {
    /// Index in the page.
    pub index: usize,
    /// Blocks that the receiver holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldBlocks>,
}

/// Header before each file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHeader {
    /// Index of the file in its page.
    pub index: usize,
    /// Current size, in bytes; `None` when the file cannot be sent.
    pub size: Option<u64>,
    /// Whether the file continues behind the held blocks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resume: bool,
    /// Reason why it cannot be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedFile>,
}

/// Outcome of the transfer of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeSummary {
    /// Files that arrived.
    pub files: u64,
    /// Their bytes, without those held from an interrupted transfer.
    pub bytes: u64,
    /// Files that existed with the same size and time.
    pub unchanged: u64,
    /// Files that were not replaced, as requested, and what is no file: links, pipes, devices.
    pub skipped: u64,
    /// Files that did not arrive.
    pub failed: u64,
    /// The first failures, at most [`MAX_NAMED_FAILURES`].
    pub failures: Vec<FailedFile>,
    /// The first that were skipped because they are no files, at most [`MAX_NAMED_FAILURES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<FailedFile>,
}

/// A file that did not arrive, or something else that was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedFile {
    /// Name in the tree.
    pub path: PeerText,
    /// Code, for programs.
    pub code: Code,
    /// Message, for people.
    pub reason: PeerText,
}

impl FailedFile {
    /// Describes a failure; long names and reasons are cut.
    pub(crate) fn new(path: &str, code: Code, reason: impl Into<PeerText>) -> Self {
        let short = |text: &str| text.chars().take(200).collect::<String>().into();
        Self {
            path: short(path),
            code,
            reason: short(reason.into().raw()),
        }
    }
}

impl TreeSummary {
    /// Counts a file that did not arrive, and names it if the list is not full.
    pub(crate) fn fail(&mut self, path: &str, code: Code, reason: impl Into<PeerText>) {
        self.failed = self.failed.saturating_add(1);
        add(&mut self.failures, FailedFile::new(path, code, reason));
    }

    /// Counts what is no file, and names it if the list is not full.
    pub(crate) fn skip(&mut self, path: &str, code: Code, reason: impl Into<PeerText>) {
        self.skipped = self.skipped.saturating_add(1);
        add(&mut self.skips, FailedFile::new(path, code, reason));
    }
}

/// Adds a name to a list, if the list may become longer.
fn add(list: &mut Vec<FailedFile>, failed: FailedFile) {
    if list.len() >= MAX_NAMED_FAILURES {
        return;
    }
    let bytes = |failed| serde_json::to_vec(failed).map_or(usize::MAX, |json| json.len() + 1);
    let all = list.iter().chain([&failed]).map(bytes);
    if all.fold(0, usize::saturating_add) <= MAX_NAMED_BYTES {
        list.push(failed);
    }
}
