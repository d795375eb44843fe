//! Exact decimal numbers with a unit: what all quantities are parsed by.

use std::fmt;

use super::UnitError;

/// A non-negative decimal number, exact: `digits / 10^scale`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    digits: u128,
    scale: u32,
}

impl Decimal {
    /// Returns `self * factor`, rounded to a whole number; `None` beyond 64 bits.
    pub(crate) fn times(self, factor: u64) -> Option<u64> {
        let product = self.digits.checked_mul(u128::from(factor))?;
        let divisor = 10u128.pow(self.scale);
        u64::try_from((product + divisor / 2) / divisor).ok()
    }
}

/// Number of digits, fraction included, that a number may have.
const DIGITS_MAX: usize = 18;

/// Splits `text` into number and unit. `what` names the quantity and `hint` shows its units.
pub(crate) fn split<'t>(
    text: &'t str,
    what: &str,
    hint: &str,
) -> Result<(Decimal, &'t str), UnitError> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(UnitError::new(format!(
            "{what} cannot be negative, as {text:?} is"
        )));
    }
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fits = whole.len() + fraction.len() <= DIGITS_MAX;
    let joined = format!("{whole}{fraction}");
    let digits = joined.parse().ok().filter(|_| fits && !whole.is_empty());
    let Some(digits) = digits else {
        return Err(UnitError::new(format!("{text:?} is not {what}: {hint}")));
    };
    // Never a default unit: a loss of "1" would be 1 % to one reader and 100 % to another.
    if unit.is_empty() {
        return Err(UnitError::new(format!(
            "{text:?} has no unit; {what} needs one: {hint}"
        )));
    }
    let scale = fraction.len() as u32;
    Ok((Decimal { digits, scale }, unit))
}

/// Parses a quantity in one of `units`.
pub(super) fn in_units(
    text: &str,
    what: &str,
    hint: &str,
    units: &[(&str, u64)],
    max: u64,
) -> Result<u64, UnitError> {
    let (number, unit) = split(text, what, hint)?;
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(UnitError::new(format!(
            "{unit:?} is not a unit of {what}: {hint}"
        )));
    };
    let value = number.times(*factor).filter(|value| *value <= max);
    value.ok_or_else(|| UnitError::new(format!("{text:?} is above the limit of {what}")))
}

/// Writes `value` in the largest unit that divides it.
pub(super) fn write_in_units(
    f: &mut fmt::Formatter<'_>,
    value: u64,
    units: &[(&str, u64)],
) -> fmt::Result {
    let exact = |(_, factor): &&(&str, u64)| value.is_multiple_of(*factor);
    let fits = units.iter().filter(exact).max_by_key(|(_, factor)| *factor);
    match fits {
        Some((name, factor)) if value > 0 => write!(f, "{}{name}", value / factor),
        _ => write!(f, "{value}{}", units[0].0),
    }
}
