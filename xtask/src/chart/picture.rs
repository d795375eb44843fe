//! A chart as data, before anything is drawn.
//!
//! Every series is complete and in base units (nanoseconds, bytes, bits a second); drawing
//! it picks the units and leaves out what cannot be seen.

use super::downsample::Point;
use super::style::Ink;
use super::units::Quantity;

/// A chart of series over time.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// The title.
    pub title: String,
    /// The subtitle, which names the run.
    pub subtitle: String,
    /// The horizontal axis, of time.
    pub x: Axis,
    /// The left-hand axis.
    pub y: Axis,
    /// The right-hand axis: the same values in another unit.
    pub right: Option<Axis>,
    /// A small part, magnified, in a corner that is free.
    pub detail: Option<Detail>,
    /// The series, from back to front.
    pub layers: Vec<Layer>,
    /// The rows of events above the plot.
    pub event_rows: Vec<EventRow>,
}

/// An axis.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    /// Its quantity.
    pub quantity: Quantity,
    /// Its minimum: 0, except in a detail.
    pub min: f64,
    /// Its maximum.
    pub max: f64,
}

/// One series and how it is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// The label in the legend; an empty one is left out.
    pub label: String,
    /// Its colour.
    pub ink: Ink,
    /// Its shape.
    pub shape: Shape,
}

/// The shape of a series.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// A line from point to point.
    Line(Vec<Point>),
    /// A line that holds each value until the next point.
    Steps(Vec<Point>),
    /// A light area from the least to the greatest value of each column.
    Band(Vec<Point>),
    /// Faint dots that make clouds.
    Cloud(Vec<Point>),
    /// Dots that stand out.
    Dots(Vec<Point>),
    /// A dashed line across: what the rest is to be compared with.
    Reference(f64),
    /// A reference that varies over time.
    VaryingReference(Vec<Point>),
}

/// A row of event ticks above the plot.
#[derive(Clone, Debug)]
pub(crate) struct EventRow {
    /// The label in the legend.
    pub label: String,
    /// Its colour.
    pub ink: Ink,
    /// The times of the events, in any order.
    pub times: Vec<f64>,
}

/// A part of a picture, magnified.
#[derive(Clone, Debug)]
pub(crate) struct Detail {
    /// The corner with room for it.
    pub corner: Corner,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The series, from back to front; their labels are not shown.
    pub layers: Vec<Layer>,
}

/// A corner of the plot.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Corner {
    /// Free above a line that begins slowly.
    UpperLeft,
    /// Free below a steady line.
    LowerRight,
}

impl Axis {
    /// Creates an axis that starts at zero.
    #[must_use]
    pub(crate) const fn from_zero(quantity: Quantity, max: f64) -> Self {
        Self {
            quantity,
            min: 0.0,
            max,
        }
    }

    /// Returns the position of a value, as a share of the axis.
    #[must_use]
    pub(crate) fn share(&self, value: f64) -> f64 {
        let span = self.max - self.min;
        // An axis without length, as of a run of one instant: everything lies at its start.
        if span > 0.0 {
            (value - self.min) / span
        } else {
            0.0
        }
    }
}

impl Picture {
    /// Creates a picture without series.
    #[must_use]
    pub(crate) fn new(title: &str, subtitle: &str, span_ns: f64, quantity: Quantity) -> Self {
        Self {
            title: title.to_owned(),
            subtitle: subtitle.to_owned(),
            x: Axis::from_zero(Quantity::Time, span_ns),
            y: Axis::from_zero(quantity, 0.0),
            right: None,
            detail: None,
            layers: Vec::new(),
            event_rows: Vec::new(),
        }
    }

    /// Adds a series on top, unless it has no points.
    pub(crate) fn layer(&mut self, label: impl Into<String>, ink: Ink, shape: Shape) {
        // A series without points would still stand in the legend.
        if !shape.is_empty() {
            self.layers.push(Layer {
                label: label.into(),
                ink,
                shape,
            });
        }
    }

    /// Adds a row of event ticks, unless there are no events.
    pub(crate) fn event_row(&mut self, label: impl Into<String>, ink: Ink, times: Vec<f64>) {
        if !times.is_empty() {
            self.event_rows.push(EventRow {
                label: label.into(),
                ink,
                times,
            });
        }
    }

    /// Extends the axis to a little above `most`.
    pub(crate) fn reach(&mut self, most: f64) {
        self.y.max = self.y.max.max(most * 1.06);
    }

    /// Extends the axis to a little above all series so far.
    pub(crate) fn reach_all(&mut self) {
        let most = self
            .layers
            .iter()
            .map(|layer| layer.shape.highest())
            .fold(0.0, f64::max);
        self.reach(most);
    }

    /// Returns true if there is nothing to draw.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        let data = |layer: &Layer| {
            !matches!(
                layer.shape,
                Shape::Reference(_) | Shape::VaryingReference(_)
            )
        };
        self.event_rows.is_empty() && !self.layers.iter().any(data)
    }
}

impl Shape {
    fn is_empty(&self) -> bool {
        self.points().is_some_and(<[Point]>::is_empty)
    }

    /// Returns its greatest value.
    #[must_use]
    pub(crate) fn highest(&self) -> f64 {
        match self {
            Self::Reference(value) => *value,
            shape => highest(shape.points().unwrap_or_default()),
        }
    }

    const fn points(&self) -> Option<&[Point]> {
        match self {
            Self::Reference(_) => None,
            Self::Line(points)
            | Self::Steps(points)
            | Self::Band(points)
            | Self::Cloud(points)
            | Self::Dots(points)
            | Self::VaryingReference(points) => Some(points.as_slice()),
        }
    }
}

/// Returns the greatest value of a series; 0 if it has none.
#[must_use]
pub(crate) fn highest(points: &[Point]) -> f64 {
    points.iter().map(|point| point.1).fold(0.0, f64::max)
}
