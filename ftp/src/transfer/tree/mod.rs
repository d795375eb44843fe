//! Trees of files on one connection: no round trip, and no connection, for a single file.
//!
//! | module | what |
//! |---|---|
//! | `walk`, `filter` | the sender finds the files |
//! | `select` | the receiver selects the wanted ones |
//! | `send`, `receive`, `small` | the transfer, small files many at once |
//! | `commit`, `null_sink` | names for what arrived, and a sink for what cannot be kept |
//!
//! Client and server can each be sender or receiver. The receiver checks every name as if it came
//! alone: keep it so, the sender may be hostile. Relies on the loops of
//! [`transfer`](crate::transfer) for single files.

mod commit;
mod filter;
mod null_sink;
mod receive;
mod select;
mod send;
mod small;
mod walk;

pub use self::filter::Filter;
#[cfg(feature = "glob")]
pub use self::filter::FilterError;
pub(crate) use self::receive::receive_tree;
pub(crate) use self::select::{FileSelector, TreeTarget};
pub(crate) use self::send::send_tree;
pub use self::walk::Links;
pub(crate) use self::walk::Walk;
