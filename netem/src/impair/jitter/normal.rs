//! The standard normal distribution, from one uniform sample, the same on every machine.
//!
//! Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied
//! Statistics 37 (1988), function PPND7: about seven digits. Only the tails, 15 % of the samples,
//! take a logarithm, and that from `libm`.

/// Returns the value that a standard normal variable stays below with probability
/// `(bits + 1/2) / 2^32`: within ±6.3.
pub(crate) fn quantile(bits: u32) -> f64 {
    let p = (f64::from(bits) + 0.5) / 4_294_967_296.0;
    let q = p - 0.5;
    // The middle of the distribution needs no logarithm.
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        let above = ((5.9109374720e1 * r + 1.5929113202e2) * r + 5.0434271938e1) * r + 3.3871327179;
        let below = ((6.7187563600e1 * r + 7.8757757664e1) * r + 1.7895169469e1) * r + 1.0;
        return q * above / below;
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = libm::sqrt(-libm::log(tail));
    let value = if r <= 5.0 {
        let r = r - 1.6;
        let above = ((1.7023821103e-1 * r + 1.3067284816) * r + 2.7568153900) * r + 1.4234372777;
        let below = (1.2021132975e-1 * r + 7.3700164250e-1) * r + 1.0;
        above / below
    } else {
        let r = r - 5.0;
        let above = ((1.7337203997e-2 * r + 4.2868294337e-1) * r + 3.0812263860) * r + 6.6579051150;
        let below = (1.2258202635e-2 * r + 2.4197894225e-1) * r + 1.0;
        above / below
    };
    if q < 0.0 { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distribution_function_gives_the_probability_back() {
        for bits in (0..u32::MAX)
            .step_by(1 << 20)
            .chain([0, 1, 1 << 10, u32::MAX])
        {
            let p = (f64::from(bits) + 0.5) / 4_294_967_296.0;
            let back = 0.5 * libm::erfc(-quantile(bits) / std::f64::consts::SQRT_2);
            let tail = p.min(1.0 - p);
            assert!((back - p).abs() <= 1e-5 * tail, "{bits}: {p} gave {back}");
        }
    }
}
