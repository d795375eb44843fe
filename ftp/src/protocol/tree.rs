//! What is said while a tree of files is carried on one connection.
//!
//! ```text
//! sender                                receiver
//!   │  Page 0, Page 1               ──►   │
//!   │  ◄──        Answer 0, Answer 1      │  wanted? how much is there?
//!   │  Head, file, Head, file, …    ──►   │  those of page 0 that are wanted
//!   │  Page 2                       ──►   │
//!   │  Head, file, …                ──►   │  those of page 1
//!   │  ◄──               reply: Done      │
//! ```

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::held::Held;

/// The most entries of a [`Page`].
pub const MAX_PAGE_FILES: usize = 256;

/// The most failures that are named in [`Done`]; more are only counted.
pub const MAX_NAMED_FAILURES: usize = 100;

/// What becomes of a file that is there already and is not the same (by size and time).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overwrite {
    /// It stays, and that is a failure.
    Refuse,
    /// It stays.
    Skip,
    /// It is replaced by one that was changed later.
    Newer,
    /// It is replaced.
    #[default]
    Replace,
}

/// Some files and folders of a tree, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// At most [`MAX_PAGE_FILES`].
    pub entries: Vec<TreeEntry>,
    /// No page follows.
    pub last: bool,
    /// What the sender found and cannot send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
}

/// A file or folder of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeEntry {
    /// Its name below the root of the tree.
    pub path: String,
    /// The size of a file, in bytes; a folder has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What else there is to say of it.
    #[serde(flatten)]
    pub attributes: Attributes,
    /// The fingerprint of a file that is longer than a block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Bytes that a file takes on the sender's disk, where it has holes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated: Option<u64>,
}

/// What a file keeps on its way besides its contents.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Who may read, write and execute it: the nine bits of Unix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// When it was last changed, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified_ns: Option<i64>,
}

/// Which files of a page are to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// In the order of the page.
    pub want: Vec<Want>,
}

/// A file that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Its place in the page.
    pub index: usize,
    /// What the receiver holds of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// What comes before each file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The place of the file in its page.
    pub index: usize,
    /// Its size now, in bytes; `None`: it cannot be sent.
    pub size: Option<u64>,
    /// It goes on behind what the receiver holds.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resume: bool,
    /// Why it cannot be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
}

/// What became of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Files that arrived.
    pub files: u64,
    /// Their bytes, without those that were there from an earlier transfer.
    pub bytes: u64,
    /// Files that were there already, the same by size and time.
    pub unchanged: u64,
    /// Files that were left as they are, as was asked for.
    pub skipped: u64,
    /// Files that did not arrive.
    pub failed: u64,
    /// The first of those.
    pub failures: Vec<Failed>,
}

/// A file that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Its name in the tree.
    pub path: String,
    /// For programs.
    pub code: Code,
    /// For people.
    pub reason: String,
}

impl Done {
    /// Counts, and names if there is room, a file that did not arrive.
    pub(crate) fn fail(&mut self, path: &str, code: Code, reason: impl Into<String>) {
        self.failed += 1;
        if self.failures.len() < MAX_NAMED_FAILURES {
            let short = |text: String| text.chars().take(200).collect();
            self.failures.push(Failed {
                path: short(path.to_owned()),
                code,
                reason: short(reason.into()),
            });
        }
    }
}
