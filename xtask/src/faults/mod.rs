//! Everything that can go wrong, at once, in virtual time: a file has to arrive all the same.
//!
//! ```text
//!  client machine ── on-path attacker ──┐                   ┌── server machine
//!  (its disk fails, it crashes,         ├── bad network ────┤   (its disk fails, it crashes,
//!   loses its power, roams)             │                   │    loses its power)
//!  rogue client ────────────────────────┘                   └── a source that is replaced
//! ```
//!
//! A seed decides the network, the file, and what goes wrong when ([`plan`]). Disks are folders
//! behind a [`disk`] that fails; a crash is a [`machine`] whose tasks are gone between two steps
//! on its disk, and whose disk may then lose what was not waited for. The run is right only if
//! the receiver ends with a file that the source had, whole, whatever became of the tries before;
//! if its name never stood for anything else on the way; and if every error was one that has a
//! word.

mod count;
mod disk;
mod machine;
mod on_path;
mod plan;
mod rogue;
mod run;
mod source;
#[cfg(test)]
mod tests;
mod tries;

pub(crate) use self::count::Counts;
pub(crate) use self::run::{RunError, run};
