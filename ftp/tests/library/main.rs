//! Client and server in one process, over real sockets on the loopback interface.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

#[cfg(all(unix, feature = "glob"))]
mod attributes;
mod changed;
mod document;
mod early;
mod large_folders;
mod piped;
mod pool;
mod protocol;
mod refusals;
mod resume;
mod seeds;
mod sizes;
mod transfers;
mod trees;
mod world;
