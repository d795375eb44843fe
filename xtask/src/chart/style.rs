//! Colours, sizes and letters, the same in every picture.
//!
//! The series' colours are Okabe and Ito's, which people who do not tell red from green can tell
//! apart; where two meet in one picture they also differ in shape.

use plotters::style::RGBColor;

/// A picture's own coordinates: twice the pixels of the PNG, so that whole numbers are fine
/// enough.
pub(crate) const WIDTH: u32 = 3200;
/// The height of a picture, unless it depends on its contents.
pub(crate) const HEIGHT: u32 = 1800;
/// Coordinates a pixel of the PNG, and a CSS pixel of the SVG.
pub(crate) const SCALE: u32 = 2;

/// Height of the title, in em.
pub(crate) const TITLE_EM: f64 = 64.0;
/// Height of the subtitle, in em.
pub(crate) const SUBTITLE_EM: f64 = 44.0;
/// Height of legend and ticks, in em: still legible at half the size.
pub(crate) const LABEL_EM: f64 = 44.0;

/// A colour, by its use.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// The background.
    Paper,
    /// Titles.
    Text,
    /// Ticks, legends, references.
    Muted,
    /// The thin lines.
    Grid,
    /// The main series.
    Blue,
    /// Series beside the main one.
    Sky,
    /// The achieved rate.
    Green,
    /// A threshold.
    Orange,
    /// Losses and retransmissions.
    Vermillion,
    /// Losses of another kind.
    Purple,
    /// Text on a dark cell of a heat map.
    OnDark,
    /// Text on a light cell.
    OnLight,
    /// Any colour, for the cells of a heat map.
    Exact(u8, u8, u8),
}

/// The colours of flows, and of peers.
pub(crate) const SERIES: [Ink; 6] = [
    Ink::Blue,
    Ink::Orange,
    Ink::Green,
    Ink::Purple,
    Ink::Sky,
    Ink::Vermillion,
];

/// The colours that change with the page's background.
const THEMED: [Ink; 10] = [
    Ink::Paper,
    Ink::Text,
    Ink::Muted,
    Ink::Grid,
    Ink::Blue,
    Ink::Sky,
    Ink::Green,
    Ink::Orange,
    Ink::Vermillion,
    Ink::Purple,
];

impl Ink {
    /// Returns the colour on a light background, which the files have.
    #[must_use]
    pub(crate) const fn light(self) -> RGBColor {
        match self {
            Self::Paper => RGBColor(255, 255, 255),
            Self::Text => RGBColor(31, 35, 40),
            Self::Muted => RGBColor(87, 96, 110),
            Self::Grid => RGBColor(226, 230, 235),
            Self::Blue => RGBColor(0, 114, 178),
            Self::Sky => RGBColor(86, 180, 233),
            Self::Green => RGBColor(0, 140, 102),
            Self::Orange => RGBColor(222, 143, 5),
            Self::Vermillion => RGBColor(213, 74, 0),
            Self::Purple => RGBColor(168, 82, 158),
            Self::OnDark => RGBColor(254, 254, 254),
            Self::OnLight => RGBColor(16, 17, 18),
            Self::Exact(red, green, blue) => RGBColor(red, green, blue),
        }
    }

    /// Returns the colour on a dark background, which a page may put in its place.
    #[must_use]
    pub(crate) const fn dark(self) -> RGBColor {
        match self {
            Self::Paper => RGBColor(23, 26, 31),
            Self::Text => RGBColor(232, 235, 239),
            Self::Muted => RGBColor(166, 175, 187),
            Self::Grid => RGBColor(48, 54, 63),
            Self::Blue => RGBColor(64, 150, 240),
            Self::Sky => RGBColor(160, 214, 255),
            Self::Green => RGBColor(52, 199, 152),
            Self::Orange => RGBColor(245, 180, 60),
            Self::Vermillion => RGBColor(255, 126, 66),
            Self::Purple => RGBColor(216, 143, 207),
            Self::OnDark | Self::OnLight | Self::Exact(..) => self.light(),
        }
    }

    /// Returns the colour as it is written in SVG files.
    #[must_use]
    pub(crate) fn hex(color: RGBColor) -> String {
        format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2)
    }
}

/// Returns style rules that turn an SVG inside `parent` dark: a rule goes before an attribute.
#[must_use]
pub(crate) fn dark_rules(parent: &str) -> String {
    let rule = |ink: Ink, what: &str| {
        let (from, to) = (Ink::hex(ink.light()), Ink::hex(ink.dark()));
        format!("{parent} svg [{what}=\"{from}\"]{{{what}:{to}}}\n")
    };
    THEMED
        .iter()
        // By the colour that is written in the SVG: the library gives elements no classes.
        .flat_map(|&ink| [rule(ink, "fill"), rule(ink, "stroke")])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_inks_share_a_colour_that_a_page_would_have_to_tell_apart() {
        let mut all: Vec<String> = THEMED
            .iter()
            .chain(&[Ink::OnDark, Ink::OnLight])
            .map(|ink| Ink::hex(ink.light()))
            .collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_dark_page_gives_every_ink_another_colour() {
        let rules = dark_rules("figure");
        assert!(rules.contains("figure svg [fill=\"#FFFFFF\"]{fill:#171A1F}"));
        assert_eq!(rules.lines().count(), THEMED.len() * 2);
    }
}
