//! The server's settings: what the command line says, then the file of `--config`, then the
//! defaults.
//!
//! The keys of the file are the long names of the options, so there is nothing to keep in step:
//! what the file says is put before the command line, where it is checked in the same way.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use toml::{Table, Value};

use crate::Args;
use crate::shared::keys;

/// Files longer than this hold no settings.
const MAX_BYTES: u64 = 1 << 20;

/// What is said about a file of settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the settings in {file}: {fault}")]
pub(crate) struct SettingsError {
    file: String,
    fault: String,
}

/// Settings and where each of them is from.
pub(crate) struct Settings {
    pub(crate) args: Args,
    all: ArgMatches,
    line: ArgMatches,
    file: Option<PathBuf>,
}

fn command() -> Command {
    Args::command().args_override_self(true)
}

impl Settings {
    /// Reads a command line and the file that it names. What the command line itself has wrong
    /// ends the program here, as clap does it.
    pub(crate) fn read(line: Vec<OsString>) -> Result<Self, SettingsError> {
        let own = command().get_matches_from(&line);
        let file = own.get_one::<PathBuf>("config").cloned();
        let Some(file) = file else {
            let args = Args::from_arg_matches(&own).unwrap_or_else(|error| error.exit());
            return Ok(Self {
                args,
                all: own.clone(),
                line: own,
                file: None,
            });
        };
        let failed = |fault: String| SettingsError {
            file: file.display().to_string(),
            fault,
        };
        let mut words: Vec<OsString> = line.iter().take(1).cloned().collect();
        words.extend(
            options(&file)
                .map_err(failed)?
                .into_iter()
                .map(OsString::from),
        );
        words.extend(line.iter().skip(1).cloned());
        // The command line was fine alone: what is wrong now is from the file.
        let of_clap = |error: clap::Error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            failed(first.trim_start_matches("error: ").to_owned())
        };
        let all = command().try_get_matches_from(words).map_err(of_clap)?;
        Ok(Self {
            args: Args::from_arg_matches(&all).map_err(of_clap)?,
            all,
            line: own,
            file: Some(file),
        })
    }

    /// Everything as it holds, in the form of the file, with where it is from.
    pub(crate) fn show(&self) -> String {
        let mut lines = String::new();
        for arg in command().get_arguments() {
            let (Some(name), id) = (arg.get_long(), arg.get_id().as_str()) else {
                continue;
            };
            if !is_setting(name) {
                continue;
            }
            let value = match arg.get_action() {
                ArgAction::SetTrue => self.all.get_flag(id).into(),
                _ => match self.all.get_raw(id).and_then(Iterator::last) {
                    Some(raw) => value(&raw.to_string_lossy()),
                    None => match default_file(name) {
                        Some(file) => value(&file.to_string_lossy()),
                        None => continue,
                    },
                },
            };
            let from = self.origin(id);
            lines.push_str(&format!("{name} = {value}  # {from}\n"));
        }
        lines
    }

    fn origin(&self, id: &str) -> String {
        let said = Some(ValueSource::CommandLine);
        match &self.file {
            _ if self.line.value_source(id) == said => "command line".to_owned(),
            Some(file) if self.all.value_source(id) == said => file.display().to_string(),
            _ => "default".to_owned(),
        }
    }
}

/// Where a file is when nothing is said about it.
fn default_file(name: &str) -> Option<PathBuf> {
    match name {
        "key" => keys::default_place("server.key"),
        "authorized-keys" => keys::default_place("authorized_keys"),
        _ => None,
    }
}

/// Numbers are written as such.
fn value(raw: &str) -> Value {
    raw.parse::<i64>()
        .map_or_else(|_| Value::from(raw), Value::from)
}

fn is_setting(name: &str) -> bool {
    !matches!(name, "config" | "help" | "version")
}

/// What a file says, as words of a command line.
fn options(file: &Path) -> Result<Vec<String>, String> {
    let metadata = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if metadata.len() > MAX_BYTES {
        return Err("it is too long".to_owned());
    }
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let place = error.span().map_or(0, |span| span.start);
        let line = text
            .get(..place)
            .map_or(1, |before| before.matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    let command = command();
    let mut words = Vec::new();
    for (key, value) in &table {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(key));
        let Some(arg) = arg.filter(|_| is_setting(key)) else {
            return Err(format!(
                "there is no setting {key:?}; \"config show\" lists all"
            ));
        };
        let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
        match value {
            Value::Boolean(true) if is_flag => words.push(format!("--{key}")),
            Value::Boolean(false) if is_flag => {}
            _ if is_flag => return Err(format!("{key} is true or false")),
            Value::String(text) => words.push(format!("--{key}={text}")),
            Value::Integer(number) => words.push(format!("--{key}={number}")),
            _ => return Err(format!("{key} is a text in quotation marks, or a number")),
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, line: &[&str]) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, text).unwrap();
        let line = ["lftp-server", "--config", file.to_str().unwrap()]
            .into_iter()
            .chain(line.iter().copied());
        Settings::read(line.map(OsString::from).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_that_over_the_defaults() {
        let text = "max-clients = 7\nroot = \"/srv\"\nno-fsync = true\nlog = \"debug\"\n";
        let settings = read(text, &["--log", "error"]).unwrap();
        assert_eq!(settings.args.max_clients, 7);
        assert_eq!(settings.args.root, Path::new("/srv"));
        assert!(settings.args.no_fsync);
        let shown = settings.show();
        for line in [
            "max-clients = 7  # /",
            "log = \"error\"  # command line",
            "no-fsync = true  # /",
            "stall-limit = 60  # default",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        let table: Table = shown.parse().unwrap();
        assert_eq!(table["data-ports"].as_str(), Some("9000-9009"));
    }

    #[test]
    fn what_is_wrong_in_the_file_is_said() {
        for (text, words) in [
            ("max-client = 7", "max-client"),
            ("config = \"x\"", "config"),
            ("max-clients = 0", "0"),
            ("max-clients = true", "a number"),
            ("no-fsync = 1", "true or false"),
            ("root = \"a\"\nlog = ", "line 2"),
            ("listen = \"nowhere\"", "nowhere"),
            ("root = [\"a\"]", "a text"),
        ] {
            let error = read(text, &[]).err().unwrap();
            assert!(
                error.contains(words) && error.contains("settings.toml"),
                "{error}"
            );
        }
    }
}
