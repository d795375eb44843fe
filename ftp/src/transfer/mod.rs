//! The loops that move files between a store and a stream, and what supervises them.
//!
//! | module | what |
//! |---|---|
//! | `send`, `receive` | a file of known length |
//! | `piped` | a file whose length is known only at its end |
//! | `tree` | many files on one connection |
//! | `resume` | resumption of an interrupted transfer |
//! | `message_reader` | messages that arrive while the file is still being sent |
//! | `send_meter`, `watchdog`, `progress` | progress, and the detection of a stall |
//! | `error` | failures of a sender or receiver |
//!
//! Touch here how bytes and hashes follow each other on a data connection; both sides run the same
//! code. Relies on [`protocol`](crate::protocol) for messages and hashes and on
//! [`store`](crate::store) for files; knows neither client nor server.

mod error;
mod message_reader;
mod piped;
mod progress;
mod receive;
mod recheck;
pub(crate) mod resume;
mod send;
mod send_meter;
pub(crate) mod tree;
mod watchdog;

pub(crate) use self::error::{ReceiveError, SendError};
pub(crate) use self::message_reader::MessageReader;
pub(crate) use self::piped::{Pipe, receive_piped, send_piped};
pub use self::progress::Progress;
pub(crate) use self::receive::{ReceivePlan, ReceivedFile, receive_file};
pub(crate) use self::send::send_file;
pub(crate) use self::send_meter::SendMeter;
pub(crate) use self::watchdog::Watchdog;

/// Bytes read from or written to a file at once: enough that a change of threads costs nothing in
/// comparison, and that all lanes of BLAKE3 are used.
const PIECE_BYTES: usize = 1 << 20;
