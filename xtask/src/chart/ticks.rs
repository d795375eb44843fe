//! Round numbers along an axis.

use super::picture::Axis;
use super::units::{join, trim};

/// A position on an axis and its label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// The position, in the base unit.
    pub at: f64,
    /// The label with its unit; a plain `0` at the origin.
    pub label: String,
}

/// Returns ticks along an axis, about `wanted` of them, a step of 1, 2, 2.5 or 5 times a power of ten
/// apart in the unit that suits the whole axis.
#[must_use]
pub(crate) fn ticks(axis: Axis, wanted: u32) -> Vec<Tick> {
    let Axis { quantity, min, max } = axis;
    // An empty picture has no scale.
    if !max.is_finite() || max <= min {
        return vec![Tick {
            at: 0.0,
            label: "0".to_owned(),
        }];
    }
    let unit = quantity.unit(max);
    let (least, most) = (min / unit.size, max / unit.size);
    let (step, decimals) = step((most - least) / f64::from(wanted.max(1)));
    // A hair more than the axis, so that rounding loses no tick at its very ends.
    let first = (least / step - 1e-9).ceil() as u64;
    let last = (most / step + 1e-9).floor() as u64;
    (first..=last)
        .map(|index| {
            let value = index as f64 * step;
            let label = match index {
                0 => "0".to_owned(),
                _ => join(&trim(&format!("{value:.decimals$}")), unit),
            };
            Tick {
                at: value * unit.size,
                label,
            }
        })
        .collect()
}

/// Returns the round step at or soon above what is wanted, and the decimals that it needs.
fn step(wanted: f64) -> (f64, usize) {
    for exponent in -9..=12_i32 {
        let power = 10_f64.powi(exponent);
        for (factor, extra) in [(1.0, 0), (2.0, 0), (2.5, 1), (5.0, 0)] {
            let step = factor * power;
            // A little less than wanted is as good: one tick more, and a rounder step.
            if step >= wanted * 0.85 {
                return (step, usize::try_from(extra - exponent).unwrap_or(0));
            }
        }
    }
    (wanted, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::units::Quantity;

    fn labels(quantity: Quantity, max: f64, wanted: u32) -> Vec<String> {
        let ticks = ticks(Axis::from_zero(quantity, max), wanted);
        ticks
            .into_iter()
            .map(|tick| tick.label.replace('\u{a0}', " "))
            .collect()
    }

    #[test]
    fn steps_are_round_and_share_one_unit() {
        let rates = [
            "0",
            "20 Mbit/s",
            "40 Mbit/s",
            "60 Mbit/s",
            "80 Mbit/s",
            "100 Mbit/s",
        ];
        assert_eq!(labels(Quantity::Rate, 104e6, 5), rates);
        assert_eq!(labels(Quantity::Time, 1.3e9, 3), ["0", "0.5 s", "1 s"]);
        let sizes = ["0", "200 KiB", "400 KiB", "600 KiB"];
        assert_eq!(labels(Quantity::Bytes, 700.0 * 1024.0, 4), sizes);
    }

    #[test]
    fn an_axis_may_begin_anywhere() {
        let axis = Axis {
            quantity: Quantity::Time,
            min: 10.12e9,
            max: 10.28e9,
        };
        let labels: Vec<String> = ticks(axis, 3).into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["10.15\u{a0}s", "10.2\u{a0}s", "10.25\u{a0}s"]);
    }

    #[test]
    fn an_axis_of_nothing_still_has_its_zero() {
        for max in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(labels(Quantity::Time, max, 5), ["0"]);
        }
    }
}
