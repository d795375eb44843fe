//! File names in the protocol: relative, with `/` between folders.
//!
//! A name is checked by whoever uses it on its own file system, and for that system: what Windows
//! reserves is an ordinary name elsewhere. A name that is refused here never reaches a file system.
//! One that passes is still used only through a rooted directory handle: this is the first of two
//! safeguards.

use std::fmt;

/// Longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 1024;

/// Longest part between two `/`, in bytes: the limit of common file systems.
pub const MAX_PART_BYTES: usize = 255;

/// Beginning and end of the name of a partial file: `.lftp-*.part`.
pub(crate) const PARTIAL_PREFIX: &str = ".lftp-";
pub(crate) const PARTIAL_SUFFIX: &str = ".part";

/// End of the name of the journal beside it: `.lftp-*.journal`.
pub(crate) const JOURNAL_SUFFIX: &str = ".journal";

/// System whose rules a name has to follow.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Linux, macOS and the like.
    Unix,
    /// Windows.
    Windows,
}

impl System {
    /// The system that this program runs on.
    const HERE: Self = if cfg!(windows) {
        Self::Windows
    } else {
        Self::Unix
    };
}

/// Name of a file or folder below a root, valid and harmless on this system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Validates a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] tells what is wrong with it.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        Self::parse_for(System::HERE, name)
    }

    fn parse_for(system: System, name: &str) -> Result<Self, NameError> {
        let fault = if name.is_empty() {
            Some(NameFault::Empty)
        } else if name.len() > MAX_NAME_BYTES {
            Some(NameFault::TooLong)
        } else if name.starts_with('/') || system == System::Windows && has_drive(name) {
            Some(NameFault::Absolute)
        } else {
            let mut parts = name.split('/');
            parts.find_map(|part| fault_of_part(part).or_else(|| system.fault_of_part(part)))
        };
        match fault {
            Some(fault) => Err(NameError::new(name, fault)),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// Validates the name of a folder: `""`, `"."` and `"/"` are the root, and a trailing `/` is
    /// ignored.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_folder(path: &str) -> Result<Option<Self>, NameError> {
        match path {
            "" | "." | "/" | "./" => Ok(None),
            path => Self::parse(path.strip_suffix('/').unwrap_or(path)).map(Some),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Splits the name at the last `/`: the folders, if any, and the last part.
    pub fn split(&self) -> (Option<&str>, &str) {
        match self.0.rsplit_once('/') {
            Some((folder, file)) => (Some(folder), file),
            None => (None, &self.0),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A refused name, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name {name:?} is refused: {fault}")]
#[non_exhaustive]
pub struct NameError {
    /// The name, truncated.
    pub name: String,
    /// Reason for the refusal.
    pub fault: NameFault,
}

impl NameError {
    fn new(name: &str, fault: NameFault) -> Self {
        Self {
            name: name.chars().take(80).collect(),
            fault,
        }
    }
}

/// Reason why a name is refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// The name is empty, or has nothing between two `/`.
    #[error("it has an empty part")]
    Empty,
    /// The name is too long as a whole or in one part.
    #[error("it is too long (at most {MAX_NAME_BYTES} bytes, {MAX_PART_BYTES} between two \"/\")")]
    TooLong,
    /// The name starts at a root or a drive.
    #[error("it must be relative; leave out the leading \"/\" or drive")]
    Absolute,
    /// The name has a part `.` or `..`.
    #[error("\".\" and \"..\" are not allowed in it")]
    Dots,
    /// The name has a control character.
    #[error("it has a control character")]
    Control,
    /// The name is not Unicode. Two such names could become one.
    #[error("it is not valid UTF-8, which names have to be to be transferred")]
    NotUtf8,
    /// The name has a character that Windows does not allow.
    #[error("it has one of the characters \\ : < > \" | ? *, which Windows does not allow")]
    Character,
    /// Windows reserves the name for a device, or drops its last dot or space.
    #[error("it is reserved on Windows (a device name, or a dot or space at the end)")]
    Reserved,
    /// The name is reserved for partial files.
    #[error("names like \".lftp-*.part\" and \".lftp-*.journal\" are reserved for partial files")]
    Partial,
}

/// Returns whether the name is that of a partial file or its journal.
pub(crate) fn is_partial(file: &str) -> bool {
    file.starts_with(PARTIAL_PREFIX)
        && (file.ends_with(PARTIAL_SUFFIX) || file.ends_with(JOURNAL_SUFFIX))
}

fn has_drive(name: &str) -> bool {
    let mut chars = name.chars();
    matches!(
        (chars.next(), chars.next()),
        (Some('A'..='Z' | 'a'..='z'), Some(':'))
    ) || name.starts_with('\\')
}

/// Checks a part by the rules of every system.
fn fault_of_part(part: &str) -> Option<NameFault> {
    if part.is_empty() {
        Some(NameFault::Empty)
    } else if part == "." || part == ".." {
        Some(NameFault::Dots)
    } else if part.len() > MAX_PART_BYTES {
        Some(NameFault::TooLong)
    } else if part.chars().any(char::is_control) {
        Some(NameFault::Control)
    } else {
        // Some file systems fold case: ".LFTP-x.PART" would name a partial file there.
        is_partial(&part.to_ascii_lowercase()).then_some(NameFault::Partial)
    }
}

impl System {
    /// Checks a part by the rules of this system.
    fn fault_of_part(self, part: &str) -> Option<NameFault> {
        match self {
            Self::Unix => None,
            Self::Windows if part.chars().any(|c| "\\:<>\"|?*".contains(c)) => {
                Some(NameFault::Character)
            }
            Self::Windows if is_reserved(part) => Some(NameFault::Reserved),
            Self::Windows => is_short_partial(part).then_some(NameFault::Partial),
        }
    }
}

/// Returns whether Windows takes the name for a device, or drops its last dot or space.
fn is_reserved(part: &str) -> bool {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let stem = part.split('.').next().unwrap_or_default();
    let stem = stem.trim_end().to_ascii_uppercase();
    let numbered = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    let is_port = numbered.is_some_and(|n| {
        matches!(
            n,
            "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
        )
    });
    is_port || DEVICES.contains(&stem.as_str()) || part.ends_with(['.', ' '])
}

/// Returns whether the name may be the short one that Windows gives a partial file beside its own:
/// `LFTP-0~1.PAR`, or `LF1A2B~1.JOU` where there are many.
fn is_short_partial(part: &str) -> bool {
    let name = part.to_ascii_uppercase();
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return false;
    };
    let Some((begin, number)) = stem.split_once('~') else {
        return false;
    };
    matches!(extension, "PAR" | "JOU")
        && begin.starts_with("LF")
        && stem.len() <= 8
        && !number.is_empty()
        && number.bytes().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    const SYSTEMS: [System; 2] = [System::Unix, System::Windows];

    fn fault_on(system: System, name: &str) -> NameFault {
        Name::parse_for(system, name).unwrap_err().fault
    }

    /// The fault that a name has on every system.
    fn fault(name: &str) -> NameFault {
        let faults = SYSTEMS.map(|system| fault_on(system, name));
        assert_eq!(faults[0], faults[1], "{name}");
        faults[0]
    }

    #[test]
    fn ordinary_names_are_accepted() {
        for name in [
            "a",
            "a.txt",
            "folder/a.txt",
            ".hidden",
            "grüße.txt",
            "a b",
            "x.part",
            "..a",
        ] {
            assert_eq!(Name::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_leave_the_root_are_refused() {
        for name in ["..", "../a", "a/../../b", "a/..", ".", "./a"] {
            assert_eq!(fault(name), NameFault::Dots, "{name}");
        }
        for name in ["/", "/etc/passwd", "//server/share"] {
            assert_eq!(fault(name), NameFault::Absolute, "{name}");
        }
        for name in ["C:/x", "c:x", "\\x", "\\\\server\\share"] {
            let fault = fault_on(System::Windows, name);
            assert_eq!(fault, NameFault::Absolute, "{name}");
        }
    }

    #[test]
    fn what_windows_reserves_is_an_ordinary_name_elsewhere() {
        let characters = ["1234.host:2,S", "a\\b", "a?", "a*", "<a>", "a|b", "\"a\""];
        let reserved = [
            "con",
            "NUL.txt",
            "a/aux.c",
            "com1.tar.gz",
            "LPT9",
            "a.",
            "a ",
            "...",
            "COM¹",
        ];
        let partial = [
            "LFTP-0~1.PAR",
            "lftp-a~2.jou",
            "a/LF1A2B~1.PAR",
            "LF12AB~9.JOU",
        ];
        for (names, expected) in [
            (&characters[..], NameFault::Character),
            (&reserved[..], NameFault::Reserved),
            (&partial[..], NameFault::Partial),
        ] {
            for name in names {
                assert_eq!(fault_on(System::Windows, name), expected, "{name}");
                assert_eq!(Name::parse_for(System::Unix, name).unwrap().as_str(), *name);
            }
        }
        for name in [
            "backup~1.par",
            "LFTP-0~1",
            "LFTP-0~x.PAR",
            "lftp-0123~1.par",
            "aux-c",
            "a. b",
        ] {
            for system in SYSTEMS {
                assert!(
                    Name::parse_for(system, name).is_ok(),
                    "{name} on {system:?}"
                );
            }
        }
    }

    #[test]
    fn names_that_are_invalid_everywhere_are_refused() {
        for name in ["a\0b", "a\nb", "\u{1b}[2J", "\u{9b}2J"] {
            assert_eq!(fault(name), NameFault::Control, "{name:?}");
        }
        for name in ["", "a//b", "a/"] {
            assert_eq!(fault(name), NameFault::Empty, "{name}");
        }
        assert_eq!(fault(&"x".repeat(MAX_PART_BYTES + 1)), NameFault::TooLong);
        assert_eq!(fault(&"x/".repeat(MAX_NAME_BYTES)), NameFault::TooLong);
        assert_eq!(fault("a/.lftp-1-2.part"), NameFault::Partial);
        assert_eq!(fault(".LFTP-1-2.PART"), NameFault::Partial);
        assert_eq!(fault("a/.lftp-1.journal"), NameFault::Partial);
    }

    #[test]
    fn a_refusal_repeats_only_the_beginning_of_a_long_name() {
        assert!(
            Name::parse(&"y".repeat(100_000))
                .unwrap_err()
                .to_string()
                .len()
                < 400
        );
    }

    #[test]
    fn the_root_folder_has_several_spellings() {
        for path in ["", ".", "/", "./"] {
            assert_eq!(Name::parse_folder(path).unwrap(), None, "{path:?}");
        }
        assert_eq!(Name::parse_folder("a/b/").unwrap().unwrap().as_str(), "a/b");
        assert!(Name::parse_folder("..").is_err());
        assert!(Name::parse_folder("/etc").is_err());
    }

    proptest! {
        #[test]
        fn an_accepted_name_has_only_ordinary_components(name in "[a./\\\\: ~\u{0}-\u{7f}]{0,12}") {
            for system in SYSTEMS {
                let parsed = Name::parse_for(system, &name);
                let is_plain = parsed.is_ok_and(|name| {
                    let mut parts = name.as_str().split('/');
                    parts.all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'))
                });
                prop_assert!(is_plain || Name::parse_for(system, &name).is_err());
            }
            if let Ok(name) = Name::parse(&name) {
                let path = Path::new(name.as_str());
                prop_assert!(path.components().all(|c| matches!(c, Component::Normal(_))));
                prop_assert!(path.is_relative());
                let (folder, file) = name.split();
                let joined = folder.map_or_else(|| file.to_owned(), |f| format!("{f}/{file}"));
                prop_assert_eq!(joined, name.as_str());
            }
        }

        #[test]
        fn any_text_is_accepted_or_refused_without_a_panic(name in any::<String>()) {
            let _ = Name::parse(&name);
            let _ = Name::parse_folder(&name);
        }
    }
}
