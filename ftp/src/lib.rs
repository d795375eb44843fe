#![doc = include_str!("../README.md")]
//!
//! # A transfer on the wire
//!
//! ```text
//! client                                     server
//!   │  control: hello, {"action":"put",…}  ──►  │  name? space? a free data port?
//!   │  ◄──  {"status":true,"port":9000,"token"} │
//!   │  data (port 9000): hello, token      ──►  │
//!   │  ◄──                       {"ack":"ACK"}  │  the receiver is ready
//!   │  the file, its BLAKE3 hashes         ──►  │  .part, a journal of verified blocks
//!   │  ◄──   {"status":true,"bytes","hash"}     │  equal? on the disk? then renamed
//! ```
//!
//! A get is the mirror image: the client sends its hello and `ACK` together, and confirms. Where
//! the client can guess the data port, all of that is sent before the grant (see
//! [`protocol::Hello`]), and the answer takes one round trip instead of three.
//!
//! The path of a byte reads from top to bottom: [`store`] → `transfer` → stream → network →
//! stream → `transfer` → [`store`]. The arrows between the modules run one way as well:
//! [`exit`] → [`client`], [`server`] → `transfer` → [`store`] → [`protocol`].

#![cfg_attr(
    doc,
    allow(
        rustdoc::private_intra_doc_links,
        reason = "the tables of contents name private modules"
    )
)]

pub mod client;
pub mod exit;
pub mod protocol;
pub mod server;
pub mod store;
mod transfer;

pub use blake3::Hash;
pub use client::{
    Client, ClientConfig, OpenError, PinnedKeys, Plan, Receipt, RequestError, Target,
    TransferError, Tree,
};
pub use exit::Exit;
pub use protocol::blocks::{BLOCK_BYTES, BlockHash};
pub use protocol::channel::ChannelError;
pub use protocol::{
    Attributes, Code, DEFAULT_PORT, DataPorts, Entry, EntryKind, FailedFile, Listing, Name,
    NameError, Overwrite, PeerText, Refusal, TreeSummary,
};
pub use server::{
    Access, Admission, Admit, InvalidRights, PortPool, Rights, ServeError, Server, ServerConfig,
    ServerHandle, StorageRoot,
};
pub use store::{
    BlockReader, CreateOptions, Digest, DirStore, DiskUsage, FileId, Found, FoundKind, HashStore,
    MemStore, OnDisk, Origin, PartialOptions, PatternSource, ResumablePartial, Sink, Source, Store,
    StoreError, Stored, Usage,
};
pub use transfer::Progress;
#[cfg(feature = "glob")]
pub use transfer::tree::FilterError;
pub use transfer::tree::{Filter, Links};
