//! The format of the authorized keys file: the rights of each client's key.
//!
//! ```text
//! # comment
//! read,write root=alice quota=10GiB entries=100000 KEY Alice's laptop
//! read root="/srv/public files" KEY
//! ```
//!
//! The options come first, in any order, then the key, then an optional comment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lftp_ftp::{Name, Rights};
use lftp_transport::PublicKey;

/// Longest part of a bad line that its error repeats, in characters.
const MAX_SHOWN: usize = 80;

/// The rights of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) rights: Rights,
    pub(crate) root: Root,
    /// Limit for all files of the root together.
    pub(crate) quota: Option<Quota>,
    /// Limit for the number of files and folders, if there is a quota.
    pub(crate) entries: Option<u64>,
    pub(crate) key: PublicKey,
    pub(crate) comment: String,
    /// Line number in the file, from 1.
    pub(crate) line: usize,
}

/// The folder that is a client's root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// The shared folder.
    Shared,
    /// A folder inside the shared folder.
    Inside(Name),
    /// A folder outside of it.
    External(PathBuf),
}

/// A number of bytes, written with or without a unit.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quota(pub(crate) u64);

/// A line that cannot be parsed.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {fault}")]
pub(crate) struct BadLine {
    line: usize,
    fault: String,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = match &self.root {
            Root::Shared => None,
            Root::Inside(name) => Some(name.to_string()),
            Root::External(path) => Some(path.display().to_string()),
        };
        write!(f, "{}", self.rights)?;
        match root {
            Some(root) if root.contains(char::is_whitespace) => write!(f, " root=\"{root}\"")?,
            Some(root) => write!(f, " root={root}")?,
            None => {}
        }
        if let Some(Quota(bytes)) = self.quota {
            write!(f, " quota={bytes}")?;
        }
        if let Some(entries) = self.entries {
            write!(f, " entries={entries}")?;
        }
        write!(f, " {}", self.key)?;
        if !self.comment.is_empty() {
            write!(f, " {}", self.comment)?;
        }
        Ok(())
    }
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("expected quota=BYTES, for instance 500MB or 10GiB, found {text:?}");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit: u64 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            _ => return Err(fault()),
        };
        let number: u64 = number.parse().map_err(|_| fault())?;
        number.checked_mul(unit).map(Self).ok_or_else(fault)
    }
}

impl FromStr for Root {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Only the administrator writes this file, so a root may lie outside the shared folder.
        if Path::new(text).is_absolute() {
            return Ok(Self::External(text.into()));
        }
        if text.is_empty() {
            return Err("expected root=FOLDER, found an empty root".to_owned());
        }
        let name = Name::parse_folder(text).map_err(|error| format!("root: {error}"))?;
        Ok(name.map_or(Self::Shared, Self::Inside))
    }
}

/// Parses the lines of a file. A bad line is returned beside the rules of all others: an error on
/// one line must neither admit the key of another that was removed nor refuse one that is listed.
/// A key may stand on one line only, of which the first holds.
pub(crate) fn parse(text: &str) -> (Vec<Rule>, Vec<BadLine>) {
    let mut rules: Vec<Rule> = Vec::new();
    let mut bad_lines = Vec::new();
    for (text, line) in text.lines().zip(1..) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let parsed = rule(text, line).and_then(|rule| {
            let other = rules.iter().find(|other| other.key == rule.key);
            other.map_or(Ok(rule), |other| {
                Err(format!("the key is already on line {}", other.line))
            })
        });
        match parsed {
            Ok(rule) => rules.push(rule),
            Err(fault) => bad_lines.push(BadLine { line, fault }),
        }
    }
    (rules, bad_lines)
}

fn rule(text: &str, line: usize) -> Result<Rule, String> {
    let (mut rights, mut root, mut quota, mut entries) = (None, None, None, None);
    let mut rest = text;
    loop {
        let (word, remainder) = split_word(rest)?;
        if word.is_empty() {
            return Err("expected a key of 64 hexadecimal digits after the options".to_owned());
        }
        rest = remainder;
        // The key ends the options; everything behind it is the comment.
        if let Ok(key) = word.parse() {
            if entries.is_some() && quota.is_none() {
                return Err("expected quota=BYTES beside entries=NUMBER".to_owned());
            }
            return Ok(Rule {
                rights: rights.ok_or("expected read, write or rw before the key")?,
                root: root.unwrap_or(Root::Shared),
                quota,
                entries,
                key,
                comment: rest.to_owned(),
                line,
            });
        }
        let is_repeated = if let Some(value) = word.strip_prefix("root=") {
            root.replace(value.parse()?).is_some()
        } else if let Some(value) = word.strip_prefix("quota=") {
            quota.replace(value.parse()?).is_some()
        } else if let Some(value) = word.strip_prefix("entries=") {
            let number: Result<u64, _> = value.parse();
            let shown: String = word.chars().take(MAX_SHOWN).collect();
            let number = number.map_err(|_| format!("expected entries=NUMBER, found {shown:?}"))?;
            entries.replace(number).is_some()
        } else if let Ok(value) = word.parse() {
            rights.replace(value).is_some()
        } else {
            let shown: String = word.chars().take(MAX_SHOWN).collect();
            return Err(format!(
                "expected read, write, rw, root=FOLDER, quota=BYTES, entries=NUMBER or a key of 64 \
                 hexadecimal digits, found {shown:?}"
            ));
        };
        if is_repeated {
            let shown: String = word.chars().take(MAX_SHOWN).collect();
            return Err(format!("expected each option once, found {shown:?} again"));
        }
    }
}

/// Splits off the first word. Between quotation marks, space is part of a word.
fn split_word(text: &str) -> Result<(String, &str), String> {
    let mut word = String::new();
    let mut is_quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            c if c.is_whitespace() && !is_quoted => return Ok((word, text[at..].trim_start())),
            c => word.push(c),
        }
    }
    if is_quoted {
        return Err("expected a closing quotation mark".to_owned());
    }
    Ok((word, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

    #[test]
    fn a_line_has_options_a_key_and_a_comment() {
        let text = format!(
            "# clients\n\nread,write root=alice quota=10GiB {KEY} Alice's \"old\" laptop\n\
             root=\"my files/b\" write {}\n",
            KEY.replace("aa", "bb")
        );
        let (rules, bad_lines) = parse(&text);
        assert_eq!((rules.len(), bad_lines.len()), (2, 0));
        assert_eq!(rules[0].rights, Rights::ALL);
        assert_eq!(rules[0].root, Root::Inside(Name::parse("alice").unwrap()));
        assert_eq!(rules[0].quota, Some(Quota(10 << 30)));
        assert_eq!(rules[0].comment, "Alice's \"old\" laptop");
        assert_eq!((rules[0].line, rules[1].line), (3, 4));
        assert_eq!(rules[1].root, "my files/b".parse().unwrap());
        assert!(rules[1].rights.write && !rules[1].rights.read);
    }

    #[test]
    fn an_error_names_its_line() {
        for (line, expected) in [
            ("rw", "expected a key"),
            ("KEY", "expected read, write or rw"),
            ("rx KEY", "found \"rx\""),
            ("rw root=../up KEY", "\"..\""),
            ("rw root= KEY", "found an empty root"),
            ("rw quota=10furlongs KEY", "10furlongs"),
            ("rw quota=99999999TiB KEY", "99999999TiB"),
            ("rw quota=-1 KEY", "-1"),
            ("rw quota=1GB entries=1e6 KEY", "1e6"),
            ("rw entries=7 KEY", "expected quota=BYTES"),
            ("rw read KEY", "again"),
            ("rw root=\"a KEY", "quotation mark"),
            ("rw 00ff", "found \"00ff\""),
        ] {
            let good = KEY.replace("aa", "bb");
            let text = format!("#\n{}\nread {good}\n", line.replace("KEY", KEY));
            let (rules, bad_lines) = parse(&text);
            // The line is skipped, and the one after it holds.
            assert_eq!((rules.len(), rules[0].line), (1, 3), "{line}");
            let [error] = &bad_lines[..] else {
                panic!("{bad_lines:?}");
            };
            let error = error.to_string();
            assert!(error.starts_with("line 2: "), "{error}");
            assert!(error.contains(expected), "{error}");
        }
        let twice = format!("rw {KEY}\nread {KEY}\n");
        let (rules, bad_lines) = parse(&twice);
        assert_eq!((rules.len(), rules[0].rights), (1, Rights::ALL));
        let error = bad_lines[0].to_string();
        assert_eq!(error, "line 2: the key is already on line 1");
    }

    fn rights() -> impl Strategy<Value = Rights> {
        prop_oneof![Just("read"), Just("write"), Just("rw")].prop_map(|text| text.parse().unwrap())
    }

    fn root() -> impl Strategy<Value = Root> {
        prop_oneof![
            Just(Root::Shared),
            "[a-z0-9 é#=-]{0,6}[a-z](/[a-z ]{0,5}[a-z]){0,2}"
                .prop_filter_map("a name", |name| Name::parse(&name).ok())
                .prop_map(Root::Inside),
            "/[a-z /]{0,12}".prop_map(|path| Root::External(path.into())),
        ]
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_rejected_without_a_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn nearly_valid_text_is_parsed_or_rejected_without_a_panic(
            words in prop::collection::vec(prop_oneof![
                Just("read".to_owned()), Just("root=".to_owned()), Just("quota=1".to_owned()),
                Just("\"".to_owned()), Just("\n".to_owned()), Just(KEY.to_owned()), ".{0,3}",
            ], 0..12),
        ) {
            let _ = parse(&words.join(" "));
        }

        #[test]
        fn lines_survive_a_round_trip(
            rules in prop::collection::btree_map(any::<[u8; 32]>(),
                (rights(), root(), prop::option::of(any::<u64>()), "([a-z\"'#]{1,5}( [a-z]{1,3})?)?"),
                0..6),
        ) {
            let rules: Vec<Rule> = rules.into_iter().zip(1..).map(|((key, rule), line)| Rule {
                rights: rule.0,
                root: rule.1,
                quota: rule.2.map(Quota),
                entries: rule.2.filter(|bytes| bytes % 2 == 0),
                key: PublicKey::from_bytes(key),
                comment: rule.3,
                line,
            }).collect();
            let text: String = rules.iter().map(|rule| format!("{rule}\n")).collect();
            let (parsed, bad_lines) = parse(&text);
            prop_assert!(bad_lines.is_empty());
            prop_assert_eq!(parsed, rules);
        }
    }
}
