//! `cargo xtask` with the other transports compiled in. The commands that need it build and run
//! it themselves; a program of its own, so that neither build replaces the other's.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::main()
}
