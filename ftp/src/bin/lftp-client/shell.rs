//! The shell: one command a line, on one connection. The seed's menu.
//!
//! With a terminal it has line editing and a history, and an error is only reported. Without
//! one (a script) the first error ends it.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use lftp_ftp::Exit;
use lftp_transport::unblock;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::job::Job;
use crate::session::{Failure, Session};
use crate::{GetArgs, PutArgs, shared};

const COMMANDS: &str = "put, get, ls, lls and quit; help says more";

/// Lines that are remembered.
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
        /// Its name on the server; default: its own
        name: Option<String>,
    },
    /// Receive a file: get NAME, or get NAME PATH
    Get {
        #[command(flatten)]
        get: GetArgs,
        /// Where to: a file, or a folder that is there; default: its own name in
        /// the folder Download, which is made
        out: Option<PathBuf>,
    },
    /// List a folder of the server: ls, or ls PATH
    Ls {
        /// The folder; default: all that is shared
        #[arg(default_value = "", hide_default_value = true)]
        path: String,
    },
    /// List a folder here: lls, or lls PATH
    Lls {
        /// The folder; default: where this program was started
        #[arg(default_value = ".", hide_default_value = true)]
        path: PathBuf,
    },
    /// Leave
    #[command(alias = "exit", alias = "bye")]
    Quit,
}

/// What a line came to.
enum Outcome {
    Next,
    Leave,
}

/// Reads and does one line after another.
pub(crate) async fn run(session: &mut Session) -> Result<(), Failure> {
    let is_interactive = std::io::stdin().is_terminal();
    // What a script says is not worth remembering.
    let history = is_interactive.then(history_file).flatten();
    let mut editor = editor(history.as_deref())?;
    let prompt = if is_interactive {
        format!("{}> ", session.host)
    } else {
        String::new()
    };
    loop {
        let shown = prompt.clone();
        let (returned, line) = unblock(&*session.runtime, move || {
            let line = editor.readline(&shown);
            (editor, line)
        })
        .await;
        editor = returned;
        let line = match line {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(Failure::new(Exit::Failed, format!("no input: {error}"))),
        };
        let _ = editor.add_history_entry(&line);
        match execute(session, &line).await {
            Ok(Outcome::Next) => {}
            Ok(Outcome::Leave) => break,
            Err(failure) if is_interactive => eprintln!("{failure}"),
            Err(failure) => return Err(failure),
        }
    }
    if let Some(history) = history
        && let Err(error) = editor.save_history(&history)
    {
        tracing::debug!(%error, "the history is not kept");
    }
    Ok(())
}

async fn execute(session: &mut Session, line: &str) -> Result<Outcome, Failure> {
    let Some(words) = shlex::split(line) else {
        return Err(Failure::new(Exit::Usage, "a quotation mark is missing"));
    };
    if words.first().is_none_or(|word| word.starts_with('#')) {
        return Ok(Outcome::Next);
    }
    let line = match Line::try_parse_from(&words) {
        Ok(line) => line,
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            return Ok(Outcome::Next);
        }
        Err(error) => return Err(wrong(&words[0], &error)),
    };
    let interrupted = shared::interrupted();
    tokio::select! {
        biased;
        () = interrupted => Err(Failure::interrupted()),
        outcome = command(session, line.command) => outcome,
    }
}

/// A line that is no command, in words.
fn wrong(word: &str, error: &clap::Error) -> Failure {
    let sentence = if error.kind() == clap::error::ErrorKind::InvalidSubcommand {
        format!("there is no command {word:?}; there are {COMMANDS}")
    } else {
        error.to_string().trim_end().to_owned()
    };
    Failure::new(Exit::Usage, sentence)
}

async fn command(session: &mut Session, command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Lls { path } => list_here(&path)?,
        Command::Quit => return Ok(Outcome::Leave),
        remote => {
            session.revive().await?;
            ask(session, remote).await?;
        }
    }
    Ok(Outcome::Next)
}

/// What the server is needed for.
async fn ask(session: &mut Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::Put { put, name } => {
            let job = Job::put(put, name)?;
            if matches!(job, Job::PutPiped { .. }) {
                let sentence = "standard input is where the shell reads its commands from";
                return Err(Failure::new(Exit::Usage, sentence));
            }
            job.run(session).await
        }
        Command::Get { get, out } => Job::get(get, out, session.output)?.run(session).await,
        Command::Ls { path } => session.ls(&path).await,
        Command::Lls { .. } | Command::Quit => Ok(()),
    }
}

fn list_here(path: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::LocalFile, format!("{}: {error}", path.display()))
    };
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let line = match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => (name, "-".to_owned(), "/"),
            Ok(metadata) => (name, metadata.len().to_string(), ""),
            Err(_) => continue,
        };
        lines.push(line);
    }
    lines.sort();
    for (name, size, mark) in lines {
        println!("{size:>14}  {name}{mark}");
    }
    Ok(())
}

fn editor(history: Option<&Path>) -> Result<DefaultEditor, Failure> {
    let config = rustyline::Config::builder().max_history_size(HISTORY_LINES);
    let editor = config.and_then(|config| DefaultEditor::with_config(config.build()));
    let mut editor = editor.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the terminal cannot be used: {error}"),
        )
    })?;
    if let Some(history) = history {
        // There is none the first time.
        let _ = editor.load_history(history);
    }
    Ok(editor)
}

/// Where the history is kept: the folder for state (XDG), if there can be one.
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
    fn a_line_is_one_command_with_names_that_may_have_spaces() {
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
    fn what_is_no_command_is_an_error_that_names_it() {
        let error = parse("delete everything").unwrap_err();
        assert!(error.use_stderr());
        let failure = wrong("delete", &error);
        assert_eq!(failure.exit, Exit::Usage);
        for word in ["delete", "put", "get", "ls", "quit", "help"] {
            assert!(failure.to_string().contains(word), "{failure}");
        }
        assert!(!parse("help").unwrap_err().use_stderr());
    }
}
