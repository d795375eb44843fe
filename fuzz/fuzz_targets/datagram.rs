//! Any bytes as a datagram.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lftp_transport::proto::fuzzing::datagram(bytes));
