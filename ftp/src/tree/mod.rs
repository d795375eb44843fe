//! Trees of files on one connection: no round trip, and no connection, for a single file.
//!
//! Both sides can be sender or receiver: [`walk`] finds the files, [`decide`] says which of
//! them are wanted, [`send`] and [`receive`] carry them, the `small` ones many at once. Names are judged by the receiver,
//! every one as if it came alone.

pub(crate) mod decide;
pub(crate) mod filter;
pub(crate) mod receive;
pub(crate) mod send;
mod small;
pub(crate) mod walk;
