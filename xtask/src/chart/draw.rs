//! Draws a [`Picture`]: title, legend, event rows, axes, series, in this order from top to bottom.

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::{Canvas, DrawResult};
use super::detail;
use super::legend;
use super::marks;
use super::picture::{Axis, Picture};
use super::plot::{LABELS, MARGIN, Plot, axes, grid, heading, widest};
use super::style::Ink;
use super::ticks::{Tick, ticks};

const EVENT_ROW_HEIGHT: i32 = 44;
const EVENT_ROW_GAP: i32 = 12;

/// Draws the picture over the whole area.
///
/// # Errors
/// The backend's.
pub(crate) fn picture<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    picture: &Picture,
) -> DrawResult<DB> {
    let canvas = Canvas::new(area)?;
    let below_title = heading(&canvas, &picture.title, &picture.subtitle)?;
    let top = legend::draw(&canvas, &legend::entries(picture), below_title)?;
    let (width, height) = canvas.size();
    let y_ticks = ticks(picture.y, 5);
    let right_ticks = picture.right.map_or_else(Vec::new, |axis| ticks(axis, 5));
    // Above the plot, not in it: events would be taken for values.
    let event_rows =
        i32::try_from(picture.event_rows.len()).unwrap_or(0) * (EVENT_ROW_HEIGHT + EVENT_ROW_GAP);
    let plot = Plot {
        left: MARGIN + widest(&y_ticks) + 28,
        right: width
            - MARGIN
            - if right_ticks.is_empty() {
                24
            } else {
                widest(&right_ticks) + 28
            },
        top: top + event_rows + 24,
        bottom: height - MARGIN - 84,
        x_axis: picture.x,
        y_axis: picture.y,
    };
    for (row, index) in picture.event_rows.iter().zip(0..) {
        let row_top = top + index * (EVENT_ROW_HEIGHT + EVENT_ROW_GAP);
        marks::event_row(&canvas, &plot, row, row_top, EVENT_ROW_HEIGHT)?;
    }
    grid(&canvas, &plot, &y_ticks)?;
    // Said in words: an empty plot looks like a fault of the drawing.
    if picture.is_empty() {
        let middle = ((plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2);
        canvas.text("nothing was recorded", middle, LABELS.at(HPos::Center))?;
    }
    for layer in &picture.layers {
        marks::layer(&canvas, &plot, layer)?;
    }
    axes(&canvas, &plot, &ticks(picture.x, 8))?;
    right_axis(&canvas, &plot, picture.right, &right_ticks)?;
    picture
        .detail
        .as_ref()
        .map_or(Ok(()), |detail| detail::draw(&canvas, &plot, detail))
}

fn right_axis<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    axis: Option<Axis>,
    right_ticks: &[Tick],
) -> DrawResult<DB> {
    let Some(axis) = axis else { return Ok(()) };
    let scale = Plot {
        y_axis: axis,
        ..*plot
    };
    for tick in right_ticks {
        let y = scale.y(tick.at);
        canvas.line(vec![(plot.right, y), (plot.right + 14, y)], Ink::Muted, 4)?;
        canvas.text(&tick.label, (plot.right + 28, y), LABELS)?;
    }
    Ok(())
}
