//! Everything that crosses the network: messages, names, codes and hashes.
//!
//! | module | what |
//! |---|---|
//! | `framing`, `reply` | a message on the wire, and the frame of a reply |
//! | `message`, `token`, `held`, `tree` | the messages themselves |
//! | `code` | error codes |
//! | `names`, `ports` | valid names of files; the UDP ports |
//! | `peer_text` | text that a peer has written, for people |
//! | [`blocks`] | blocks of a file, and their hashes |
//! | [`channel`] | a stream as a channel for messages, and its failures |
//!
//! Touch here what crosses the network. JSON field names, codes and hashes are the wire format:
//! a change of them needs a new [`VERSION`]. Relies on the transport's streams and on no other
//! room of this crate; only [`channel`] does any I/O.

pub(crate) mod blocks;
pub(crate) mod channel;
mod code;
mod framing;
mod held;
mod message;
mod names;
mod peer_text;
mod ports;
mod reply;
mod token;
mod tree;

pub use self::code::Code;
pub use self::framing::{
    LENGTH_BYTES, MAX_MESSAGE_BYTES, MessageError, VERSION, body_bytes, decode, encode,
};
pub use self::held::{Again, BlockSample, Checked, HeldBlocks};
pub use self::message::{
    Ack, Cancelled, ClientRequest, Confirmation, Entry, EntryKind, Granted, HASH_BYTES, Hello,
    Listing, Purpose, Ready, Request, Verified,
};
pub(crate) use self::names::{JOURNAL_SUFFIX, PARTIAL_PREFIX, PARTIAL_SUFFIX, is_partial};
pub use self::names::{MAX_NAME_BYTES, MAX_PART_BYTES, Name, NameError, NameFault};
pub use self::peer_text::{MAX_SHOWN_CHARS, PeerText, Shown, escape_json, shown};
pub use self::ports::{DEFAULT_DATA_PORTS, DEFAULT_PORT, DataPorts, DataPortsError};
pub use self::reply::{Refusal, Reply, decode_reply, encode_reply};
pub use self::token::Token;
pub use self::tree::{
    Answer, Attributes, FailedFile, FileHeader, MAX_NAMED_FAILURES, MAX_PAGE_FILES, Overwrite,
    Page, TreeEntry, TreeSummary, WantedEntry,
};
