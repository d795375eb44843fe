//! File names in the protocol: relative, with `/` between folders, and valid on every system.
//!
//! A name that is refused here never reaches a file system. One that passes is still used only
//! through a rooted directory handle: this is the first of two safeguards.

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

/// Name of a file or folder below a root, valid and harmless on every system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Validates a name.
    ///
    /// # Errors
    ///
    /// [`NameError`] tells what is wrong with it.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let fault = if name.is_empty() {
            Some(NameFault::Empty)
        } else if name.len() > MAX_NAME_BYTES {
            Some(NameFault::TooLong)
        } else if name.starts_with('/') || has_drive(name) {
            Some(NameFault::Absolute)
        } else {
            name.split('/').find_map(fault_of_part)
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
    /// The name has a character that some system does not allow.
    #[error("it has one of the characters \\ : < > \" | ? * or a control character")]
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

fn fault_of_part(part: &str) -> Option<NameFault> {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    if part.is_empty() {
        return Some(NameFault::Empty);
    }
    if part == "." || part == ".." {
        return Some(NameFault::Dots);
    }
    if part.len() > MAX_PART_BYTES {
        return Some(NameFault::TooLong);
    }
    if part
        .chars()
        .any(|c| c.is_control() || "\\:<>\"|?*".contains(c))
    {
        return Some(NameFault::Character);
    }
    let stem = part
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end()
        .to_ascii_uppercase();
    let numbered = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    let is_port = numbered.is_some_and(|n| {
        matches!(
            n,
            "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
        )
    });
    if is_port || DEVICES.contains(&stem.as_str()) || part.ends_with(['.', ' ']) {
        return Some(NameFault::Reserved);
    }
    // Some file systems fold case: ".LFTP-x.PART" would name a partial file there.
    is_partial(&part.to_ascii_lowercase()).then_some(NameFault::Partial)
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    fn fault(name: &str) -> NameFault {
        Name::parse(name).unwrap_err().fault
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
        for name in [
            "/",
            "/etc/passwd",
            "C:/x",
            "c:x",
            "\\x",
            "\\\\server\\share",
        ] {
            assert_eq!(fault(name), NameFault::Absolute, "{name}");
        }
    }

    #[test]
    fn names_that_are_invalid_on_some_system_are_refused() {
        for name in ["a\0b", "a\nb", "a\\b", "ab:c", "a?", "\u{1b}[2J"] {
            assert_eq!(fault(name), NameFault::Character, "{name:?}");
        }
        for name in [
            "con",
            "NUL.txt",
            "a/aux",
            "com1.tar.gz",
            "LPT9",
            "a.",
            "a ",
            "COM¹",
        ] {
            assert_eq!(fault(name), NameFault::Reserved, "{name}");
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
