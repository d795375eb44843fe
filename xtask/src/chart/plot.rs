//! The plot: its rectangle, its axes and grid, and the heading above it.

use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::{Canvas, DrawResult, LabelStyle};
use super::picture::Axis;
use super::style::{Ink, LABEL_EM, SUBTITLE_EM, TITLE_EM};
use super::ticks::Tick;

/// Room at the outer edges.
pub(crate) const MARGIN: i32 = 64;

/// The style of the labels at the axes.
pub(crate) const LABELS: LabelStyle = LabelStyle::new(LABEL_EM, Ink::Muted);

/// The plot's rectangle and how values lie in it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Plot {
    /// Its left end.
    pub left: i32,
    /// Its right end.
    pub right: i32,
    /// Its upper end.
    pub top: i32,
    /// Its lower end.
    pub bottom: i32,
    /// The horizontal axis.
    pub x_axis: Axis,
    /// The vertical axis.
    pub y_axis: Axis,
}

impl Plot {
    /// Returns the horizontal position of a value.
    #[must_use]
    pub(crate) fn x(&self, value: f64) -> i32 {
        place(self.x_axis.share(value), self.left, self.right)
    }

    /// Returns the vertical position of a value.
    #[must_use]
    pub(crate) fn y(&self, value: f64) -> i32 {
        place(self.y_axis.share(value), self.bottom, self.top)
    }
}

fn place(share: f64, from: i32, to: i32) -> i32 {
    from + (f64::from(to - from) * share).round() as i32
}

/// Draws title and subtitle; returns the height at which the rest may start.
pub(crate) fn heading<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    title: &str,
    subtitle: &str,
) -> Result<i32, DrawingAreaErrorKind<DB::ErrorType>> {
    // Returned to the caller, since a legend has as many rows as it needs.
    let mut line = MARGIN + 30;
    canvas.text(
        title,
        (MARGIN, line),
        LabelStyle::new(TITLE_EM, Ink::Text).bold(),
    )?;
    line += 82;
    canvas.text(
        subtitle,
        (MARGIN, line),
        LabelStyle::new(SUBTITLE_EM, Ink::Muted),
    )?;
    Ok(line + 50)
}

/// Returns the width of the widest label.
pub(crate) fn widest(ticks: &[Tick]) -> i32 {
    ticks
        .iter()
        .map(|tick| LABELS.width(&tick.label))
        .max()
        .unwrap_or(0)
}

/// Draws the horizontal grid lines and their labels.
pub(crate) fn grid<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    y_ticks: &[Tick],
) -> DrawResult<DB> {
    for tick in y_ticks {
        let y = plot.y(tick.at);
        canvas.line(vec![(plot.left, y), (plot.right, y)], Ink::Grid, 3)?;
        canvas.text(&tick.label, (plot.left - 28, y), LABELS.at(HPos::Right))?;
    }
    Ok(())
}

/// Draws the horizontal axis with its ticks and labels.
pub(crate) fn axes<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    x_ticks: &[Tick],
) -> DrawResult<DB> {
    let (left, right, bottom) = (plot.left, plot.right, plot.bottom);
    canvas.line(vec![(left, bottom), (right, bottom)], Ink::Muted, 4)?;
    for tick in x_ticks {
        let x = plot.x(tick.at);
        canvas.line(vec![(x, bottom), (x, bottom + 18)], Ink::Muted, 4)?;
        canvas.text(&tick.label, (x, bottom + 60), LABELS.at(HPos::Center))?;
    }
    Ok(())
}
