//! `cargo xtask list`

use crate::command::CommandError;
use crate::exit::Exit;
use crate::scenario;

/// Say which scenarios there are.
#[derive(Debug, clap::Args)]
pub(super) struct List {}

impl List {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let scenarios = scenario::all()?;
        let width = scenarios
            .iter()
            .map(|scenario| scenario.name.len())
            .max()
            .unwrap_or(0);
        for scenario in scenarios {
            println!("{:width$}  {}", scenario.name, scenario.description);
        }
        Ok(Exit::Ok)
    }
}
