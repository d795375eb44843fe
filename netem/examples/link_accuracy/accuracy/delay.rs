//! Distributions of the delay, by Kolmogorov and Smirnov's test.

use lftp_netem::Time;

use super::{
    Row,
    driver::{PAYLOAD_BYTES, link, packet, run},
};

/// A distribution function at a point: the share below it, and the share not above it.
struct Point {
    at: f64,
    below: f64,
    upto: f64,
}

/// Number of points: the test misses at most one of their distances.
const POINTS: u32 = 1 << 16;

/// Points of a distribution with this quantile function, which may have a lump at its end.
fn points(quantile: impl Fn(f64) -> f64) -> Vec<Point> {
    let shares = (1..POINTS).map(|point| f64::from(point) / f64::from(POINTS));
    let end = quantile(1.0 - 1e-12);
    let mut points: Vec<_> = shares
        .map(|share| (quantile(share), share))
        .filter(|(at, _)| *at < end)
        .map(|(at, share)| Point {
            at,
            below: share,
            upto: share,
        })
        .collect();
    // The start of the lump, by bisection.
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if quantile(middle) < end {
            low = middle;
        } else {
            high = middle;
        }
    }
    points.push(Point {
        at: end,
        below: low,
        upto: 1.0,
    });
    points
}

/// The largest distance between the two distribution functions, from above.
fn distance(mut samples: Vec<f64>, points: &[Point]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    let count = samples.len() as f64;
    let distances = points.iter().map(|point| {
        // Samples are whole nanoseconds.
        let below = samples.partition_point(|sample| *sample < point.at - 0.5) as f64 / count;
        let upto = samples.partition_point(|sample| *sample <= point.at + 0.5) as f64 / count;
        (below - point.below).abs().max((upto - point.upto).abs())
    });
    distances.fold(0.0, f64::max) + 1.0 / f64::from(POINTS)
}

fn row(model: &'static str, asked: &str, samples: Vec<f64>, points: &[Point]) -> Row {
    let count = samples.len() as f64;
    Row {
        model,
        asked: asked.to_owned(),
        quantity: "KS distance",
        analytic: 0.0,
        measured: distance(samples, points),
        // The 99.9 % point of Kolmogorov's distribution; less for one with lumps.
        half_width: 1.9495 / count.sqrt(),
    }
}

/// The standard normal quantile, by bisection: slow, but by another way than the link's.
fn normal(share: f64) -> f64 {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..60 {
        let middle: f64 = (low + high) / 2.0;
        if 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// As iproute2 defines it, in units of jitter.
fn pareto(share: f64) -> f64 {
    let value = ((1.0 - share).powf(-1.0 / 3.0) - 1.5) * 4.0 / 3.0;
    value.min(32767.0 / 8192.0)
}

pub(crate) fn rows(packets: u64, seed: u64, each: &mut impl FnMut(Row)) {
    let (delay, jitter) = (50e6, 5e6);
    let scaled = |value: f64| delay + jitter * value;
    type Quantile<'q> = &'q dyn Fn(f64) -> f64;
    let cases: [(&'static str, &'static str, Quantile<'_>); 4] = [
        ("uniform jitter", "uniform", &|share| 2.0 * share - 1.0),
        ("normal jitter", "normal", &normal),
        ("pareto jitter", "pareto", &pareto),
        ("paretonormal jitter", "paretonormal", &|share| {
            (0.25 * normal(share) + 0.75 * pareto(share)).min(32767.0 / 8192.0)
        }),
    ];
    for (model, name, quantile) in cases {
        let points = points(|share| scaled(quantile(share)));
        let asked = format!("delay = '50ms'\njitter = '5ms'\njitter_distribution = '{name}'");
        each(row(model, &asked, delays(&asked, seed, packets), &points));
        // Neighbours are alike, but those fifty apart are not.
        let asked = format!("{asked}\njitter_correlation = '80%'");
        let samples = delays(&asked, seed, packets);
        let apart = samples.into_iter().step_by(50).collect();
        each(row(model, &asked, apart, &points));
    }
    table(packets, seed, each);
    slots(packets, seed, each);
}

/// Delays in packet order.
fn delays(network: &str, seed: u64, packets: u64) -> Vec<f64> {
    let mut delays = vec![0.0; packets as usize];
    run(
        network,
        seed,
        packets,
        1000,
        |_| {},
        |record| {
            delays[record.index as usize] = record.delay_ns().map_or(0.0, |ns| ns as f64);
        },
    );
    delays
}

/// A quarter at -1, a quarter at 0, a half at 1/2.
fn table(packets: u64, seed: u64, each: &mut impl FnMut(Row)) {
    let asked = "delay = '50ms'\njitter = '5ms'\njitter_table = '-8192 0 4096 4096'";
    let point = |at, below, upto| Point { at, below, upto };
    let points = [
        point(45e6, 0.0, 0.25),
        point(50e6, 0.25, 0.5),
        point(52.5e6, 0.5, 1.0),
    ];
    each(row(
        "jitter table",
        asked,
        delays(asked, seed, packets),
        &points,
    ));
}

/// Measures the time from one slot to the next, which is uniform. All packets wait at once, so
/// there are fewer of them.
fn slots(packets: u64, seed: u64, each: &mut impl FnMut(Row)) {
    let asked = "slots = { min = '1ms', max = '5ms', packets = 1 }";
    let mut link = link(asked, seed);
    let count = packets.min(1_000_000);
    for _ in 0..count {
        link.push(Time::from_nanos(1), packet(PAYLOAD_BYTES));
    }
    let mut times = Vec::new();
    while let Some(due) = link.next_wakeup() {
        while link.pop(due).is_some() {
            times.push(due.as_nanos());
        }
    }
    let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64);
    let points = points(|share| 1e6 + 4e6 * share);
    each(row("slots", asked, gaps.collect(), &points));
}
