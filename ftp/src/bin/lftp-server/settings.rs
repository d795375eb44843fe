//! The server's settings: from the command line, then the file of `--config`, then the defaults.
//!
//! The keys of the file are the long names of the options. Its settings are inserted before the
//! arguments of the command line and parsed with them, so both are checked by the same code.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use toml::{Table, Value};

use crate::args::Args;
use crate::shared::{config_file, output};

/// Longest settings file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// A settings file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("settings file {file}: {fault}")]
pub(crate) struct SettingsError {
    file: String,
    fault: String,
}

/// Settings and the source of each.
pub(crate) struct Settings {
    pub(crate) args: Args,
    /// Matches of the file's settings and the command line together.
    merged: ArgMatches,
    command_line: ArgMatches,
    file: Option<PathBuf>,
}

fn command() -> Command {
    Args::command().args_override_self(true)
}

fn exit(error: &clap::Error) -> ! {
    lftp_console::exit(error, "lftp-server", output::exit_number)
}

impl Settings {
    /// Parses a command line and the file that it names. An error of the command line itself ends
    /// the program here, as usual with clap.
    pub(crate) fn read(line: Vec<OsString>) -> Result<Self, SettingsError> {
        let own = command()
            .try_get_matches_from(&line)
            .unwrap_or_else(|error| exit(&error));
        let file = own.get_one::<PathBuf>("config").cloned();
        let Some(file) = file else {
            let args = Args::from_arg_matches(&own).unwrap_or_else(|error| exit(&error));
            return Ok(Self {
                args,
                merged: own.clone(),
                command_line: own,
                file: None,
            });
        };
        let failed = |fault: String| SettingsError {
            file: file.display().to_string(),
            fault,
        };
        let mut arguments: Vec<OsString> = line.iter().take(1).cloned().collect();
        arguments.extend(
            options(&file)
                .map_err(failed)?
                .into_iter()
                .map(OsString::from),
        );
        arguments.extend(line.iter().skip(1).cloned());
        // The command line alone was parsed without an error: this one is the file's.
        let file_error = |error: clap::Error| {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default();
            failed(first.trim_start_matches("error: ").to_owned())
        };
        let merged = command()
            .try_get_matches_from(arguments)
            .map_err(file_error)?;
        Ok(Self {
            args: Args::from_arg_matches(&merged).map_err(file_error)?,
            merged,
            command_line: own,
            file: Some(file),
        })
    }

    /// Formats the settings in effect as a settings file, with the source of each as a comment.
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
                ArgAction::SetTrue => self.merged.get_flag(id).into(),
                _ => match self.merged.get_raw(id).and_then(Iterator::last) {
                    Some(raw) => value(&raw.to_string_lossy()),
                    None => match default_file(name) {
                        Some(file) => value(&file.to_string_lossy()),
                        None => continue,
                    },
                },
            };
            let source = self.source(id);
            lines.push_str(&format!("{name} = {value}  # {source}\n"));
        }
        lines
    }

    fn source(&self, id: &str) -> String {
        let given = Some(ValueSource::CommandLine);
        match &self.file {
            // Asked first: an option given in both places has the command line's value.
            _ if self.command_line.value_source(id) == given => "command line".to_owned(),
            Some(file) if self.merged.value_source(id) == given => file.display().to_string(),
            _ => "default".to_owned(),
        }
    }
}

/// Returns the default path of an option that names a file.
fn default_file(name: &str) -> Option<PathBuf> {
    match name {
        "key" => config_file::default_path("server.key"),
        "authorized-keys" => config_file::default_path("authorized_keys"),
        _ => None,
    }
}

/// Converts an argument to TOML, a number to a number.
fn value(raw: &str) -> Value {
    raw.parse::<i64>()
        .map_or_else(|_| Value::from(raw), Value::from)
}

fn is_setting(name: &str) -> bool {
    !matches!(name, "config" | "help" | "version")
}

/// Converts the settings of a file to arguments of a command line.
fn options(file: &Path) -> Result<Vec<String>, String> {
    let metadata = std::fs::metadata(file).map_err(|error| error.to_string())?;
    if metadata.len() > MAX_BYTES {
        return Err(format!("longer than {MAX_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let line = text
            .get(..offset)
            .map_or(1, |before| before.matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    let command = command();
    let mut arguments = Vec::new();
    for (key, value) in &table {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(key));
        // A misspelt setting must not be ignored: the server would run with the default.
        let Some(arg) = arg.filter(|_| is_setting(key)) else {
            return Err(format!(
                "unknown setting {key:?}; \"lftp-server config show\" lists all settings"
            ));
        };
        let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
        match value {
            Value::Boolean(true) if is_flag => arguments.push(format!("--{key}")),
            Value::Boolean(false) if is_flag => {}
            _ if is_flag => return Err(format!("{key} must be true or false")),
            Value::String(text) => arguments.push(format!("--{key}={text}")),
            Value::Integer(number) => arguments.push(format!("--{key}={number}")),
            _ => return Err(format!("{key} must be a string or a number")),
        }
    }
    Ok(arguments)
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
    fn the_command_line_overrides_the_file_which_overrides_the_defaults() {
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
    fn an_error_in_the_file_is_reported_with_the_setting() {
        for (text, expected) in [
            ("max-client = 7", "max-client"),
            ("config = \"x\"", "config"),
            ("max-clients = 0", "0"),
            ("max-clients = true", "a number"),
            ("no-fsync = 1", "true or false"),
            ("root = \"a\"\nlog = ", "line 2"),
            ("listen = \"nowhere\"", "nowhere"),
            ("root = [\"a\"]", "a string"),
        ] {
            let error = read(text, &[]).err().unwrap();
            assert!(
                error.contains(expected) && error.contains("settings.toml"),
                "{error}"
            );
        }
    }
}
