//! `lftp-server` and `lftp-client` as users and scripts see them: processes, messages, exit codes.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod access;
mod exit_codes;
mod failures;
mod false_server;
mod held_ports;
mod hostile_text;
mod keys;
mod leftovers;
mod outputs;
mod pipes;
mod pool;
mod processes;
mod resume;
mod successes;
mod trees;
mod verify;
