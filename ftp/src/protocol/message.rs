//! The messages of both kinds of connection: JSON behind its length.
//!
//! ```text
//! +--------+--------+--------+--------+----------------- ... -+
//! |  length of the JSON, big-endian   |  JSON, UTF-8          |
//! +--------+--------+--------+--------+----------------- ... -+
//! ```
//!
//! | connection | from client | from server |
//! |---|---|---|
//! | control | [`Hello`], then [`Request`]s ([`Asked`]) | one [`Reply`] a request, in order |
//! | data, put | [`Hello`]; the file | [`Ready`]; [`Verified`] a block; a reply: [`Whole`] |
//! | data, put piped | [`Hello`]; blocks | [`Verified`] a block; a reply: [`Whole`] |
//! | data, get | [`Hello`] and [`Ready`]; at the end a reply: [`Whole`] | the file |
//!
//! The file: its bytes, and at the end the BLAKE3 hash of all of it, [`HASH_BYTES`] raw bytes.
//! A file of more than one block ([`BLOCK_BYTES`](crate::BLOCK_BYTES)) has the hash of each
//! block behind the block as well, also behind the last.
//!
//! A transfer that broke off goes on at the same cost: the request or the grant says what the
//! receiver holds ([`Held`]), the sender compares it with the source, and its word (the grant's
//! [`from`](Granted::from), or [`resume`](Purpose::Data::resume) in the hello) decides.
//!
//! A tree of files has one data connection as well: see [`Page`].
//!
//! A client need not wait for the grant: its [`Hello`] on the control connection says at which
//! data port it is, and each request which token it shows there. When the server grants that
//! port it grants that token, and keeps a connection that was there before with it.
//!
//! A data connection that goes wrong before its end is reset, with
//! [`Code::reset_reason`] as the reason.

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::framing::{MessageError, VERSION, decode};
use super::held::Held;
use super::token::Token;
use super::tree::Overwrite;

/// Bytes of the hash behind a file.
pub const HASH_BYTES: usize = blake3::OUT_LEN;

/// The first message on every connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`].
    pub lftp: u32,
    /// What the connection is for.
    #[serde(flatten)]
    pub purpose: Purpose,
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "connection", rename_all = "lowercase")]
pub enum Purpose {
    /// Requests and replies.
    Control {
        /// The data port at which the client is while it still asks: if that is free it is the
        /// one it is granted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data_port: Option<u16>,
    },
    /// One file.
    Data {
        /// From the reply that granted the transfer.
        token: Token,
        /// Put: the file goes on behind what the grant said the server holds.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        resume: bool,
        /// The client has not heard of the grant, and it may not have been given yet.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ahead: bool,
    },
}

impl Hello {
    /// A hello of this version.
    pub const fn new(purpose: Purpose) -> Self {
        Self {
            lftp: VERSION,
            purpose,
        }
    }

    /// Reads a hello; the version is judged before anything that may depend on it.
    ///
    /// # Errors
    ///
    /// [`MessageError::Version`] or [`MessageError::Malformed`].
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        #[derive(Deserialize)]
        struct Version {
            lftp: u32,
        }
        match decode::<Version>(body)?.lftp {
            VERSION => decode(body),
            version => Err(MessageError::Version { version }),
        }
    }
}

/// What a client says on the control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// What it asks for.
    #[serde(flatten)]
    pub request: Request,
    /// What it shows at the data port where it is already: the token of the grant, where that
    /// is for this port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Token>,
}

impl From<Request> for Asked {
    fn from(request: Request) -> Self {
        Self {
            request,
            shown: None,
        }
    }
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Request {
    /// To store a file.
    Put {
        /// Under which name.
        name: String,
        /// How long it is, in bytes.
        size: u64,
        /// Whether a file of that name may be replaced.
        #[serde(default = "yes")]
        overwrite: bool,
        /// The fingerprint of the source, for a transfer that can be gone on with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// Bytes that the source takes on its disk, where it has holes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allocated: Option<u64>,
    },
    /// To store a file whose length is known at its end only.
    #[serde(rename = "put-piped")]
    PutPiped {
        /// Under which name.
        name: String,
        /// Whether a file of that name may be replaced.
        #[serde(default = "yes")]
        overwrite: bool,
    },
    /// To be sent a file.
    Get {
        /// Which.
        name: String,
        /// What the client has of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<Held>,
        /// The fingerprint of the source it has that of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// To store a tree of files.
    #[serde(rename = "put-tree")]
    PutTree {
        /// Under the name of which folder; the root when empty.
        name: String,
        /// What becomes of files that are there already.
        #[serde(default)]
        overwrite: Overwrite,
        /// Only to hear what would be stored.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        dry_run: bool,
        /// What tells this tree from others.
        source: String,
    },
    /// To be sent a tree of files.
    #[serde(rename = "get-tree")]
    GetTree {
        /// Which folder; the root when empty.
        name: String,
        /// Files that links lead to, in their place.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        follow: bool,
    },
    /// To hear the hash of a file: answered with [`Whole`] once it was read.
    Hash {
        /// Which.
        name: String,
    },
    /// What there is in a folder.
    Ls {
        /// Which; the root when empty.
        #[serde(default)]
        path: String,
        /// Only names behind this one: the last of the page before.
        #[serde(default)]
        after: Option<String>,
    },
    /// To give up a granted transfer whose data connection was not opened.
    Cancel {
        /// Which.
        token: Token,
    },
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The reply to [`Request::Put`] and [`Request::Get`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Where to open the data connection.
    pub port: u16,
    /// The size of the file, in bytes.
    pub size: u64,
    /// What to show there.
    pub token: Token,
    /// Put: what the server holds of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Get: where the file goes on, in bytes; everything before is what the client holds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from: u64,
    /// Get: the fingerprint of the source, where the transfer can be gone on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Get: bytes that the source takes on its disk, where it has holes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated: Option<u64>,
}

/// The reply to [`Request::Ls`]: one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// By name.
    pub entries: Vec<Entry>,
    /// Whether there are names behind the last.
    pub more: bool,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// Its name within the folder.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes of a file; 0 for a folder.
    pub size: u64,
}

/// What an entry is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A folder.
    Folder,
}

/// The reply to [`Request::Cancel`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {}

/// The receiver on a data connection can take the file. The seed's `ACK`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Always `ACK`.
    pub ack: Ack,
}

/// The seed's word.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ack {
    /// Written as the seed writes it.
    #[serde(rename = "ACK")]
    Ack,
}

/// Put: so much of the file is verified and written, from its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Bytes.
    pub verified: u64,
}

/// The receiver has the whole file, and it is the one that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whole {
    /// How long it is.
    pub bytes: u64,
    /// Its BLAKE3 hash, hexadecimal.
    pub hash: String,
}

#[cfg(test)]
mod tests;
