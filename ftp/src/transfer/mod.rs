//! The loops that move files between a store and a stream, and what watches over them.
//!
//! | module | what |
//! |---|---|
//! | `send`, `receive` | a file of known length |
//! | `piped` | a file whose length is known at its end |
//! | `tree` | many files on one connection |
//! | `resume` | going on with what broke off |
//! | `message_reader` | what the receiver says while the file is still being sent |
//! | `send_meter`, `watchdog`, `progress` | how far a transfer is, and whether it stands still |
//! | `error` | why a file was not sent or received |
//!
//! Touch here how bytes and hashes follow each other on a data connection, the same on both
//! sides. Relies on [`protocol`](crate::protocol) for messages and hashes and on
//! [`store`](crate::store) for files; knows neither client nor server.

mod error;
mod message_reader;
mod piped;
mod progress;
mod receive;
pub(crate) mod resume;
mod send;
mod send_meter;
pub(crate) mod tree;
mod watchdog;

pub(crate) use self::error::{ReceiveError, SendError};
pub(crate) use self::message_reader::Hearing;
pub(crate) use self::piped::{Pipe, receive_piped, send_piped};
pub use self::progress::Progress;
pub(crate) use self::receive::{Received, Receiving, receive_file};
pub(crate) use self::send::send_file;
pub(crate) use self::send_meter::{Delivered, SendMeter};
pub(crate) use self::watchdog::Watchdog;

/// What is read from or written to a file at once: enough that the way to another thread and
/// back costs nothing, and for every lane of BLAKE3.
const PIECE_BYTES: usize = 1 << 20;
