//! Every model measured against its formula, with the interval that chance allows.

mod chain;
mod delay;
mod driver;
mod rate;
mod shares;

use std::fmt;

/// The two-sided 99.9 % point of the standard normal distribution.
const Z: f64 = 3.2905;

/// One quantity of one model.
#[derive(Debug)]
pub(crate) struct Row {
    /// Name of the model.
    pub(crate) model: &'static str,
    /// The profile that asked for it.
    pub(crate) asked: String,
    /// Name of the quantity.
    pub(crate) quantity: &'static str,
    /// Value by the formula.
    pub(crate) analytic: f64,
    /// Value measured.
    pub(crate) measured: f64,
    /// Half the width of the interval around the analytic value in which it is with a probability of
    /// 99.9 %.
    pub(crate) half_width: f64,
}

impl Row {
    /// The names of the columns.
    pub(crate) const HEADER: &'static str = "model               | quantity        |     analytic |     \
                                      measured | ± 99.9 %     | inside | asked";

    /// Returns whether the measured value is in the interval.
    pub(crate) fn is_inside(&self) -> bool {
        (self.measured - self.analytic).abs() <= self.half_width
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            model,
            asked,
            quantity,
            analytic,
            measured,
            half_width,
        } = self;
        let inside = if self.is_inside() { "yes" } else { "NO" };
        let asked = asked.replace('\n', ", ");
        write!(
            f,
            "{model:19} | {quantity:15} | {analytic:12.8} | {measured:12.8} | {half_width:12.8} \
             | {inside:6} | {asked}"
        )
    }
}

/// Measures every model with `packets` packets.
pub(crate) fn rows(packets: u64, seed: u64, mut each: impl FnMut(Row)) {
    shares::rows(packets, seed, &mut each);
    delay::rows(packets, seed, &mut each);
    rate::rows(packets, &mut each);
}
