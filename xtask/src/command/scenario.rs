//! `cargo xtask scenario`: the main job.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use lftp_transport::Congestion;

use super::{CommandError, parse_seeds};
use crate::exit::Exit;
use crate::output;
use crate::progress;
use crate::record::Detail;
use crate::rows::Summary;
use crate::run::{Capture, Clock, GivenFile, GivenTape, Plan, Steps, Tap};
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

/// Run a scenario: carry a file through its network, and leave traces and charts.
#[derive(Debug, clap::Args)]
#[command(after_help = after_help())]
pub(super) struct RunScenario {
    /// A name from `cargo xtask list`, or a file that ends in .toml.
    #[arg(value_name = "NAME|FILE.toml")]
    scenario: String,
    /// Which time passes.
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
    /// Carry this file instead of a made-up one.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Let chance do what is on this tape, and nothing else, instead of what the seed says.
    #[arg(long, value_name = "FILE")]
    tape: Option<PathBuf>,
    /// Write what chance did to this file, to be played with --tape or shrunk with netem shrink.
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    write_tape: Option<PathBuf>,
    /// Write every packet, with its contents and in a comment what became of it, to this file,
    /// for Wireshark.
    #[arg(long, value_name = "FILE", conflicts_with = "seeds")]
    pcapng: Option<PathBuf>,
    /// Where the results go. Default: reports/SCENARIO/CLOCK-SEED in the repository. With
    /// several seeds, a folder for each in here.
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
        if self.write_tape.is_some() && self.clock == Clock::Real {
            let words = "--write-tape wants --clock virtual: what chance did in real time cannot \
                         be told from what the machine did";
            return Err(CommandError::Usage(words.to_owned()));
        }
        let given = self.tape.as_deref().map(read_tape).transpose()?;
        let capture = self.pcapng.as_deref().map(|path| {
            let created = Capture::create(path, 0);
            created.map_err(|error| CommandError::file(path, error))
        });
        Ok(Tap {
            tape: given,
            written: self.write_tape.is_some().then(Arc::default),
            capture: capture.transpose()?,
        })
    }

    /// The files of the tap, once the run is over.
    fn write(&self, tap: Tap) -> Result<(), CommandError> {
        if let (Some(path), Some(written)) = (&self.write_tape, &tap.written) {
            let tape = written.lock().unwrap_or_else(PoisonError::into_inner);
            std::fs::write(path, tape.to_string())
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
        let steps = Arc::new(Steps::default());
        let label = format!(
            "{} ({}, seed {})",
            plan.scenario.name, plan.clock, plan.seed
        );
        let record = progress::watch(&label, &steps, || plan.run(&steps)).map_err(|source| {
            CommandError::Run {
                command: plan.command(),
                source,
            }
        })?;
        output::write_all(folder, &record)?;
        if self.json {
            println!("{}", output::json_line(&record.summary));
        }
        eprint!("{}", output::in_words(&record, folder));
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

fn read_tape(path: &std::path::Path) -> Result<GivenTape, CommandError> {
    let text = std::fs::read_to_string(path).map_err(|error| CommandError::file(path, error))?;
    let tape = text
        .parse()
        .map_err(|error| CommandError::file(path, error))?;
    Ok(GivenTape {
        path: path.display().to_string(),
        tape: Arc::new(tape),
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
    struct Words {
        #[command(flatten)]
        command: RunScenario,
    }

    /// Runs a small file over a lossy network in virtual time; the hash of what happened.
    fn run(folder: &Path, words: &[&str]) -> Result<String, CommandError> {
        let out = folder.join("out").display().to_string();
        let fixed = [
            "",
            "lossy-10pct",
            "--set",
            "transfer.size=40KiB",
            "--out",
            &out,
        ];
        let words = fixed.iter().chain(words);
        let command = Words::try_parse_from(words).expect("words that fit together");
        assert_eq!(command.command.run()?, Exit::Ok);
        let summary = std::fs::read_to_string(folder.join("out/summary.json"));
        let summary: serde_json::Value =
            serde_json::from_str(&summary.expect("a summary")).expect("JSON");
        Ok(summary["trace_sha256"].as_str().expect("a hash").to_owned())
    }

    #[test]
    fn a_tape_that_was_written_makes_the_same_run_with_another_network_and_no_chance() {
        let folder = tempfile::tempdir().unwrap();
        let tape = folder.path().join("run.tape").display().to_string();
        let virtually = ["--clock", "virtual", "--seed"];
        let with = |more: &[&str]| {
            let words: Vec<&str> = virtually.iter().chain(more).copied().collect();
            run(folder.path(), &words).unwrap()
        };
        let written = with(&["7", "--write-tape", &tape]);
        let text = std::fs::read_to_string(&tape).unwrap();
        assert!(
            text.contains("forward,") && text.contains("reverse,"),
            "{text}"
        );
        // Without loss of its own the network does what the tape says.
        let played = with(&["7", "--tape", &tape, "--set", "network.loss=0%"]);
        assert_eq!(played, written);
        std::fs::write(&tape, "direction,index,copy,fate,value\n").unwrap();
        assert_ne!(
            with(&["7", "--tape", &tape]),
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
    fn what_cannot_be_is_told_before_anything_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.tape").display().to_string();
        let told = |words: &[&str]| run(folder.path(), words).unwrap_err().to_string();
        assert!(told(&["--write-tape", &path]).contains("--clock virtual"));
        let missing = told(&["--clock", "virtual", "--tape", &path]);
        assert!(missing.contains("bad.tape"), "{missing}");
        std::fs::write(&path, "forward,1,0,lost,\nforward,2,0,eaten,\n").unwrap();
        let wrong = told(&["--clock", "virtual", "--tape", &path]);
        assert!(
            wrong.contains("bad.tape: line 2") && wrong.contains("eaten"),
            "{wrong}"
        );
        let nowhere = folder.path().join("none/run.pcapng").display().to_string();
        let nowhere = told(&["--clock", "virtual", "--pcapng", &nowhere]);
        assert!(nowhere.contains("none/run.pcapng"), "{nowhere}");
        assert!(!folder.path().join("out").exists(), "nothing ran");
        let both = ["", "x", "--seeds", "1..=2", "--write-tape", "t"];
        assert!(Words::try_parse_from(both).is_err());
    }
}
