//! The shell: one command per line, all on one connection.
//!
//! On a terminal it has line editing and a history, and continues after an error. Without one
//! (in a script) the first error ends it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use lftp_ftp::Exit;
use lftp_ftp::protocol::{MAX_PART_BYTES, shown};
use lftp_transport::spawn_blocking;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::cli::{GetArgs, PutArgs};
use crate::failure::Failure;
use crate::session::Session;
use crate::shared::signals;
use crate::transfer_command::TransferCommand;

const COMMANDS: &str = "put, get, ls, lls and quit; type help for details";

/// Longest history, in lines.
const HISTORY_LINES: usize = 1000;

#[derive(Parser, Debug)]
#[command(
    multicall = true,
    disable_help_flag = true,
    help_template = "{subcommands}"
)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Send a file: put FILE, or put FILE NAME
    Put {
        #[command(flatten)]
        put: PutArgs,
        /// Name on the server; default: the local file name
        name: Option<String>,
    },
    /// Receive a file: get NAME, or get NAME PATH
    Get {
        #[command(flatten)]
        get: GetArgs,
        /// Target: a file or an existing folder; default: the same name in the folder
        /// Download, which is created if missing
        out: Option<PathBuf>,
    },
    /// List a folder on the server: ls, or ls PATH
    Ls {
        /// The folder; default: the root of the shared files
        #[arg(default_value = "", hide_default_value = true)]
        path: String,
    },
    /// List a local folder: lls, or lls PATH
    Lls {
        /// The folder; default: the working directory of this program
        #[arg(default_value = ".", hide_default_value = true)]
        path: PathBuf,
    },
    /// Leave
    #[command(alias = "exit", alias = "bye")]
    Quit,
}

/// The next step after a line.
enum Flow {
    Continue,
    Quit,
}

/// Reads and executes lines until `quit`, the end of input, or an error of a script.
pub(crate) async fn run(session: &mut Session) -> Result<(), Failure> {
    let is_interactive = std::io::stdin().is_terminal();
    // The commands of a script are in its file already.
    let history = is_interactive.then(history_file).flatten();
    let mut editor = editor(history.as_deref())?;
    let prompt = if is_interactive {
        format!("{}> ", session.host)
    } else {
        String::new()
    };
    loop {
        let shown = prompt.clone();
        let (returned, line) = spawn_blocking(&*session.runtime, move || {
            let line = editor.readline(&shown);
            (editor, line)
        })
        .await;
        editor = returned;
        let line = match line {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => {
                return Err(Failure::new(
                    Exit::Failed,
                    format!("cannot read commands: {error}"),
                ));
            }
        };
        let _ = editor.add_history_entry(&line);
        match execute(session, &line).await {
            Ok(Flow::Continue) => {}
            Ok(Flow::Quit) => break,
            Err(failure) if is_interactive => lftp_console::noteln!("{failure}"),
            Err(failure) => return Err(failure),
        }
    }
    if let Some(history) = history
        && let Err(error) = editor.save_history(&history)
    {
        tracing::debug!(%error, "the history cannot be saved");
    }
    Ok(())
}

async fn execute(session: &mut Session, line: &str) -> Result<Flow, Failure> {
    let Some(words) = shlex::split(line) else {
        return Err(Failure::new(
            Exit::Usage,
            "a closing quotation mark is missing",
        ));
    };
    if words.first().is_none_or(|word| word.starts_with('#')) {
        return Ok(Flow::Continue);
    }
    let line = match Line::try_parse_from(&words) {
        Ok(line) => line,
        Err(error) if !error.use_stderr() => {
            lftp_console::print_clap(&error)?;
            return Ok(Flow::Continue);
        }
        Err(error) => return Err(usage_failure(&words[0], &error)),
    };
    let interrupted = signals::interrupted();
    tokio::select! {
        biased;
        () = interrupted => Err(Failure::interrupted()),
        flow = run_command(session, line.command) => flow,
    }
}

/// Describes a line that cannot be parsed.
fn usage_failure(word: &str, error: &clap::Error) -> Failure {
    let message = if error.kind() == clap::error::ErrorKind::InvalidSubcommand {
        format!("unknown command {word:?}; the commands are {COMMANDS}")
    } else {
        error.to_string().trim_end().to_owned()
    };
    Failure::new(Exit::Usage, message)
}

async fn run_command(session: &mut Session, command: Command) -> Result<Flow, Failure> {
    match command {
        Command::Lls { path } => list_local(&path)?,
        Command::Quit => return Ok(Flow::Quit),
        remote => {
            session.ensure_connected().await?;
            run_remote(session, remote).await?;
        }
    }
    Ok(Flow::Continue)
}

/// Runs a command that needs the server.
async fn run_remote(session: &mut Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Put { put, name } => {
            let transfer = TransferCommand::put(put, name)?;
            if matches!(transfer, TransferCommand::PutPiped { .. }) {
                let message = "the shell reads its commands from standard input, so it cannot \
                               send standard input as a file";
                return Err(Failure::new(Exit::Usage, message));
            }
            transfer.run(session).await
        }
        Command::Get { get, out } => {
            let transfer = TransferCommand::get(get, out, session.output())?;
            transfer.run(session).await
        }
        Command::Ls { path } => session.ls(&path).await,
        // Handled by the caller, without a connection.
        Command::Lls { .. } | Command::Quit => Ok(()),
    }
}

fn list_local(path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::LocalFile, format!("{}: {error}", path.display()))
    };
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A received file may be named by whoever sent it.
        let name = entry.file_name().to_string_lossy().into_owned();
        let name = shown(&name, MAX_PART_BYTES).to_string();
        let line = match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => (name, "-".to_owned(), "/"),
            Ok(metadata) => (name, metadata.len().to_string(), ""),
            // Deleted since it was listed.
            Err(_) => continue,
        };
        lines.push(line);
    }
    lines.sort();
    for (name, size, mark) in lines {
        lftp_console::outln!("{size:>14}  {name}{mark}")?;
    }
    Ok(())
}

fn editor(history: Option<&Path>) -> Result<DefaultEditor, Failure> {
    let config = rustyline::Config::builder().max_history_size(HISTORY_LINES);
    let editor = config.and_then(|config| DefaultEditor::with_config(config.build()));
    let mut editor = editor.map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot set up the terminal: {error}"))
    })?;
    if let Some(history) = history {
        // The file does not exist the first time.
        let _ = editor.load_history(history);
    }
    Ok(editor)
}

/// Returns the path of the history in the XDG state folder, which is created if missing; `None`
/// where there can be none.
fn history_file() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let folder = state?.join("lftp");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Line::try_parse_from(shlex::split(line).unwrap()).map(|line| line.command)
    }

    #[test]
    fn the_commands_are_consistent() {
        Line::command().debug_assert();
    }

    #[test]
    fn a_line_is_one_command_whose_names_may_contain_spaces() {
        let Ok(Command::Put { put, name }) = parse("put 'my file' -n \"its name\"") else {
            panic!("not a put");
        };
        assert_eq!(put.file, Path::new("my file"));
        assert!(put.no_clobber);
        assert_eq!(name.as_deref(), Some("its name"));
        assert!(matches!(parse("exit"), Ok(Command::Quit)));
        assert!(matches!(parse("ls"), Ok(Command::Ls { path }) if path.is_empty()));
    }

    #[test]
    fn an_unknown_command_is_an_error_that_names_it() {
        let error = parse("delete everything").unwrap_err();
        assert!(error.use_stderr());
        let failure = usage_failure("delete", &error);
        assert_eq!(failure.exit(), Exit::Usage);
        for word in ["delete", "put", "get", "ls", "quit", "help"] {
            assert!(failure.to_string().contains(word), "{failure}");
        }
        assert!(!parse("help").unwrap_err().use_stderr());
    }
}
