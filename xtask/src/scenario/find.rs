//! Scenarios by name or by file.

use std::path::{Path, PathBuf};

use lftp_netem::profile::read_named_files;

use super::{Scenario, ScenarioError, overrides};

/// The folder of the named scenarios.
fn folder() -> PathBuf {
    workspace().join("scenarios")
}

/// The workspace's root: where `cargo xtask` was built from.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Every named scenario, by name.
///
/// # Errors
/// [`ScenarioError`] for the first that cannot be read.
pub(crate) fn all() -> Result<Vec<Scenario>, ScenarioError> {
    names()?.iter().map(|name| load(name, &[])).collect()
}

fn names() -> Result<Vec<String>, ScenarioError> {
    let path = folder();
    let read = |source| ScenarioError::Read {
        path: path.clone(),
        source,
    };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&path).map_err(read)? {
        let file = entry.map_err(read)?.path();
        if file.extension().is_some_and(|ending| ending == "toml") {
            names.extend(
                file.file_stem()
                    .and_then(|stem| stem.to_str())
                    .map(str::to_owned),
            );
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The scenario of that name or in that file, with changes as in `--set KEY=VALUE`.
///
/// # Errors
/// [`ScenarioError`]: nothing of that name, a file that cannot be read, contents or a change
/// that make no sense.
pub(crate) fn load(given: &str, changes: &[String]) -> Result<Scenario, ScenarioError> {
    let is_file = Path::new(given)
        .extension()
        .is_some_and(|ending| ending == "toml");
    let path = if is_file {
        PathBuf::from(given)
    } else {
        folder().join(format!("{given}.toml"))
    };
    let text = std::fs::read_to_string(&path).map_err(|source| {
        if !is_file && source.kind() == std::io::ErrorKind::NotFound {
            let known = names().unwrap_or_default().join(", ");
            return ScenarioError::Unknown {
                name: given.to_owned(),
                known,
            };
        }
        ScenarioError::Read {
            path: path.clone(),
            source,
        }
    })?;
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let name = stem
        .ok_or_else(|| ScenarioError::BadName(path.clone()))?
        .to_owned();
    parse(&text, &path, changes).map(|scenario| Scenario {
        name,
        given_as: given.to_owned(),
        changes: changes.to_vec(),
        ..scenario
    })
}

pub(super) fn parse(
    text: &str,
    path: &Path,
    changes: &[String],
) -> Result<Scenario, ScenarioError> {
    let message = |message: String| ScenarioError::Parse {
        path: path.to_owned(),
        message,
    };
    let fault = |error: toml::de::Error| message(error.to_string().trim_end().to_owned());
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let text = read_named_files(text, folder).map_err(|error| message(error.to_string()))?;
    // Before any change, so that a fault of the file is reported with its line.
    let scenario: Scenario = toml::from_str(&text).map_err(fault)?;
    if changes.is_empty() {
        return Ok(scenario);
    }
    overrides::apply(toml::from_str(&text).map_err(fault)?, changes, folder)
}
