//! Checks that something happens as often as it should: within the interval that holds the result
//! with a probability of 99.9 %.

use lftp_netem::{link::Link, record::PacketRecord};

use super::{at, link, packet, records, run, steady};

pub(crate) const PACKETS: u64 = 1_000_000;

/// The two-sided 99.9 % point of the normal distribution.
pub(crate) const Z: f64 = 3.2905;

pub(crate) fn share_is(count: u64, of: u64, probability: f64) {
    let mean = of as f64 * probability;
    let half_width = Z * (mean * (1.0 - probability)).sqrt();
    let difference = (count as f64 - mean).abs();
    assert!(
        difference <= half_width,
        "{count} of {of}, expected {mean} ± {half_width}"
    );
}

/// Small packets, a microsecond apart, without records.
pub(crate) fn million(network: &str) -> Link {
    let mut link = link(network);
    link.keep_records(false);
    for index in 0..PACKETS {
        let now = at(index * 1000);
        while let Some(due) = link.next_wakeup().filter(|due| *due <= now) {
            while link.pop(due).is_some() {}
        }
        link.push(now, packet(index, 40));
    }
    while let Some(due) = link.next_wakeup() {
        while link.pop(due).is_some() {}
    }
    link
}

/// Packets that [`hits`] sends.
pub(crate) const HITS: u64 = 300_000;

/// Returns for each packet whether this happened to it.
pub(crate) fn hits(network: &str, is: fn(&PacketRecord) -> bool) -> Vec<bool> {
    let mut link = link(network);
    run(&mut link, steady(HITS, 1000));
    let mut hits = vec![false; HITS as usize];
    for record in records(&mut link).iter().filter(|record| is(record)) {
        hits[record.index as usize] = true;
    }
    hits
}

/// Checks that after a packet that was hit the next is with this probability.
pub(crate) fn follows(hits: &[bool], probability: f64) {
    let after = hits.windows(2).filter(|pair| pair[0]);
    let both = after.clone().filter(|pair| pair[1]).count() as u64;
    share_is(both, after.count() as u64, probability);
}

pub(crate) fn delays_ns(network: &str) -> Vec<f64> {
    let mut link = link(network);
    run(&mut link, steady(300_000, 1000));
    let delays = records(&mut link)
        .into_iter()
        .filter_map(|record| record.delay_ns());
    delays.map(|ns| ns as f64).collect()
}

/// Mean and variance of samples, against what they should be; `kurtosis` of the distribution.
pub(crate) fn moments_are(samples: &[f64], mean: f64, sigma: f64, kurtosis: f64) {
    let count = samples.len() as f64;
    let found = samples.iter().sum::<f64>() / count;
    assert!(
        (found - mean).abs() <= Z * sigma / count.sqrt(),
        "mean {found} for {mean}"
    );
    let squares = samples.iter().map(|sample| (sample - mean).powi(2));
    let found = squares.sum::<f64>() / count / (sigma * sigma);
    let half_width = Z * ((kurtosis - 1.0) / count).sqrt();
    assert!(
        (found - 1.0).abs() <= half_width,
        "variance {found} of what it should be"
    );
}
