//! `lftp-server` and `lftp-client` as people and scripts meet them: processes, sentences, exit
//! codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod failures;
mod holders;
mod keys;
mod pipes;
mod pool;
mod processes;
mod resume;
mod successes;
mod trees;
mod verify;
