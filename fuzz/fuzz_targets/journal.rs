//! Any bytes as the journal of a file that is being received.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lftp_ftp::store::fuzz_journal(bytes));
