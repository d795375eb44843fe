//! Any frames, validly sealed, in an established connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lftp_transport::proto::fuzzing::connection(bytes));
