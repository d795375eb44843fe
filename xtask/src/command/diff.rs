//! `cargo xtask diff`: the first difference of two runs.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use csv::StringRecord;

use crate::error::CommandError;
use crate::exit::Exit;

/// The files compared, the network first: a state differs because of what was sent or received.
const FILES: [&str; 2] = ["packets.csv", "trace.csv"];

/// The column of times in both files.
const TIME: &str = "t_ns";

/// Find the first packet or state in which two runs differ.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A run is given by its folder: reports/lossy-10pct/virtual-7. Equal runs in virtual \
    time have the same rows to the last digit. Exit codes: 0 the runs are equal, 7 they differ."
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

/// The first difference of two files.
#[derive(Debug, PartialEq)]
struct Difference {
    header: StringRecord,
    /// The rows before it, equal in both.
    before: VecDeque<StringRecord>,
    /// The number of equal rows before it.
    same: u64,
    /// The first row that differs and some after it; shorter where a file ends.
    sides: [Vec<StringRecord>; 2],
}

impl Diff {
    pub(super) fn run(self) -> Result<Exit, CommandError> {
        let mut first: Option<(&str, Difference)> = None;
        for file in FILES {
            let paths = [self.left.join(file), self.right.join(file)];
            let Some(difference) = compare(&paths, self.context)? else {
                lftp_console::outln!("{file}: equal")?;
                continue;
            };
            lftp_console::outln!("{file}: equal for {} rows, then different", difference.same)?;
            let earlier = first
                .as_ref()
                .is_none_or(|(_, known)| difference.time() < known.time());
            if earlier {
                first = Some((file, difference));
            }
        }
        let Some((file, difference)) = first else {
            return Ok(Exit::Ok);
        };
        lftp_console::out!("\n{}", difference.describe(file))?;
        Ok(Exit::Differs)
    }
}

/// Reads two files side by side up to the first row that differs.
fn compare(paths: &[PathBuf; 2], context: usize) -> Result<Option<Difference>, CommandError> {
    let [mut left, mut right] = [open(&paths[0])?, open(&paths[1])?];
    let header = left.headers().map_err(fault(&paths[0]))?.clone();
    if header != *right.headers().map_err(fault(&paths[1]))? {
        return Err(CommandError::Usage(format!(
            "{} and {} have different columns: they were written by different versions",
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
                return Ok(Some(Difference {
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

impl Difference {
    /// The time of the first row that differs, ns.
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

    fn describe(&self, file: &str) -> String {
        let seconds = self.time() as f64 / 1e9;
        let mut text = format!("{file}, row {}, at {seconds:.9} s:\n", self.same + 1);
        for row in &self.before {
            text += &format!("    {}\n", self.row(row));
        }
        for (sign, side) in ["<", ">"].into_iter().zip(&self.sides) {
            for row in side {
                text += &format!("  {sign} {}\n", self.row(row));
            }
            if side.is_empty() {
                text += &format!("  {sign} (ends here)\n");
            }
        }
        if let [Some(left), Some(right)] = [self.sides[0].first(), self.sides[1].first()] {
            text += "the difference:";
            for ((name, a), b) in self.header.iter().zip(left).zip(right) {
                if a != b {
                    text += &format!(" {name} {a:?} | {b:?}");
                }
            }
            text += "\n";
        }
        text
    }

    /// A row without its empty cells.
    fn row(&self, row: &StringRecord) -> String {
        let known = self.header.iter().zip(row).filter(|(_, v)| !v.is_empty());
        let named: Vec<String> = known.map(|(name, v)| format!("{name}={v}")).collect();
        named.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(left: &str, right: &str) -> Option<Difference> {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["left.csv", "right.csv"].map(|name| folder.path().join(name));
        std::fs::write(&paths[0], left).unwrap();
        std::fs::write(&paths[1], right).unwrap();
        compare(&paths, 1).unwrap()
    }

    #[test]
    fn equal_files_do_not_differ() {
        let rows = "t_ns,fate\n1,delivered\n2,lost\n";
        assert_eq!(difference(rows, rows), None);
    }

    #[test]
    fn the_first_difference_is_shown_with_what_is_around_it() {
        let difference = difference(
            "t_ns,fate\n1,delivered\n2,delivered\n3,delivered\n4,\n",
            "t_ns,fate\n1,delivered\n2,delivered\n3,lost\n",
        );
        let text = difference.unwrap().describe("packets.csv");
        assert!(text.starts_with("packets.csv, row 3, at 0.000000003 s:"));
        assert!(text.contains("\n    t_ns=2 fate=delivered\n"));
        assert!(!text.contains("t_ns=1 "), "{text}");
        assert!(text.contains("\n  < t_ns=3 fate=delivered\n  < t_ns=4\n"));
        assert!(text.contains("\n  > t_ns=3 fate=lost\n"));
        assert!(text.contains("the difference: fate \"delivered\" | \"lost\""));
    }

    #[test]
    fn a_run_that_ends_sooner_parts_there() {
        let difference = difference("t_ns,fate\n1,delivered\n", "t_ns,fate\n").unwrap();
        assert!(difference.describe("trace.csv").contains("> (ends here)"));
    }
}
