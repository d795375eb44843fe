//! Any script of datagrams at a listener and a client that connects.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lftp_transport::proto::fuzzing::handshake(bytes));
