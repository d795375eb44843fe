//! `cargo xtask list`

use crate::error::CommandError;
use crate::exit::Exit;
use crate::scenario;
use crate::table::{Column, Table};

/// List the scenarios.
#[derive(Debug, clap::Args)]
pub(super) struct List {}

impl List {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let scenarios = scenario::all()?;
        let widths = scenarios.iter().map(|scenario| scenario.name.len());
        let width = widths.max().unwrap_or(0);
        let table = Table::new([Column::left("name", width), Column::left("description", 0)]);
        for scenario in &scenarios {
            lftp_console::outln!("{}", table.row([&scenario.name, &scenario.description]))?;
        }
        Ok(Exit::Ok)
    }
}
