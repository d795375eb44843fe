//! Draws a [`Picture`]: title, legend, event rows, axes, series, in this order from top to bottom.

use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::{Canvas, Drawn, Look};
use super::detail;
use super::legend;
use super::marks;
use super::picture::{Axis, Picture};
use super::style::{Ink, LABEL_EM, SUBTITLE_EM, TITLE_EM};
use super::ticks::{Tick, ticks};

/// Room at the outer edges.
pub(crate) const MARGIN: i32 = 64;

const LANE_HEIGHT: i32 = 44;
const LANE_GAP: i32 = 12;
const LABELS: Look = Look::new(LABEL_EM, Ink::Muted);

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
    pub across: Axis,
    /// The vertical axis.
    pub up: Axis,
}

impl Plot {
    /// The horizontal position of a value.
    #[must_use]
    pub(crate) fn x(&self, value: f64) -> i32 {
        place(self.across.share(value), self.left, self.right)
    }

    /// The vertical position of a value.
    #[must_use]
    pub(crate) fn y(&self, value: f64) -> i32 {
        place(self.up.share(value), self.bottom, self.top)
    }
}

fn place(share: f64, from: i32, to: i32) -> i32 {
    from + (f64::from(to - from) * share).round() as i32
}

/// Draws the picture over the whole area.
///
/// # Errors
/// The backend's.
pub(crate) fn picture<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    picture: &Picture,
) -> Drawn<DB> {
    let canvas = Canvas::new(area)?;
    let below_title = heading(&canvas, &picture.title, &picture.subtitle)?;
    let top = legend::draw(&canvas, &legend::entries(picture), below_title)?;
    let (width, height) = canvas.size();
    let y_ticks = ticks(picture.y, 5);
    let right_ticks = picture.right.map_or_else(Vec::new, |axis| ticks(axis, 5));
    let lanes = i32::try_from(picture.lanes.len()).unwrap_or(0) * (LANE_HEIGHT + LANE_GAP);
    let plot = Plot {
        left: MARGIN + widest(&y_ticks) + 28,
        right: width
            - MARGIN
            - if right_ticks.is_empty() {
                24
            } else {
                widest(&right_ticks) + 28
            },
        top: top + lanes + 24,
        bottom: height - MARGIN - 84,
        across: picture.x,
        up: picture.y,
    };
    for (lane, index) in picture.lanes.iter().zip(0..) {
        let lane_top = top + index * (LANE_HEIGHT + LANE_GAP);
        marks::lane(&canvas, &plot, lane, lane_top, LANE_HEIGHT)?;
    }
    grid(&canvas, &plot, &y_ticks)?;
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

/// Draws title and subtitle; returns the height at which the rest may start.
pub(crate) fn heading<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    title: &str,
    subtitle: &str,
) -> Result<i32, plotters::drawing::DrawingAreaErrorKind<DB::ErrorType>> {
    let mut line = MARGIN + 30;
    canvas.text(title, (MARGIN, line), Look::new(TITLE_EM, Ink::Text).bold())?;
    line += 82;
    canvas.text(subtitle, (MARGIN, line), Look::new(SUBTITLE_EM, Ink::Muted))?;
    Ok(line + 50)
}

/// The width of the widest label.
pub(crate) fn widest(ticks: &[Tick]) -> i32 {
    ticks
        .iter()
        .map(|tick| LABELS.width(&tick.label))
        .max()
        .unwrap_or(0)
}

/// The thin lines and their labels.
pub(crate) fn grid<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    y_ticks: &[Tick],
) -> Drawn<DB> {
    for tick in y_ticks {
        let y = plot.y(tick.at);
        canvas.line(vec![(plot.left, y), (plot.right, y)], Ink::Grid, 3)?;
        canvas.text(&tick.label, (plot.left - 28, y), LABELS.at(HPos::Right))?;
    }
    Ok(())
}

/// The base line and what is written under it.
pub(crate) fn axes<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    x_ticks: &[Tick],
) -> Drawn<DB> {
    let (left, right, bottom) = (plot.left, plot.right, plot.bottom);
    canvas.line(vec![(left, bottom), (right, bottom)], Ink::Muted, 4)?;
    for tick in x_ticks {
        let x = plot.x(tick.at);
        canvas.line(vec![(x, bottom), (x, bottom + 18)], Ink::Muted, 4)?;
        canvas.text(&tick.label, (x, bottom + 60), LABELS.at(HPos::Center))?;
    }
    Ok(())
}

fn right_axis<DB: DrawingBackend>(
    canvas: &Canvas<'_, DB>,
    plot: &Plot,
    axis: Option<Axis>,
    right_ticks: &[Tick],
) -> Drawn<DB> {
    let Some(axis) = axis else { return Ok(()) };
    let scale = Plot { up: axis, ..*plot };
    for tick in right_ticks {
        let y = scale.y(tick.at);
        canvas.line(vec![(plot.right, y), (plot.right + 14, y)], Ink::Muted, 4)?;
        canvas.text(&tick.label, (plot.right + 28, y), LABELS)?;
    }
    Ok(())
}
