//! `cargo xtask scenario`: the main job.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use lftp_transport::Congestion;

use super::parse_seeds;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::output;
use crate::progress;
use crate::record::Detail;
use crate::rows::Summary;
use crate::run::{Capture, Clock, GivenFile, GivenRecording, Plan, RunProgress, Tap};
use crate::scenario;

/// Examples, and the values of `transport.congestion`.
fn after_help() -> String {
    let names = Congestion::names();
    format!("{EXAMPLES}\n\nCongestion controls (transport.congestion): {names}")
}

const EXAMPLES: &str = "Examples:
  cargo xtask scenario lossy-10pct
  cargo xtask scenario lossy-10pct --clock virtual --seed 7
  cargo xtask scenario lossy-10pct --set network.loss=20% --set transport.congestion=cubic
  cargo xtask scenario satellite --clock virtual --file holiday.mp4
  cargo xtask scenario my-network.toml --clock virtual --seeds 1..=8 --json";

/// Run a scenario: transfer a file through its network, and write traces and charts.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(super) struct RunScenario {
    /// A name from `cargo xtask list`, or a file that ends in .toml.
    #[arg(value_name = "NAME|FILE.toml")]
    scenario: String,
    /// The clock.
    #[arg(long, value_enum, default_value_t)]
    clock: Clock,
    /// The seed of everything random.
    #[arg(long, default_value_t = 1, conflicts_with = "seeds")]
    seed: u64,
    /// One run for each of these seeds.
    #[arg(long, value_name = "A..=B", value_parser = parse_seeds)]
    seeds: Option<std::ops::RangeInclusive<u64>>,
    /// Change any key of the scenario: network.loss=20%.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    changes: Vec<String>,
    /// Transfer this file instead of a generated one.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Replay the losses and delays recorded in this file instead of those of the seed.
    #[arg(long, alias = "tape", value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Record every random loss and delay in this file, for --replay or for netem shrink.
    #[arg(
        long,
        alias = "write-tape",
        value_name = "FILE",
        conflicts_with = "seeds"
    )]
    record: Option<PathBuf>,
    /// Write every packet to this file, for Wireshark, with its contents and with its outcome in a
    /// comment.
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    pcapng: Option<PathBuf>,
    /// The folder for the results. Default: reports/SCENARIO/CLOCK-SEED in the repository. With
    /// several seeds it gets a folder for each.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the object of summary.json on standard output, one line a run, and nothing else.
    #[arg(long)]
    json: bool,
}

impl RunScenario {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let scenario = scenario::load(&self.scenario, &self.changes)?;
        let file = self.file.as_deref().map(read).transpose()?;
        let tap = self.tap()?;
        let seeds = self.seeds.clone().unwrap_or(self.seed..=self.seed);
        let several = seeds.start() != seeds.end();
        let mut worst = Exit::Ok;
        for seed in seeds {
            let plan = Plan {
                scenario: scenario.clone(),
                seed,
                clock: self.clock,
                detail: Detail::Full,
                file: file.clone(),
                tap: tap.clone(),
            };
            let folder = self.folder(&scenario.name, seed, several);
            let summary = self.run_one(&plan, &folder)?;
            if worst == Exit::Ok {
                worst = exit(&summary);
            }
        }
        self.write(tap)?;
        Ok(worst)
    }

    fn tap(&self) -> Result<Tap, CommandError> {
        if self.record.is_some() && self.clock == Clock::Real {
            let message = "--record needs --clock virtual: in real time random delay cannot be \
                           told from the machine's own";
            return Err(CommandError::Usage(message.to_owned()));
        }
        let given = self.replay.as_deref().map(read_recording).transpose()?;
        let capture = self.pcapng.as_deref().map(|path| {
            let created = Capture::create(path, 0);
            created.map_err(|error| CommandError::file(path, error))
        });
        Ok(Tap {
            replay: given,
            written: self.record.is_some().then(Arc::default),
            capture: capture.transpose()?,
        })
    }

    /// Writes the recording and the capture, once the run is over.
    fn write(&self, tap: Tap) -> Result<(), CommandError> {
        if let (Some(path), Some(written)) = (&self.record, &tap.written) {
            let recording = written.lock().unwrap_or_else(PoisonError::into_inner);
            std::fs::write(path, recording.to_string())
                .map_err(|error| CommandError::file(path, error))?;
        }
        if let (Some(path), Some(capture)) = (&self.pcapng, tap.capture) {
            let finished = capture.finish();
            finished.map_err(|error| CommandError::file(path, error))?;
        }
        Ok(())
    }

    fn folder(&self, name: &str, seed: u64, several: bool) -> PathBuf {
        match &self.out {
            Some(out) if several => out.join(format!("{}-{seed}", self.clock)),
            Some(out) => out.clone(),
            None => scenario::workspace()
                .join("reports")
                .join(name)
                .join(format!("{}-{seed}", self.clock)),
        }
    }

    fn run_one(&self, plan: &Plan, folder: &std::path::Path) -> Result<Summary, CommandError> {
        let run_progress = Arc::new(RunProgress::default());
        let label = format!(
            "{} ({}, seed {})",
            plan.scenario.name, plan.clock, plan.seed
        );
        let record = progress::watch(&label, &run_progress, || plan.run(&run_progress)).map_err(
            |source| CommandError::Run {
                command: plan.command(),
                source,
            },
        )?;
        output::write_all(folder, &record)?;
        if self.json {
            lftp_console::outln!("{}", output::json_line(&record.summary))?;
        }
        lftp_console::note!("{}", output::describe(&record, folder));
        Ok(record.summary)
    }
}

const fn exit(summary: &Summary) -> Exit {
    match (summary.intact, summary.valid) {
        (false, _) => Exit::NotIntact,
        (true, false) => Exit::Invalid,
        (true, true) => Exit::Ok,
    }
}

fn read_recording(path: &std::path::Path) -> Result<GivenRecording, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|error| CommandError::file(path, error))?;
    let recording = text
        .parse()
        .map_err(|error| CommandError::file(path, error))?;
    Ok(GivenRecording {
        path: path.display().to_string(),
        recording: Arc::new(recording),
    })
}

fn read(path: &std::path::Path) -> Result<GivenFile, CommandError> {
    let contents = std::fs::read(path).map_err(|error| CommandError::file(path, error))?;
    Ok(GivenFile {
        path: path.display().to_string(),
        contents: contents.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct CommandLine {
        #[command(flatten)]
        command: RunScenario,
    }

    /// Runs a small file over a lossy network in virtual time; the hash of what happened.
    fn run(folder: &Path, arguments: &[&str]) -> Result<String, CommandError> {
        let out = folder.join("out").display().to_string();
        let fixed = [
            "",
            "lossy-10pct",
            "--set",
            "transfer.size=40KiB",
            "--out",
            &out,
        ];
        let arguments = fixed.iter().chain(arguments);
        let command = CommandLine::try_parse_from(arguments).expect("valid arguments");
        assert_eq!(command.command.run()?, Exit::Ok);
        let summary = std::fs::read_to_string(folder.join("out/summary.json"));
        let summary: serde_json::Value =
            serde_json::from_str(&summary.expect("a summary")).expect("JSON");
        Ok(summary["trace_sha256"].as_str().expect("a hash").to_owned())
    }

    #[test]
    fn a_recording_replays_as_the_same_run_on_a_network_without_loss() {
        let folder = tempfile::tempdir().unwrap();
        let recording = folder.path().join("run.csv").display().to_string();
        let in_virtual_time = ["--clock", "virtual", "--seed"];
        let with = |more: &[&str]| {
            let arguments: Vec<&str> = in_virtual_time.iter().chain(more).copied().collect();
            run(folder.path(), &arguments).unwrap()
        };
        let written = with(&["7", "--record", &recording]);
        let text = std::fs::read_to_string(&recording).unwrap();
        assert!(
            text.contains("forward,") && text.contains("reverse,"),
            "{text}"
        );
        // Without loss of its own the network replays the recording.
        let played = with(&["7", "--replay", &recording, "--set", "network.loss=0%"]);
        assert_eq!(played, written);
        std::fs::write(&recording, "direction,index,copy,fate,value\n").unwrap();
        assert_ne!(
            with(&["7", "--replay", &recording]),
            written,
            "nothing is lost now"
        );
    }

    #[test]
    fn a_capture_has_every_packet_once_where_it_entered_and_once_where_it_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.pcapng").display().to_string();
        run(folder.path(), &["--clock", "virtual", "--pcapng", &path]).unwrap();
        let capture = std::fs::read(&path).unwrap();
        let packets = std::fs::read_to_string(folder.path().join("out/packets.csv")).unwrap();
        let rows = packets.lines().skip(1);
        let delivered = rows
            .clone()
            .filter(|row| row.contains(",delivered,"))
            .count();
        assert_eq!(enhanced_packets(&capture), rows.count() + delivered);
    }

    /// Blocks of type 6 (draft-ietf-opsawg-pcapng §4.3); each block begins with type and length.
    fn enhanced_packets(mut capture: &[u8]) -> usize {
        let word = |bytes: &[u8], at: usize| {
            u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
        };
        let mut count = 0;
        while !capture.is_empty() {
            count += usize::from(word(capture, 0) == 6);
            capture = &capture[word(capture, 4) as usize..];
        }
        count
    }

    #[test]
    fn an_impossible_request_is_refused_before_anything_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.csv").display().to_string();
        let refused = |arguments: &[&str]| run(folder.path(), arguments).unwrap_err().to_string();
        assert!(refused(&["--record", &path]).contains("--clock virtual"));
        let missing = refused(&["--clock", "virtual", "--replay", &path]);
        assert!(missing.contains("bad.csv"), "{missing}");
        std::fs::write(&path, "forward,1,0,lost,\nforward,2,0,eaten,\n").unwrap();
        let wrong = refused(&["--clock", "virtual", "--replay", &path]);
        assert!(
            wrong.contains("bad.csv: line 2") && wrong.contains("eaten"),
            "{wrong}"
        );
        let nowhere = folder.path().join("none/run.pcapng").display().to_string();
        let nowhere = refused(&["--clock", "virtual", "--pcapng", &nowhere]);
        assert!(nowhere.contains("none/run.pcapng"), "{nowhere}");
        assert!(!folder.path().join("out").exists(), "nothing ran");
        let both = ["", "x", "--seeds", "1..=2", "--record", "t"];
        assert!(CommandLine::try_parse_from(both).is_err());
    }
}
