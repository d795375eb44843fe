//! `--set KEY=VALUE`: any key of a scenario, on the command line.

use std::path::Path;

use lftp_netem::profile::read_named_files;
use toml::{Table, Value};

use super::{Scenario, ScenarioError};

/// The scenario of `table` with every change, checked after each so that a fault is reported for
/// the change that causes it. Files that a change names are in `folder`, like the scenario's.
pub(super) fn apply(
    mut table: Table,
    changes: &[String],
    folder: &Path,
) -> Result<Scenario, ScenarioError> {
    let mut scenario = None;
    for change in changes {
        let fault = |message: String| ScenarioError::Set {
            change: change.clone(),
            message,
        };
        let (key, value) = change
            .split_once('=')
            .ok_or_else(|| fault("expected KEY=VALUE, as in network.loss=20%".to_owned()))?;
        set(&mut table, key.trim(), parse(value.trim())).map_err(fault)?;
        if let Some(Value::Table(network)) = table.get("network") {
            let network = network.to_string();
            let read = read_named_files(&network, folder);
            let read = read.map_err(|error| fault(error.to_string()))?;
            let read = toml::from_str::<Table>(&read).map_err(|error| fault(error.to_string()))?;
            table.insert("network".to_owned(), Value::Table(read));
        }
        let checked = table.clone().try_into();
        scenario =
            Some(checked.map_err(|error: toml::de::Error| {
                fault(error.to_string().trim_end().to_owned())
            })?);
    }
    scenario.ok_or_else(|| ScenarioError::Set {
        change: String::new(),
        message: "nothing to change".to_owned(),
    })
}

/// A value in TOML; anything else is a string, so that `20%` needs no quotes.
fn parse(text: &str) -> Value {
    let document = format!("value = {text}");
    toml::from_str::<Table>(&document)
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn set(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let Some((first, rest)) = key.split_once('.') else {
        if key.is_empty() {
            return Err("the key has an empty part".to_owned());
        }
        table.insert(key.to_owned(), value);
        return Ok(());
    };
    let inner = table
        .entry(first)
        .or_insert_with(|| Value::Table(Table::new()));
    match inner {
        Value::Table(inner) => set(inner, rest, value),
        _ => Err(format!(
            "{first:?} is not a table, so it has no key {rest:?}"
        )),
    }
}
