//! Sizes: `"64MiB"`.

use std::{fmt, str::FromStr};

use super::{
    UnitError,
    decimal::{in_units, write_in_units},
    text_form,
};

/// A number of bytes: `"64MiB"`, `"1500B"`. `kB` is 1000 bytes and `KiB` 1024 (IEC 80000-13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(pub u64);

const SIZE: &str = "a size";
const SIZE_HINT: &str = "write \"256KiB\" (B, kB, MB, GB, KiB, MiB, GiB)";
pub(crate) const SIZE_UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
/// An exbibyte.
const SIZE_MAX: u64 = 1 << 60;

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        in_units(text, SIZE, SIZE_HINT, &SIZE_UNITS, SIZE_MAX).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_in_units(
            f,
            self.0,
            &[
                ("B", 1),
                ("kB", 1_000),
                ("MB", 1_000_000),
                ("GB", 1_000_000_000),
                ("KiB", 1 << 10),
                ("MiB", 1 << 20),
                ("GiB", 1 << 30),
            ],
        )
    }
}

text_form!(Size, SIZE, SIZE_HINT);
