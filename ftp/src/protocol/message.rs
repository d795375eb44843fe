//! The messages of control and data connections.
//!
//! | connection | from client | from server |
//! |---|---|---|
//! | control | [`Hello`], then [`Request`]s ([`ClientRequest`]) | one [`Reply`](super::Reply) per request, in order |
//! | data, put | [`Hello`]; the file | [`Ready`]; [`Verified`] per block; a reply: [`Confirmation`] |
//! | data, put piped | [`Hello`]; blocks | [`Verified`] per block; a reply: [`Confirmation`] |
//! | data, get | [`Hello`] and [`Ready`]; at the end a reply: [`Confirmation`] | the file |
//!
//! The file: its bytes, followed by the BLAKE3 hash of all of it, [`HASH_BYTES`] raw bytes. In a
//! file of more than one block ([`BLOCK_BYTES`](crate::BLOCK_BYTES)) each block, including the
//! last, is followed by its own hash as well.
//!
//! An interrupted transfer is resumed without another round trip: the request or the grant tells
//! what the receiver holds ([`HeldBlocks`]), the sender compares it with the source, and its answer
//! (the grant's [`from`](Granted::from), or [`resume`](Purpose::Data::resume) in the hello)
//! decides.
//!
//! A tree of files has one data connection as well: see [`Page`](super::Page).
//!
//! A client need not wait for the grant: its [`Hello`] on the control connection names the data
//! port that it connects to, and each request the token that it shows there. When the server grants
//! that port it grants that token, and keeps a connection that came before the grant.
//!
//! A data connection that fails before its end is reset, with
//! [`Code::reset_reason`](super::Code::reset_reason) as the reason.

use serde::{Deserialize, Serialize};

use super::framing::{MessageError, VERSION, decode};
use super::held::HeldBlocks;
use super::peer_text::PeerText;
use super::token::Token;
use super::tree::{Attributes, Overwrite};

/// Size of the hash behind a file, in bytes.
pub const HASH_BYTES: usize = blake3::OUT_LEN;

/// The first message on every connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`].
    pub lftp: u32,
    /// Purpose of the connection.
    #[serde(flatten)]
    pub purpose: Purpose,
}

/// Purpose of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "connection", rename_all = "lowercase")]
pub enum Purpose {
    /// Requests and replies.
    Control {
        /// Data port that the client connects to before the grant; if it is free, it is the one that
        /// is granted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        data_port: Option<u16>,
    },
    /// One file.
    Data {
        /// Token of the granted transfer.
        token: Token,
        /// Put: whether the file continues behind the blocks that the server holds.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        resume: bool,
        /// Whether the client sends this before it has the grant.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ahead: bool,
    },
}

impl Hello {
    /// Creates a hello of this version.
    pub const fn new(purpose: Purpose) -> Self {
        Self {
            lftp: VERSION,
            purpose,
        }
    }

    /// Decodes a hello. The version is checked before anything that may depend on it.
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

/// A message of a client on the control connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRequest {
    /// The request.
    #[serde(flatten)]
    pub request: Request,
    /// Token that the client shows at the data port it connects to: the token of the grant, if that
    /// is for the same port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Token>,
}

impl From<Request> for ClientRequest {
    fn from(request: Request) -> Self {
        Self {
            request,
            shown: None,
        }
    }
}

/// Request of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Request {
    /// Stores a file.
    Put {
        /// Name of the file.
        name: String,
        /// Size, in bytes.
        size: u64,
        /// Whether an existing file is replaced.
        #[serde(default = "yes")]
        overwrite: bool,
        /// Fingerprint of the source, for a resumable transfer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// Allocated bytes of a sparse source.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allocated: Option<u64>,
        /// Mode and time of the source.
        #[serde(flatten)]
        attributes: Attributes,
    },
    /// Stores a file whose length is known only at its end.
    #[serde(rename = "put-piped")]
    PutPiped {
        /// Name of the file.
        name: String,
        /// Whether an existing file is replaced.
        #[serde(default = "yes")]
        overwrite: bool,
    },
    /// Sends a file to the client.
    Get {
        /// Name of the file.
        name: String,
        /// Blocks that the client holds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held: Option<HeldBlocks>,
    },
    /// Stores a tree of files.
    #[serde(rename = "put-tree")]
    PutTree {
        /// Name of the folder; the root when empty.
        name: String,
        /// Treatment of existing files.
        #[serde(default)]
        overwrite: Overwrite,
        /// Whether nothing is stored, and only counted.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        dry_run: bool,
        /// Name that distinguishes this tree from others.
        source: String,
        /// Mode of the folder.
        #[serde(flatten)]
        attributes: Attributes,
    },
    /// Sends a tree of files to the client.
    #[serde(rename = "get-tree")]
    GetTree {
        /// Name of the folder; the root when empty.
        name: String,
        /// Whether links to files are followed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        follow: bool,
    },
    /// Hashes a file; answered with a [`Confirmation`] once the file was read.
    Hash {
        /// Name of the file.
        name: String,
    },
    /// Lists a folder.
    Ls {
        /// Name of the folder; the root when empty.
        #[serde(default)]
        path: String,
        /// Last name of the page before; only names after it are listed.
        #[serde(default)]
        after: Option<String>,
    },
    /// Cancels a granted transfer whose data connection was not opened.
    Cancel {
        /// Token of the transfer.
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

/// Reply to a request for a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Port for the data connection.
    pub port: u16,
    /// Size of the file, in bytes.
    pub size: u64,
    /// Token to be shown there.
    pub token: Token,
    /// Put: blocks that the server holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldBlocks>,
    /// Get: offset at which the file continues, in bytes; the client holds everything before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from: u64,
    /// Get: fingerprint of the source, if the transfer is resumable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Get: allocated bytes of a sparse source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocated: Option<u64>,
    /// Get: mode and time of the source; of a tree, the mode of its folder.
    #[serde(flatten)]
    pub attributes: Attributes,
}

/// Reply to [`Request::Ls`]: one page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Entries, by name.
    pub entries: Vec<Entry>,
    /// Whether more entries follow.
    pub more: bool,
}

/// Entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// Name within the folder.
    pub name: PeerText,
    /// Kind of the entry.
    pub kind: EntryKind,
    /// Size of a file, in bytes; 0 for a folder.
    pub size: u64,
}

/// Kind of an entry.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A folder.
    Folder,
}

/// Reply to [`Request::Cancel`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {}

/// Sent by the receiver on a data connection when it is ready for the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Always `ACK`.
    pub ack: Ack,
}

/// The acknowledgement in [`Ready`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ack {
    /// The only value.
    #[serde(rename = "ACK")]
    Ack,
}

/// Progress of a put: bytes from the beginning that are verified and written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Number of bytes.
    pub verified: u64,
}

/// Size and hash of a whole file: the receiver's confirmation, and the reply to
/// [`Request::Hash`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// Size, in bytes.
    pub bytes: u64,
    /// BLAKE3 hash, hexadecimal.
    pub hash: String,
}

#[cfg(test)]
mod tests;
