//! `cargo xtask diff`: where two runs part.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use csv::StringRecord;

use super::CommandError;
use crate::exit::Exit;

/// What is compared, the network first: a state differs because of what was sent or arrived.
const FILES: [&str; 2] = ["packets.csv", "trace.csv"];

/// The column of times, in both files.
const TIME: &str = "t_ns";

/// Find the first packet or state in which two runs differ.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A run is its folder: reports/lossy-10pct/virtual-7. Runs in virtual time that \
    are the same have the same rows to the last digit. Exit codes: 0 they are the same, 7 they are \
    not."
)]
pub(super) struct Diff {
    /// The folder of one run.
    #[arg(value_name = "RUN")]
    left: PathBuf,
    /// The folder of the other.
    #[arg(value_name = "RUN")]
    right: PathBuf,
    /// Rows shown before the first difference, and after it.
    #[arg(long, default_value_t = 3, value_name = "ROWS")]
    context: usize,
}

/// Where two files part.
#[derive(Debug, PartialEq)]
struct Parting {
    header: StringRecord,
    /// Rows before it, the same in both.
    before: VecDeque<StringRecord>,
    /// How many there are in all.
    same: u64,
    /// The first rows that differ and some after them; shorter where a file ends.
    sides: [Vec<StringRecord>; 2],
}

impl Diff {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let mut first: Option<(&str, Parting)> = None;
        for file in FILES {
            let paths = [self.left.join(file), self.right.join(file)];
            let Some(parting) = part(&paths, self.context)? else {
                println!("{file}: the same");
                continue;
            };
            println!("{file}: the same for {} rows, then not", parting.same);
            let earlier = first
                .as_ref()
                .is_none_or(|(_, known)| parting.time() < known.time());
            if earlier {
                first = Some((file, parting));
            }
        }
        let Some((file, parting)) = first else {
            return Ok(Exit::Ok);
        };
        print!("\n{}", parting.in_words(file));
        Ok(Exit::Differs)
    }
}

/// Reads two files side by side up to the first rows that differ.
fn part(paths: &[PathBuf; 2], context: usize) -> Result<Option<Parting>, CommandError> {
    let [mut left, mut right] = [open(&paths[0])?, open(&paths[1])?];
    let header = left.headers().map_err(fault(&paths[0]))?.clone();
    if header != *right.headers().map_err(fault(&paths[1]))? {
        return Err(CommandError::Usage(format!(
            "{} and {} have other columns: they are of different versions",
            paths[0].display(),
            paths[1].display()
        )));
    }
    let [mut left, mut right] = [left.records(), right.records()];
    let mut before = VecDeque::new();
    let mut same = 0;
    loop {
        let rows = [
            left.next().transpose().map_err(fault(&paths[0]))?,
            right.next().transpose().map_err(fault(&paths[1]))?,
        ];
        match rows {
            [None, None] => return Ok(None),
            [Some(a), Some(b)] if a == b => {
                same += 1;
                before.push_back(a);
                if before.len() > context {
                    before.pop_front();
                }
            }
            [a, b] => {
                let after = |row: Option<StringRecord>, rest: csv::StringRecordsIter<'_, _>| {
                    row.into_iter()
                        .chain(rest.filter_map(Result::ok).take(context))
                        .collect()
                };
                return Ok(Some(Parting {
                    header,
                    before,
                    same,
                    sides: [after(a, left), after(b, right)],
                }));
            }
        }
    }
}

fn open(path: &Path) -> Result<csv::Reader<std::fs::File>, CommandError> {
    csv::Reader::from_path(path).map_err(fault(path))
}

fn fault(path: &Path) -> impl Fn(csv::Error) -> CommandError {
    move |error| CommandError::file(path, error)
}

impl Parting {
    /// When the first of the differing rows is, ns.
    fn time(&self) -> u64 {
        let column = self.header.iter().position(|name| name == TIME);
        let time = |row: &StringRecord| row.get(column?)?.parse().ok();
        let first = |side: &Vec<StringRecord>| side.first().and_then(time);
        self.sides
            .iter()
            .filter_map(first)
            .min()
            .unwrap_or(u64::MAX)
    }

    fn in_words(&self, file: &str) -> String {
        let seconds = self.time() as f64 / 1e9;
        let mut words = format!("{file}, row {}, at {seconds:.9} s:\n", self.same + 1);
        for row in &self.before {
            words += &format!("    {}\n", self.row(row));
        }
        for (sign, side) in ["<", ">"].into_iter().zip(&self.sides) {
            for row in side {
                words += &format!("  {sign} {}\n", self.row(row));
            }
            if side.is_empty() {
                words += &format!("  {sign} (ends here)\n");
            }
        }
        if let [Some(left), Some(right)] = [self.sides[0].first(), self.sides[1].first()] {
            words += "the difference:";
            for ((name, a), b) in self.header.iter().zip(left).zip(right) {
                if a != b {
                    words += &format!(" {name} {a:?} | {b:?}");
                }
            }
            words += "\n";
        }
        words
    }

    /// A row, without what is unknown in it.
    fn row(&self, row: &StringRecord) -> String {
        let known = self.header.iter().zip(row).filter(|(_, v)| !v.is_empty());
        let named: Vec<String> = known.map(|(name, v)| format!("{name}={v}")).collect();
        named.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parting(left: &str, right: &str) -> Option<Parting> {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["left.csv", "right.csv"].map(|name| folder.path().join(name));
        std::fs::write(&paths[0], left).unwrap();
        std::fs::write(&paths[1], right).unwrap();
        part(&paths, 1).unwrap()
    }

    #[test]
    fn equal_files_do_not_part() {
        let rows = "t_ns,fate\n1,delivered\n2,lost\n";
        assert_eq!(parting(rows, rows), None);
    }

    #[test]
    fn the_first_difference_is_shown_with_what_is_around_it() {
        let parting = parting(
            "t_ns,fate\n1,delivered\n2,delivered\n3,delivered\n4,\n",
            "t_ns,fate\n1,delivered\n2,delivered\n3,lost\n",
        );
        let words = parting.unwrap().in_words("packets.csv");
        assert!(words.starts_with("packets.csv, row 3, at 0.000000003 s:"));
        assert!(words.contains("\n    t_ns=2 fate=delivered\n"));
        assert!(!words.contains("t_ns=1 "), "{words}");
        assert!(words.contains("\n  < t_ns=3 fate=delivered\n  < t_ns=4\n"));
        assert!(words.contains("\n  > t_ns=3 fate=lost\n"));
        assert!(words.contains("the difference: fate \"delivered\" | \"lost\""));
    }

    #[test]
    fn a_run_that_ends_sooner_parts_there() {
        let parting = parting("t_ns,fate\n1,delivered\n", "t_ns,fate\n").unwrap();
        assert!(parting.in_words("trace.csv").contains("> (ends here)"));
    }
}
