//! The charts of a run and of a comparison: SVG and PNG, drawn by `plotters`.
//!
//! | module | what |
//! |---|---|
//! | [`cwnd`], [`throughput`], [`rtt`], [`sequence`], [`queue`] | a record becomes a picture |
//! | [`compare`] | many summaries become a heat map and a scatter |
//! | [`growth`] | what an event costs while something grows |
//! | [`picture`] | a chart as data |
//! | [`flows`] | series out of a record's rows |
//! | [`plot`] | axes, grid and heading |
//! | [`draw`], [`legend`], [`marks`], [`detail`] | a picture becomes lines and letters |
//! | [`canvas`], [`style`], [`font`] | how lines and letters look |
//! | [`downsample`], [`units`], [`ticks`] | what is left out, and how numbers are written |
//! | [`output`], [`raster`] | the two files |
//!
//! A picture is made from the record alone, without clock, system font or chance: the same
//! record gives the same bytes.

mod canvas;
pub(crate) mod compare;
mod cwnd;
mod detail;
mod downsample;
mod draw;
mod error;
mod flows;
mod font;
mod growth;
mod legend;
mod marks;
mod output;
mod picture;
mod plot;
mod queue;
mod raster;
mod rtt;
mod sequence;
pub(crate) mod style;
mod throughput;
mod ticks;
pub(crate) mod units;

use std::path::Path;

pub(crate) use error::ChartError;
pub(crate) use growth::{Growth, Panel};
use output::Drawing;

use crate::rows::{RunRecord, Summary};

/// The charts of one run.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chart {
    /// Rates.
    Throughput,
    /// Congestion window.
    Cwnd,
    /// Round trips.
    Rtt,
    /// Offsets sent and acknowledged.
    Sequence,
    /// The bottleneck's queue.
    Queue,
}

impl Chart {
    /// All charts, in the order of the page.
    pub(crate) const ALL: [Self; 5] = [
        Self::Throughput,
        Self::Cwnd,
        Self::Rtt,
        Self::Sequence,
        Self::Queue,
    ];

    /// Returns its file name without the extension.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Throughput => "throughput",
            Self::Cwnd => "cwnd",
            Self::Rtt => "rtt",
            Self::Sequence => "sequence",
            Self::Queue => "queue",
        }
    }

    /// Returns its title.
    #[must_use]
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Throughput => "Throughput",
            Self::Cwnd => "Congestion window",
            Self::Rtt => "Round-trip time",
            Self::Sequence => "Time and sequence",
            Self::Queue => "Bottleneck queue",
        }
    }

    /// Returns its caption, which says how to read it.
    #[must_use]
    pub(crate) const fn caption(self) -> &'static str {
        match self {
            Self::Throughput => {
                "The gap between sent and delivered is what was lost or is still queued; between \
                 delivered and goodput lie headers and retransmissions. No protocol can stay above \
                 the achievable line."
            }
            Self::Cwnd => {
                "A window below rate × round trip leaves the link idle; one above it fills the \
                 queue. Ticks above the plot are losses declared by the sender."
            }
            Self::Rtt => "The part above the link's own round trip is queueing delay.",
            Self::Sequence => {
                "Steeper is faster; a flat piece is a stall. Retransmissions lie below the line, \
                 further down the later they are; the detail shows the shaded part packet by packet."
            }
            Self::Queue => {
                "The queue that each packet found at the bottleneck: in bytes, and on the right as \
                 the time it takes to send them."
            }
        }
    }

    fn drawing(self, record: &RunRecord) -> Drawing {
        Drawing::Picture(match self {
            Self::Throughput => throughput::picture(record),
            Self::Cwnd => cwnd::picture(record),
            Self::Rtt => rtt::picture(record),
            Self::Sequence => sequence::picture(record),
            Self::Queue => queue::picture(record),
        })
    }

    /// Returns the text of an SVG file.
    ///
    /// # Errors
    /// [`ChartError`]
    pub(crate) fn svg(self, record: &RunRecord) -> Result<String, ChartError> {
        self.drawing(record).svg(self.name())
    }
}

/// Writes every chart of a run into `folder`, as SVG and as PNG.
///
/// # Errors
/// [`ChartError`]
pub(crate) fn write_all(folder: &Path, record: &RunRecord) -> Result<(), ChartError> {
    Chart::ALL
        .iter()
        .try_for_each(|chart| chart.drawing(record).write(folder, chart.name()))
}

/// A chart of many runs side by side.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum CompareChart {
    /// A row for each peer, a column for each scenario.
    Efficiency,
    /// Goodput against queueing delay.
    Delay,
}

impl CompareChart {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Efficiency, Self::Delay];

    /// Returns its file name without the extension.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Efficiency => "efficiency",
            Self::Delay => "delay",
        }
    }

    /// Returns its title.
    #[must_use]
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Efficiency => "Efficiency",
            Self::Delay => "Goodput and queueing delay",
        }
    }

    /// Returns its caption, which says how to read it.
    #[must_use]
    pub(crate) const fn caption(self) -> &'static str {
        match self {
            Self::Efficiency => "The median of each cell's seeds, and their range. Dark is good.",
            Self::Delay => {
                "Up and to the left is good: high goodput, short queue. The large mark is the median \
                 of a peer's seeds. Unfinished runs are left out."
            }
        }
    }

    fn drawing(self, summaries: &[Summary]) -> Drawing {
        match self {
            Self::Efficiency => Drawing::Matrix(compare::efficiency(summaries)),
            Self::Delay => Drawing::Scatter(compare::delay(summaries)),
        }
    }

    /// Returns the text of an SVG file.
    ///
    /// # Errors
    /// [`ChartError`]
    pub(crate) fn svg(self, summaries: &[Summary]) -> Result<String, ChartError> {
        self.drawing(summaries).svg(self.name())
    }
}

/// Writes the charts of many runs into `folder`, as SVG and as PNG.
///
/// # Errors
/// [`ChartError`]
pub(crate) fn write_compare(folder: &Path, summaries: &[Summary]) -> Result<(), ChartError> {
    CompareChart::ALL
        .iter()
        .try_for_each(|chart| chart.drawing(summaries).write(folder, chart.name()))
}

/// Writes `growth.svg` and `growth.png` into `folder`.
///
/// # Errors
/// [`ChartError`]
pub(crate) fn write_growth(folder: &Path, growth: Growth) -> Result<(), ChartError> {
    Drawing::Growth(growth).write(folder, "growth")
}

#[cfg(test)]
mod tests;
