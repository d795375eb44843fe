//! The cost of one event while something grows by powers of ten: a panel for each quantity that
//! grows. A level line means that the total grows in proportion.

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::{Canvas, DrawResult, LabelStyle, Spot};
use super::downsample::Point;
use super::legend::{self, Entry, Swatch};
use super::picture::{Axis, highest};
use super::plot::{MARGIN, Plot, axes, grid, heading, widest};
use super::style::{Ink, LABEL_EM, WIDTH};
use super::ticks::{Tick, ticks};
use super::units::{Quantity, count};

/// The drawing's height.
const HEIGHT: u32 = 1400;
const GAP: i32 = 40;
const RADIUS: i32 = 15;

/// The chart: a panel for each quantity that grows.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    /// The title.
    pub title: String,
    /// The subtitle: the conditions of the measurement.
    pub subtitle: String,
    /// The label of a point in the legend.
    pub label: String,
    /// The target cost of an event, in nanoseconds, and its label.
    pub bound: (f64, String),
    /// The panels, side by side.
    pub panels: Vec<Panel>,
}

/// The panel of one quantity that grows.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// The quantity and its unit.
    pub title: String,
    /// The amount, at least 1, and the cost of an event in nanoseconds.
    pub points: Vec<Point>,
}

impl Growth {
    /// Returns width and height of the drawing.
    #[must_use]
    pub(crate) const fn size(&self) -> (u32, u32) {
        (WIDTH, HEIGHT)
    }

    /// Draws the chart over the whole area.
    ///
    /// # Errors
    /// The backend's.
    pub(crate) fn draw<DB: DrawingBackend>(&self, area: &DrawingArea<DB, Shift>) -> DrawResult<DB> {
        let canvas = Canvas::new(area)?;
        let below = heading(&canvas, &self.title, &self.subtitle)?;
        let (bound, bound_label) = &self.bound;
        let entry = |swatch, ink, label: &String| Entry {
            swatch,
            ink,
            label: label.clone(),
        };
        let entries = [
            entry(Swatch::Dot, Ink::Blue, &self.label),
            entry(Swatch::Dashes, Ink::Muted, bound_label),
        ];
        let top = legend::draw(&canvas, &entries, below)?;
        // One scale for all, so that they can be compared.
        let most = self.panels.iter().map(|panel| highest(&panel.points));
        let y_axis = Axis::from_zero(Quantity::Time, most.fold(*bound, f64::max) * 1.12);
        let columns = i32::try_from(self.panels.len().max(1)).unwrap_or(1);
        let width = (WIDTH as i32 - GAP) / columns;
        for (panel, column) in self.panels.iter().zip(0..) {
            let left = GAP / 2 + column * width;
            panel.draw(&canvas, y_axis, *bound, (left, top), width)?;
        }
        Ok(())
    }
}

impl Panel {
    fn draw<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        y_axis: Axis,
        bound: f64,
        (left, top): Spot,
        width: i32,
    ) -> DrawResult<DB> {
        let y_ticks = ticks(y_axis, 5);
        // Across lie the powers of ten.
        let x_axis = Axis {
            quantity: Quantity::Bytes,
            min: 0.0,
            max: self.decades() + 0.1,
        };
        let plot = Plot {
            left: left + 20 + widest(&y_ticks) + 28,
            right: left + width - 60,
            top: top + 40,
            bottom: HEIGHT as i32 - MARGIN - 160,
            x_axis,
            y_axis,
        };
        let middle = (plot.left + plot.right) / 2;
        let name = LabelStyle::new(LABEL_EM, Ink::Text).bold().at(HPos::Center);
        canvas.text(&self.title, (middle, plot.bottom + 150), name)?;
        grid(canvas, &plot, &y_ticks)?;
        axes(canvas, &plot, &powers_of_ten(x_axis.max))?;
        let y = plot.y(bound);
        canvas.dashed(&[(plot.left, y), (plot.right, y)], Ink::Muted, 6)?;
        let spots: Vec<Spot> = self
            .points
            .iter()
            // A logarithmic axis by hand: the shared one is linear, and this is its only other use.
            .map(|&(amount, ns)| (plot.x(amount.max(1.0).log10()), plot.y(ns)))
            .collect();
        canvas.line(spots.clone(), Ink::Blue, 7)?;
        spots
            .into_iter()
            .try_for_each(|spot| canvas.dot(spot, RADIUS, Ink::Blue, 1.0))
    }

    /// Returns the number of powers of ten that the panel spans.
    fn decades(&self) -> f64 {
        // At least one power of ten, or a panel with a single point would have no width.
        let amounts = self.points.iter().map(|point| point.0);
        amounts.fold(10.0, f64::max).log10()
    }
}

/// Returns a tick at each power of ten up to that of this exponent.
fn powers_of_ten(most: f64) -> Vec<Tick> {
    (0..=most.floor() as u32)
        .map(|exponent| Tick {
            at: f64::from(exponent),
            label: count(10_u64.saturating_pow(exponent)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_at_powers_of_ten_and_named_by_their_value() {
        let ticks = powers_of_ten(3.1);
        let labels: Vec<&str> = ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["1", "10", "100", "1,000"]);
        assert_eq!(ticks.last().map(|tick| tick.at), Some(3.0));
    }

    #[test]
    fn a_panel_reaches_to_its_largest_amount_and_one_decade_at_least() {
        let panel = |most: f64| Panel {
            title: String::new(),
            points: vec![(1.0, 500.0), (most, 700.0)],
        };
        assert_eq!(panel(1_000.0).decades(), 3.0);
        assert_eq!(panel(2.0).decades(), 1.0);
    }
}
