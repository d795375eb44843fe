//! All faults at once, in virtual time: a file has to arrive all the same.
//!
//! ```text
//!  client machine ── on-path attacker ──┐                   ┌── server machine
//!  (its disk fails, it crashes,         ├── bad network ────┤   (its disk fails, it crashes,
//!   loses power, changes address)       │                   │    loses power)
//!  rogue client ────────────────────────┘                   └── a source that is replaced
//! ```
//!
//! A seed decides the network, the file, and the faults with their times ([`plan`]). Disks are
//! folders behind a [`disk`] that fails; a crash is a [`machine`] whose tasks end between two steps
//! on its disk, and whose disk may then lose unflushed data. A run is correct only if the receiver
//! ends with a complete file that the source had, regardless of the attempts before; if its name
//! never stood for anything else in between; and if the faults explain every error ([`outcome`]).

mod check;
mod count;
mod disk;
mod keys;
mod machine;
mod meanwhile;
mod on_path;
mod outcome;
mod plan;
mod rogue;
mod run;
mod source;
#[cfg(test)]
mod tests;

pub(crate) use self::count::Counts;
pub(crate) use self::run::{RunError, run};
