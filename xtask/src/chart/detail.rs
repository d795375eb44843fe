//! Draws a magnified part of a picture into one of its corners.

use plotters::prelude::DrawingBackend;

use super::canvas::{Canvas, DrawResult};
use super::marks;
use super::picture::{Corner, Detail};
use super::plot::{Plot, axes, grid, widest};
use super::style::Ink;
use super::ticks::ticks;

/// Draws the detail on its own sheet over the corner of `outer`, and shades what it is a detail
/// of.
pub(crate) fn draw<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    outer: &Plot,
    detail: &Detail,
) -> DrawResult<DB> {
    let (width, height) = (outer.right - outer.left, outer.bottom - outer.top);
    let (left, top) = match detail.corner {
        Corner::UpperLeft => (outer.left + width / 50, outer.top),
        Corner::LowerRight => (outer.left + width * 56 / 100, outer.top + height * 56 / 100),
    };
    let (right, bottom) = (left + width * 43 / 100, top + height * 42 / 100);
    let part = (
        outer.x(detail.x.min),
        // A few coordinates at least: six round trips of a long run are less than a pixel.
        outer.x(detail.x.max).max(outer.x(detail.x.min) + 6),
    );
    canvas.block(
        (part.0, outer.top),
        (part.1, outer.bottom),
        Ink::Muted,
        0.18,
    )?;
    // Opaque: the picture's grid behind it would be taken for the detail's.
    canvas.block((left, top), (right, bottom), Ink::Paper, 1.0)?;
    let frame = vec![
        (left, top),
        (right, top),
        (right, bottom),
        (left, bottom),
        (left, top),
    ];
    canvas.line(frame, Ink::Muted, 3)?;
    let y_ticks = ticks(detail.y, 3);
    let plot = Plot {
        left: left + 24 + widest(&y_ticks) + 28,
        right: right - 40,
        top: top + 32,
        bottom: bottom - 104,
        x_axis: detail.x,
        y_axis: detail.y,
    };
    grid(canvas, &plot, &y_ticks)?;
    for layer in &detail.layers {
        marks::layer(canvas, &plot, layer)?;
    }
    axes(canvas, &plot, &ticks(detail.x, 3))
}
