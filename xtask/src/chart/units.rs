//! Numbers for people: three figures and a unit.

/// The quantity of a number, which decides the units it is written in. The number itself is always
/// in the base unit: nanoseconds, bytes, bits a second.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// Nanoseconds.
    Time,
    /// Bytes, in powers of 1024.
    Bytes,
    /// Bits a second, in powers of 1000.
    Rate,
}

/// A unit and its size in the base unit.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Unit {
    /// Its symbol, as written after a number.
    pub name: &'static str,
    /// Its size in base units.
    pub size: f64,
}

const fn unit(name: &'static str, size: f64) -> Unit {
    Unit { name, size }
}

const TIME: [Unit; 4] = [
    unit("s", 1e9),
    unit("ms", 1e6),
    unit("µs", 1e3),
    unit("ns", 1.0),
];

const BYTES: [Unit; 5] = [
    unit("TiB", 1_099_511_627_776.0),
    unit("GiB", 1_073_741_824.0),
    unit("MiB", 1_048_576.0),
    unit("KiB", 1_024.0),
    unit("B", 1.0),
];

const RATE: [Unit; 4] = [
    unit("Gbit/s", 1e9),
    unit("Mbit/s", 1e6),
    unit("kbit/s", 1e3),
    unit("bit/s", 1.0),
];

impl Quantity {
    /// Returns the largest unit of which `value` is at least one.
    #[must_use]
    pub(crate) fn unit(self, value: f64) -> Unit {
        let units: &[Unit] = match self {
            Self::Time => &TIME,
            Self::Bytes => &BYTES,
            Self::Rate => &RATE,
        };
        // Below the smallest unit the number is a fraction of that.
        let fits = units.iter().find(|unit| value >= unit.size);
        *fits.unwrap_or(&units[units.len() - 1])
    }

    /// Formats `value` with three figures, in the unit that suits it.
    #[must_use]
    pub(crate) fn text(self, value: f64) -> String {
        let mut unit = self.unit(value);
        let mut number = three_figures(value / unit.size);
        // 999.96 ms is better written as 1 s.
        let next = self.unit(number.parse::<f64>().unwrap_or(0.0) * unit.size);
        if next != unit {
            unit = next;
            number = three_figures(value / unit.size);
        }
        join(&number, unit)
    }
}

/// Joins a number and its unit by a space that does not break.
pub(super) fn join(number: &str, unit: Unit) -> String {
    format!("{number}\u{a0}{}", unit.name)
}

/// Formats a number with three figures, without trailing zeros.
fn three_figures(value: f64) -> String {
    let decimals = match value.abs() {
        // Decided after rounding: 99.96 is written as 100, not as 100.0.
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    trim(&format!("{value:.decimals$}"))
}

/// Removes trailing zeros behind the point.
pub(super) fn trim(number: &str) -> String {
    if !number.contains('.') {
        return number.to_owned();
    }
    number
        .trim_end_matches('0')
        .trim_end_matches('.')
        .to_owned()
}

/// Formats nanoseconds.
#[must_use]
pub(crate) fn time(ns: u64) -> String {
    Quantity::Time.text(ns as f64)
}

/// Formats bytes.
#[must_use]
pub(crate) fn bytes(bytes: u64) -> String {
    Quantity::Bytes.text(bytes as f64)
}

/// Formats bits a second.
#[must_use]
pub(crate) fn rate(bps: u64) -> String {
    Quantity::Rate.text(bps as f64)
}

/// Formats a share of one as a percentage.
#[must_use]
pub(crate) fn percent(ratio: f64) -> String {
    format!("{}\u{a0}%", trim(&format!("{:.1}", ratio * 100.0)))
}

/// Formats a count with its thousands separated.
#[must_use]
pub(crate) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        // From the end: groups of three start at the last digit.
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a count and its noun.
#[must_use]
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_figures_and_the_unit_that_suits() {
        assert_eq!(time(40_000_000), "40\u{a0}ms");
        assert_eq!(time(1_234_567_890), "1.23\u{a0}s");
        assert_eq!(time(0), "0\u{a0}ns");
        assert_eq!(bytes(64 << 20), "64\u{a0}MiB");
        assert_eq!(bytes(500_000), "488\u{a0}KiB");
        assert_eq!(rate(93_240_000), "93.2\u{a0}Mbit/s");
        assert_eq!(percent(0.9526), "95.3\u{a0}%");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(123), "123");
        assert_eq!(counted(1, "loss", "losses"), "1 loss");
    }

    #[test]
    fn a_number_that_rounds_up_to_the_next_unit_is_told_in_it() {
        assert_eq!(time(999_960_000), "1\u{a0}s");
        assert_eq!(rate(999_999), "1\u{a0}Mbit/s");
        assert_eq!(time(99_960_000), "100\u{a0}ms");
    }
}
