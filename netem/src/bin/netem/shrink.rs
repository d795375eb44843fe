//! `netem shrink`: the few fates of a tape that make a run fail.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lftp_netem::recording::Recording;

use crate::failure::Failure;

const HELP: &str = "\
The command is run again and again with ever fewer fates on its tape. {} in its arguments, and
NETEM_TAPE in its environment, are the path of that tape. It fails when it ends with another exit
code than 0; it should do the same each time, such as a run in virtual time.

  netem shrink bad.csv --out few.csv -- cargo xtask scenario lossy-10pct --clock virtual --tape {}

Exit codes: 0 done; 3 no tape; 5 the result could not be written; 7 the command does not fail
with the whole tape; 126, 127 the command cannot be run, or found.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ShrinkArgs {
    /// The tape, as CSV.
    #[arg(value_name = "TAPE")]
    tape: PathBuf,
    /// Where the result goes. Default: standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only this exit code is a failure. Default: every one but 0.
    #[arg(long, value_name = "CODE")]
    code: Option<i32>,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &ShrinkArgs) -> Result<(), Failure> {
    let path = &args.tape;
    let text = fs::read_to_string(path).map_err(|source| Failure::TapeFile {
        path: path.clone(),
        source,
    })?;
    let tape: Recording = text.parse().map_err(|source| Failure::Recording {
        path: path.clone(),
        source,
    })?;
    let mut trial = Trial::new(args)?;
    let shrunk = tape.shrink(|tape| trial.fails(tape));
    if let Some(failure) = trial.failure.take() {
        return Err(failure);
    }
    let Some(shrunk) = shrunk else {
        return Err(Failure::DoesNotFail);
    };
    eprintln!(
        "{} fates of {} are enough, found in {} runs",
        shrunk.entries().len(),
        tape.entries().len(),
        trial.runs
    );
    match &args.out {
        Some(out) => write(out, &shrunk),
        None => {
            print!("{shrunk}");
            Ok(())
        }
    }
}

fn write(path: &Path, tape: &Recording) -> Result<(), Failure> {
    fs::write(path, tape.to_string()).map_err(|source| Failure::WriteTape {
        path: path.to_owned(),
        source,
    })
}

/// Runs the command with one tape after the other.
struct Trial<'a> {
    args: &'a ShrinkArgs,
    /// Goes with its folder when all is done.
    tape: PathBuf,
    _folder: tempfile::TempDir,
    runs: u64,
    /// Why no run can be made any more.
    failure: Option<Failure>,
}

impl<'a> Trial<'a> {
    fn new(args: &'a ShrinkArgs) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(|source| Failure::WriteTape {
            path: std::env::temp_dir(),
            source,
        })?;
        Ok(Self {
            args,
            tape: folder.path().join("tape.csv"),
            _folder: folder,
            runs: 0,
            failure: None,
        })
    }

    /// Does the command fail with this tape? After something that no tape is to blame for, no.
    fn fails(&mut self, tape: &Recording) -> bool {
        if self.failure.is_some() {
            return false;
        }
        let ended = write(&self.tape, tape).and_then(|()| self.run());
        self.runs += 1;
        match ended {
            Ok(fails) => {
                let what = if fails { "fails" } else { "goes well" };
                eprintln!("{:6} fates: {what}", tape.entries().len());
                fails
            }
            Err(failure) => {
                self.failure = Some(failure);
                false
            }
        }
    }

    fn run(&self) -> Result<bool, Failure> {
        let words: Vec<OsString> = self
            .args
            .command
            .iter()
            .map(|word| with_path(word, &self.tape))
            .collect();
        let failed = |source: io::Error| Failure::Command {
            command: words[0].to_string_lossy().into_owned(),
            source,
        };
        let status = Command::new(&words[0])
            .args(&words[1..])
            .env("NETEM_TAPE", &self.tape)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(failed)?;
        Ok(match (self.args.code, status.code()) {
            (None, code) => code != Some(0),
            (Some(wanted), code) => code == Some(wanted),
        })
    }
}

/// A word of the command with the path for `{}`.
fn with_path(word: &OsStr, path: &Path) -> OsString {
    let (Some(word), Some(path)) = (word.to_str(), path.to_str()) else {
        return word.to_owned();
    };
    word.replace("{}", path).into()
}
