//! The legend: a row between title and plot, so that it never lies on the data.

use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::DrawingBackend;

use super::canvas::{Canvas, DrawResult, LabelStyle};
use super::picture::{Picture, Shape};
use super::plot::MARGIN;
use super::style::{Ink, LABEL_EM};

const ROW_HEIGHT: i32 = 70;
const SWATCH: i32 = 72;
const GAP: i32 = 22;
const BETWEEN: i32 = 64;

/// The sample in front of a label.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Swatch {
    /// A piece of line.
    Line,
    /// A piece of dashed line.
    Dashes,
    /// A light box.
    Box,
    /// Three faint dots.
    Cloud,
    /// A dot.
    Dot,
    /// A square.
    Square,
    /// A square that stands on a corner.
    Diamond,
    /// Upright ticks.
    Ticks,
}

/// An entry of the legend.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The sample.
    pub swatch: Swatch,
    /// The colour of the series.
    pub ink: Ink,
    /// The label.
    pub label: String,
}

/// Returns the entries of a picture: its series from front to back, then the references that they
/// are compared with, then its event rows.
pub(crate) fn entries(picture: &Picture) -> Vec<Entry> {
    let layers = picture.layers.iter().rev().map(|layer| {
        let swatch = match layer.shape {
            // The legend shows the kind of a series as it is drawn, so that colour alone need not
            // tell them apart.
            Shape::Line(_) | Shape::Steps(_) => Swatch::Line,
            Shape::Band(_) => Swatch::Box,
            Shape::Cloud(_) => Swatch::Cloud,
            Shape::Dots(_) => Swatch::Dot,
            Shape::Reference(_) | Shape::VaryingReference(_) => Swatch::Dashes,
        };
        Entry {
            swatch,
            ink: layer.ink,
            label: layer.label.clone(),
        }
    });
    let event_rows = picture.event_rows.iter().map(|row| Entry {
        swatch: Swatch::Ticks,
        ink: row.ink,
        label: row.label.clone(),
    });
    let mut entries: Vec<Entry> = layers
        .chain(event_rows)
        .filter(|entry| !entry.label.is_empty())
        .collect();
    // A stable sort: within each kind the order of the layers stays.
    entries.sort_by_key(|entry| match entry.swatch {
        Swatch::Ticks => 2,
        Swatch::Dashes => 1,
        _ => 0,
    });
    entries
}

/// Returns the height of the entries in a drawing of this width.
pub(crate) fn height(entries: &[Entry], width: i32) -> i32 {
    let rows = places(entries, width).last().map_or(0, |last| last.1 + 1);
    rows * ROW_HEIGHT
}

/// Draws the entries from `top` on, in as many rows as they need; returns where they end.
///
/// # Errors
/// The backend's.
pub(crate) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    entries: &[Entry],
    top: i32,
) -> Result<i32, DrawingAreaErrorKind<DB::ErrorType>> {
    if entries.is_empty() {
        return Ok(top);
    }
    let look = LabelStyle::new(LABEL_EM, Ink::Text);
    let width = canvas.size().0;
    for (entry, (x, row)) in entries.iter().zip(places(entries, width)) {
        let y = top + ROW_HEIGHT / 2 + row * ROW_HEIGHT;
        swatch(canvas, entry, (x, y))?;
        canvas.text(&entry.label, (x + SWATCH + GAP, y), look)?;
    }
    Ok(top + height(entries, width) + 14)
}

/// Returns the left edge and the row of each entry.
fn places(entries: &[Entry], width: i32) -> Vec<(i32, i32)> {
    let look = LabelStyle::new(LABEL_EM, Ink::Text);
    let (mut x, mut row) = (MARGIN, 0);
    let mut places = Vec::new();
    for entry in entries {
        let own = SWATCH + GAP + look.width(&entry.label);
        // An entry wider than the picture stands in a row of its own, and is cut.
        if x > MARGIN && x + own > width - MARGIN {
            (x, row) = (MARGIN, row + 1);
        }
        places.push((x, row));
        x += own + BETWEEN;
    }
    places
}

fn swatch<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    entry: &Entry,
    (x, y): (i32, i32),
) -> DrawResult<DB> {
    let (ink, end, middle) = (entry.ink, x + SWATCH, x + SWATCH / 2);
    match entry.swatch {
        Swatch::Line => canvas.line(vec![(x, y), (end, y)], ink, 10),
        Swatch::Dashes => canvas.dashed(&[(x, y), (end, y)], ink, 7),
        Swatch::Box => canvas.block((x, y - 18), (end, y + 18), ink, 0.45),
        Swatch::Dot => canvas.dot((middle, y), 13, ink, 1.0),
        Swatch::Square => canvas.square((middle, y), 12, ink, 1.0),
        Swatch::Diamond => canvas.diamond((middle, y), 16, ink, 1.0),
        Swatch::Cloud => [(-24, 7), (0, -9), (24, 4)]
            .into_iter()
            .try_for_each(|(dx, dy)| canvas.dot((middle + dx, y + dy), 9, ink, 0.7)),
        Swatch::Ticks => [14, 30, 44]
            .into_iter()
            .try_for_each(|dx| canvas.line(vec![(x + dx, y - 18), (x + dx, y + 18)], ink, 6)),
    }
}
