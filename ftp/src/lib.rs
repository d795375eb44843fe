//! File transfer over [`lftp_transport`]: a control connection, and a data connection a file.
//!
//! ```text
//! client                                     server
//!   │  control: hello, {"action":"put",…}  ──►  │  name? room? a free data port?
//!   │  ◄──  {"status":true,"port":9000,"token"} │
//!   │  data (port 9000): hello, token      ──►  │
//!   │  ◄──                       {"ack":"ACK"}  │  the receiver is ready
//!   │  the file, its BLAKE3 hashes         ──►  │  .part, a journal of verified blocks
//!   │  ◄──   {"status":true,"bytes","hash"}     │  the same? on the disk? then renamed
//! ```
//!
//! `get` is the mirror image: the client says hello and `ACK` in one breath, and gives the
//! verdict. Where the client can guess the data port, all of that is said at once
//! (`client/ahead.rs`): the answer then takes one round trip, not three. The byte's way reads top to bottom: [`store`] → [`transfer`] → stream → network →
//! stream → [`transfer`] → [`store`].
//!
//! | module | what |
//! |---|---|
//! | [`client`], [`server`] | the two sides |
//! | [`message`], [`Code`] | what is said on the wire |
//! | [`store`], [`names`] | where files are, and what they may be called |
//! | [`ports`] | the pool of data ports |
//! | `blocks`, `resume` | the hash of a file in pieces; going on with what broke off |
//! | [`transfer`], `delivered`, `hearing`, `watchdog` | the loops, and who watches over them |
//! | [`exit`] | the programs' exit codes |
//!
//! Nothing here reads a clock, opens a socket or starts a thread: all that is asked of
//! [`lftp_transport::Runtime`], so the same client and server run in real and virtual time.

#![cfg_attr(
    doc,
    allow(rustdoc::private_intra_doc_links, reason = "a map of the house")
)]

pub mod client;
pub mod exit;
pub mod protocol;
pub mod server;
pub mod store;
mod transfer;

pub use blake3::Hash;
pub use client::{
    Client, ClientConfig, OpenError, Pinned, Plan, Receipt, RequestError, Target, TransferError,
    Tree,
};
pub use exit::Exit;
pub use protocol::blocks::{BLOCK_BYTES, BlockHash};
pub use protocol::channel::LinkError;
pub use protocol::{
    Attributes, Code, DEFAULT_PORT, DataPorts, Done, Entry, EntryKind, Failed, Listing, Name,
    NameError, Overwrite, Refusal,
};
pub use server::{
    Access, Admission, Admit, InvalidRights, Place, PortPool, Rights, ServeError, Server,
    ServerConfig, ServerHandle,
};
pub use store::{
    Digest, DirStore, Found, FoundKind, HashStore, MemStore, Origin, Parked, PatternSource, Sink,
    Source, Store, StoreError,
};
pub use transfer::Progress;
#[cfg(feature = "glob")]
pub use transfer::tree::FilterError;
pub use transfer::tree::{Filter, Links};
