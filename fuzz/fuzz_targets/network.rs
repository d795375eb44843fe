//! Any text as the `[network]` table of a scenario, as a line for `tc`, and as a recording; packets
//! go through the link that comes of it.
#![no_main]

#[path = "../../netem/tests/library/seeds/check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|text: &str| {
    check::parses(text);
});
