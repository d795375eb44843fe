//! Trees of files on one connection: no round trip, and no connection, for a single file.
//!
//! Both sides can be sender or receiver: [`walk`] finds the files, [`decide`] says which of
//! them are wanted, [`send`] and [`receive`] carry them, the `small` ones many at once. Names are judged by the receiver,
//! every one as if it came alone.

mod decide;
mod filter;
mod receive;
mod send;
mod small;
mod walk;

pub(crate) use self::decide::{Decider, Target};
pub use self::filter::Filter;
#[cfg(feature = "glob")]
pub use self::filter::FilterError;
pub(crate) use self::receive::receive_tree;
pub(crate) use self::send::send_tree;
pub use self::walk::Links;
pub(crate) use self::walk::Walk;
