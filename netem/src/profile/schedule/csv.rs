//! A schedule from CSV: a recorded trace of rate, delay and loss.

use super::ScheduleStep;
use crate::{impair::loss::LossModel, units::UnitError};

/// A table that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {source}")]
pub struct ScheduleCsvError {
    /// The line, from 1.
    pub line: usize,
    /// The reason.
    pub source: UnitError,
}

const COLUMNS: &str = "expected columns from at, rate, delay, loss, at first, each with a unit \
                       in its name (at_ms, rate_mbit, delay_us) or in its values";

impl ScheduleStep {
    /// Reads a table of CSV (RFC 4180 without quotes) whose first line names the columns: `at`,
    /// from the start of the run, and any of `rate`, `delay`, `loss`. A unit stands behind the
    /// name (`at_ms,rate_kbit`) or in each value (`20ms,1.5mbit`). A field left empty changes
    /// nothing; blank lines and those that begin with `#` are skipped.
    ///
    /// # Errors
    /// An unknown column, a value that does not fit it, times that do not ascend: with the line.
    pub fn from_csv(text: &str) -> Result<Vec<Self>, ScheduleCsvError> {
        let lines = (1..).zip(text.lines().map(str::trim));
        let mut lines = lines.filter(|(_, row)| !row.is_empty() && !row.starts_with('#'));
        let fail = |line, source| ScheduleCsvError { line, source };
        let Some((first, header)) = lines.next() else {
            return Err(fail(1, UnitError::new(COLUMNS)));
        };
        let columns: Vec<(&str, &str)> = header
            .split(',')
            .map(str::trim)
            .map(|name| name.split_once('_').map_or((name, ""), |split| split))
            .collect();
        let known = |(key, _): &(&str, &str)| ["at", "rate", "delay", "loss"].contains(key);
        if !columns.iter().all(known) || columns.first().is_none_or(|(key, _)| *key != "at") {
            return Err(fail(first, UnitError::new(COLUMNS)));
        }
        let mut steps: Vec<Self> = Vec::new();
        for (line, row) in lines {
            let step = read(&columns, row).map_err(|source| fail(line, source))?;
            if let Some(before) = steps.last()
                && step.at < before.at
            {
                let message = format!("{} comes after {}", step.at, before.at);
                return Err(fail(line, UnitError::new(message)));
            }
            steps.push(step);
        }
        Ok(steps)
    }
}

fn read(columns: &[(&str, &str)], row: &str) -> Result<ScheduleStep, UnitError> {
    let mut step = ScheduleStep::default();
    let values: Vec<&str> = row.split(',').map(str::trim).collect();
    if values.len() != columns.len() || values[0].is_empty() {
        let message = format!("expected {} fields, the first not empty", columns.len());
        return Err(UnitError::new(message));
    }
    for ((key, unit), value) in columns
        .iter()
        .zip(values)
        .filter(|(_, value)| !value.is_empty())
    {
        let text = format!("{value}{}", if *unit == "percent" { "%" } else { unit });
        match *key {
            "at" => step.at = text.parse()?,
            "rate" => step.rate = Some(text.parse()?),
            "delay" => step.delay = Some(text.parse()?),
            _ => step.loss = Some(LossModel::Iid(text.parse()?)),
        }
    }
    Ok(step)
}
