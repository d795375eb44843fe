//! A chart as data, before anything is drawn.
//!
//! Every series is complete and in base units (nanoseconds, bytes, bits a second); drawing
//! it picks the units and leaves out what cannot be seen.

use super::downsample::Point;
use super::style::Ink;
use super::units::Quantity;

/// One chart.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    /// The title.
    pub title: String,
    /// The subtitle, which names the run.
    pub subtitle: String,
    /// Time, as a rule.
    pub x: Axis,
    /// The left-hand axis.
    pub y: Axis,
    /// The same heights in other units, on the right.
    pub right: Option<Axis>,
    /// A small part of it, magnified, in a corner that is free.
    pub detail: Option<Detail>,
    /// From the back to the front.
    pub layers: Vec<Layer>,
    /// Above the plot: what happened when.
    pub lanes: Vec<Lane>,
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
    /// For the legend; empty: not in it.
    pub label: String,
    /// Its colour.
    pub ink: Ink,
    /// Its shape.
    pub shape: Shape,
}

/// The shape of a series.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// From point to point.
    Line(Vec<Point>),
    /// Value held until the next point.
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

/// A row of ticks over the plot.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    /// For the legend.
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
    /// Its own axes,
    pub x: Axis,
    /// in both directions.
    pub y: Axis,
    /// From the back to the front; the labels are not shown.
    pub layers: Vec<Layer>,
}

/// A corner of the plot.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Corner {
    /// Above a line that begins slowly,
    UpperLeft,
    /// and below a steady one.
    LowerRight,
}

impl Axis {
    /// The usual one.
    #[must_use]
    pub(crate) const fn from_zero(quantity: Quantity, max: f64) -> Self {
        Self {
            quantity,
            min: 0.0,
            max,
        }
    }

    /// The position of a value, as a share of the axis.
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
    /// A picture without series yet.
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
            lanes: Vec::new(),
        }
    }

    /// Puts a series on top, if it has anything to show.
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

    /// Adds a row of ticks, if there are any.
    pub(crate) fn lane(&mut self, label: impl Into<String>, ink: Ink, times: Vec<f64>) {
        if !times.is_empty() {
            self.lanes.push(Lane {
                label: label.into(),
                ink,
                times,
            });
        }
    }

    /// Ends the axis a little above `most`.
    pub(crate) fn reach(&mut self, most: f64) {
        self.y.max = self.y.max.max(most * 1.06);
    }

    /// Ends the axis a little above all series so far.
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
        self.lanes.is_empty() && !self.layers.iter().any(data)
    }
}

impl Shape {
    fn is_empty(&self) -> bool {
        self.points().is_some_and(<[Point]>::is_empty)
    }

    /// Its greatest value.
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

/// The greatest value of a series; 0 if it has none.
#[must_use]
pub(crate) fn highest(points: &[Point]) -> f64 {
    points.iter().map(|point| point.1).fold(0.0, f64::max)
}
