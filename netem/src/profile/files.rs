//! Files that a profile names: traces, schedules and tables too long to be written into it.

use std::{
    borrow::Cow,
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use toml::{
    Value,
    de::{DeTable, DeValue},
};

use super::schedule::ScheduleStep;
use crate::impair::{jitter::JitterTable, rate::MahimahiTrace};

/// The keys that name a file, and those that its contents are put under.
const KEYS: [(&str, &str, Read); 3] = [
    ("mahimahi_file", "mahimahi", mahimahi),
    ("schedule_csv", "schedule", schedule),
    ("jitter_table_file", "jitter_table", jitter_table),
];

/// Returns a file's contents as a value of TOML.
type Read = fn(&str) -> Result<Value, String>;

/// A file that a profile names and that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamedFileError {
    /// It cannot be read.
    #[error("line {line}: {key}: cannot read {}: {source}", path.display())]
    Read {
        /// The profile's line, from 1.
        line: usize,
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// Its contents are not what the key expects.
    #[error("line {line}: {key}: {}: {message}", path.display())]
    Contents {
        /// The profile's line, from 1.
        line: usize,
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The fault, and what was expected.
        message: String,
    },
    /// The key does not name a file.
    #[error("line {line}: {key}: expected the name of a file in quotes")]
    NoName {
        /// The profile's line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
    },
    /// The key that the file's contents become is given as well.
    #[error("line {line}: {key} and {other} are both given: expected one of the two")]
    Twice {
        /// The profile's line, from 1.
        line: usize,
        /// The key that names a file.
        key: &'static str,
        /// The key that the contents become.
        other: &'static str,
    },
}

/// Replaces the names of files by their contents: in the text of a scenario with a `network` table,
/// or of such a table's keys, and in its `forward` and `reverse` tables.
///
/// | key | names a file with | and becomes |
/// |---|---|---|
/// | `mahimahi_file` | a trace for mahimahi ([`MahimahiTrace`]) | `mahimahi` |
/// | `schedule_csv` | a schedule in CSV ([`ScheduleStep::from_csv`]) | `schedule` |
/// | `jitter_table_file` | a table of iproute2 ([`JitterTable`]) | `jitter_table` |
///
/// Names are relative to `folder`: the one that the text is from. Lines stay where they are, so
/// that an error of the parser names the right ones. Text that is no TOML comes back as it is.
///
/// # Errors
/// [`NamedFileError`], with the line of the name.
pub fn read_named_files<'a>(text: &'a str, folder: &Path) -> Result<Cow<'a, str>, NamedFileError> {
    // Not an error here: the parser of the profile reports it, with the same place.
    let Ok(document) = DeTable::parse(text) else {
        return Ok(text.into());
    };
    let root = document.get_ref();
    let network = table(root, "network").unwrap_or(root);
    let ways = ["forward", "reverse"].map(|way| table(network, way));
    let mut changes = Vec::new();
    for keys in ways.into_iter().flatten().chain([network]) {
        for (key, becomes, read) in KEYS {
            let Some((span, value)) = entry(keys, key) else {
                continue;
            };
            let line = 1 + text[..span.start].matches('\n').count();
            if entry(keys, becomes).is_some() {
                let other = becomes;
                return Err(NamedFileError::Twice { line, key, other });
            }
            let Some(name) = value.as_str() else {
                return Err(NamedFileError::NoName { line, key });
            };
            let path = folder.join(name);
            let contents = match fs::read_to_string(&path) {
                Ok(contents) => read(&contents),
                Err(source) => {
                    return Err(NamedFileError::Read {
                        line,
                        key,
                        path,
                        source,
                    });
                }
            };
            match contents {
                Ok(value) => changes.push((span, format!("{becomes} = {value}"))),
                Err(message) => {
                    return Err(NamedFileError::Contents {
                        line,
                        key,
                        path,
                        message,
                    });
                }
            }
        }
    }
    // From the end on, so that what is before stays where it is.
    changes.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut text = Cow::from(text);
    for (span, entry) in changes {
        text.to_mut().replace_range(span, &entry);
    }
    Ok(text)
}

fn table<'a, 'i>(keys: &'a DeTable<'i>, name: &str) -> Option<&'a DeTable<'i>> {
    entry(keys, name)?.1.as_table()
}

/// Returns a key's value, and the range of both in the text.
fn entry<'a, 'i>(keys: &'a DeTable<'i>, name: &str) -> Option<(Range<usize>, &'a DeValue<'i>)> {
    let (key, value) = keys.iter().find(|(key, _)| key.get_ref() == name)?;
    Some((key.span().start..value.span().end, value.get_ref()))
}

fn mahimahi(text: &str) -> Result<Value, String> {
    let trace: MahimahiTrace = text.parse().map_err(|error| format!("{error}"))?;
    Ok(Value::String(trace.to_string()))
}

fn jitter_table(text: &str) -> Result<Value, String> {
    let table: JitterTable = text.parse().map_err(|error| format!("{error}"))?;
    Ok(Value::String(table.to_string()))
}

fn schedule(text: &str) -> Result<Value, String> {
    let steps = ScheduleStep::from_csv(text).map_err(|error| error.to_string())?;
    Value::try_from(steps).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::NetworkProfile;

    /// A folder with a file of each kind, and one that is wrong.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, contents) in [
            ("up.trace", "1\n2\n2\n4\n"),
            (
                "drive.csv",
                "at_ms,rate_mbit,loss\n0,10,\n1500,2,5%\n2000,,0%\n",
            ),
            ("normal.dist", "# three values\n-8192 0 8192\n"),
            ("wrong.csv", "at_ms,rate_mbit\n0,10\n5,fast\n"),
            ("wrong.trace", "5\n4\n"),
        ] {
            fs::write(folder.path().join(name), contents).unwrap();
        }
        folder
    }

    fn network(text: &str) -> NetworkProfile {
        let folder = folder();
        let text = read_named_files(text, folder.path()).unwrap();
        NetworkProfile::from_toml_str(&text).unwrap()
    }

    #[test]
    fn a_files_contents_are_as_if_written_in_place() {
        let named = "delay = '5ms'\njitter = '1ms' # with a table\n\
                     jitter_distribution = 'table'\n\
                     jitter_table_file = 'normal.dist' # of iproute2\n\
                     forward = { mahimahi_file = \"up.trace\" }\nreverse.schedule_csv='drive.csv'";
        let written = "delay = '5ms'\njitter = '1ms'\njitter_distribution = 'table'\n\
                       jitter_table = '-8192 0 8192'\nforward.mahimahi = '1 2 2 4'\n\
                       [[reverse.schedule]]\nat = '0s'\nrate = '10mbit'\n\
                       [[reverse.schedule]]\nat = '1500ms'\nrate = '2mbit'\nloss = '5%'\n\
                       [[reverse.schedule]]\nat = '2s'\nloss = '0%'";
        assert_eq!(network(named), network(written));
    }

    #[test]
    fn a_scenarios_network_is_found_and_its_lines_stay() {
        let text = "description = 'mahimahi_file'\n[network.reverse]\nmahimahi_file = 'up.trace'\n\
                    [network]\nlos = '1%'\n";
        let folder = folder();
        let read = read_named_files(text, folder.path()).unwrap();
        assert_eq!(
            read.lines().nth(2),
            Some("mahimahi = \"1 2 2 4\""),
            "{read}"
        );
        assert_eq!(read.lines().nth(4), Some("los = '1%'"));
        assert_eq!(read.lines().next(), text.lines().next());
    }

    #[test]
    fn text_that_names_no_file_stays_as_it_is() {
        for text in ["delay = '5ms'", "[network]\nrate = '1mbit'", "no TOML ="] {
            let read = read_named_files(text, Path::new("nowhere")).unwrap();
            assert!(matches!(read, Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn an_error_names_the_line_the_key_and_the_file() {
        let folder = folder();
        for (text, words) in [
            (
                "delay = '1ms'\nmahimahi_file = 'down.trace'",
                &["line 2", "mahimahi_file", "down.trace", "cannot read"][..],
            ),
            (
                "[network]\n\nforward = { mahimahi_file = 'wrong.trace' }",
                &["line 3", "wrong.trace", "4 comes after 5"],
            ),
            (
                "schedule_csv = 'wrong.csv'",
                &[
                    "line 1",
                    "schedule_csv",
                    "wrong.csv",
                    "line 3",
                    "\"fastmbit\"",
                ],
            ),
            (
                "jitter_table_file = 5",
                &["line 1", "jitter_table_file", "in quotes"],
            ),
            (
                "mahimahi = '1'\nmahimahi_file = 'up.trace'",
                &["line 2", "mahimahi_file and mahimahi are both given"],
            ),
            (
                "schedule_csv = 'drive.csv'\n[[schedule]]\nat = '1s'",
                &["line 1", "schedule_csv and schedule are both given"],
            ),
        ] {
            let error = read_named_files(text, folder.path()).unwrap_err();
            let message = error.to_string();
            for word in words {
                assert!(message.contains(word), "{word:?} is not in {message:?}");
            }
        }
    }
}
