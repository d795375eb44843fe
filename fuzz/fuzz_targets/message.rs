//! Any bytes as a control message of each kind: what is understood is written as it was.
#![no_main]

#[path = "../../ftp/tests/library/seeds/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    check::understands(bytes);
});
