//! `netem shrink`: the few events of a recording that make a run fail.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lftp_netem::recording::Recording;

use crate::failure::Failure;

const HELP: &str = "\
The command is run repeatedly, each time with fewer losses, copies and delays in its recording. {}
in its arguments, and NETEM_RECORDING in its environment, are the path of that recording. The
command fails when its exit code is not 0; it should be deterministic, such as a run in virtual
time.

  netem shrink bad.csv --out few.csv -- cargo xtask scenario lossy-10pct --clock virtual --replay {}

Exit codes: 0 success; 3 an invalid recording; 5 the result could not be written; 7 the command
does not fail with the whole recording; 126, 127 the command cannot be run, or found.";

#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ShrinkArgs {
    /// The recording, as CSV.
    #[arg(value_name = "RECORDING")]
    recording: PathBuf,
    /// File for the result. Default: standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The only exit code that counts as a failure. Default: every one but 0.
    #[arg(long, value_name = "CODE")]
    code: Option<i32>,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &ShrinkArgs) -> Result<(), Failure> {
    let path = &args.recording;
    let text = fs::read_to_string(path).map_err(|source| Failure::RecordingFile {
        path: path.clone(),
        source,
    })?;
    let recording: Recording = text.parse().map_err(|source| Failure::Recording {
        path: path.clone(),
        source,
    })?;
    let mut trial = Trial::new(args)?;
    let shrunk = recording.shrink(|recording| trial.fails(recording));
    if let Some(failure) = trial.failure.take() {
        return Err(failure);
    }
    let Some(shrunk) = shrunk else {
        return Err(Failure::DoesNotFail);
    };
    lftp_console::noteln!(
        "{} entries of {} are enough, found in {} runs",
        shrunk.entries().len(),
        recording.entries().len(),
        trial.runs
    );
    match &args.out {
        Some(out) => write(out, &shrunk),
        None => {
            lftp_console::out!("{shrunk}")?;
            Ok(())
        }
    }
}

fn write(path: &Path, recording: &Recording) -> Result<(), Failure> {
    fs::write(path, recording.to_string()).map_err(|source| Failure::WriteRecording {
        path: path.to_owned(),
        source,
    })
}

/// Runs the command with one recording after another.
struct Trial<'a> {
    args: &'a ShrinkArgs,
    /// Removed with its folder at the end.
    recording: PathBuf,
    _folder: tempfile::TempDir,
    runs: u64,
    /// The error after which no further run is possible.
    failure: Option<Failure>,
}

impl<'a> Trial<'a> {
    fn new(args: &'a ShrinkArgs) -> Result<Self, Failure> {
        let folder = tempfile::tempdir().map_err(|source| Failure::WriteRecording {
            path: std::env::temp_dir(),
            source,
        })?;
        Ok(Self {
            args,
            recording: folder.path().join("recording.csv"),
            _folder: folder,
            runs: 0,
            failure: None,
        })
    }

    /// True when the command fails with this recording; false after an error that none explains.
    fn fails(&mut self, recording: &Recording) -> bool {
        if self.failure.is_some() {
            return false;
        }
        let ended = write(&self.recording, recording).and_then(|()| self.run());
        self.runs += 1;
        match ended {
            Ok(fails) => {
                let what = if fails { "fails" } else { "succeeds" };
                lftp_console::noteln!("{:6} entries: {what}", recording.entries().len());
                fails
            }
            Err(failure) => {
                self.failure = Some(failure);
                false
            }
        }
    }

    fn run(&self) -> Result<bool, Failure> {
        let command: Vec<OsString> = self
            .args
            .command
            .iter()
            .map(|word| with_path(word, &self.recording))
            .collect();
        let failed = |source: io::Error| Failure::Command {
            command: command[0].to_string_lossy().into_owned(),
            source,
        };
        let status = Command::new(&command[0])
            .args(&command[1..])
            .env("NETEM_RECORDING", &self.recording)
            // The former name, which scripts may still use.
            .env("NETEM_TAPE", &self.recording)
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
