//! Impairments of a share of the packets: loss, duplication, damage, reordering.

use lftp_netem::record::{PacketOutcome, PacketRecord};

use super::{
    Row, Z,
    chain::Chain,
    driver::{PAYLOAD_BYTES, run},
};

/// Number of packets to which something happened, and number of runs of it.
#[derive(Debug, Default)]
struct Runs {
    packets: u64,
    hits: u64,
    starts: u64,
    last: bool,
}

impl Runs {
    fn next(&mut self, hit: bool) {
        self.packets += 1;
        self.hits += u64::from(hit);
        self.starts += u64::from(hit && !self.last);
        self.last = hit;
    }

    fn share(&self) -> f64 {
        self.hits as f64 / self.packets as f64
    }
}

/// A profile, and the chain that it asks for.
struct Case {
    model: &'static str,
    asked: String,
    chain: Chain,
}

fn case(model: &'static str, asked: impl Into<String>, chain: Chain) -> Case {
    let asked = asked.into();
    Case {
        model,
        asked,
        chain,
    }
}

fn losses() -> Vec<Case> {
    let model = |name: &str, rest: &str| format!("loss = {{ model = '{name}', {rest} }}");
    let gilbert = |rest| model("gilbert-elliott", rest);
    let burst = |mean: f64, burst: f64| {
        Chain::gilbert_elliott(mean / (1.0 - mean) / burst, 1.0 / burst, 1.0, 0.0)
    };
    vec![
        case("iid loss", "loss = '0.1%'", Chain::independent(0.001)),
        case("iid loss", "loss = '1%'", Chain::independent(0.01)),
        case("iid loss", "loss = '10%'", Chain::independent(0.1)),
        case("iid loss", "loss = '50%'", Chain::independent(0.5)),
        case(
            "gilbert, by burst",
            gilbert("mean = '3%', burst = '10p'"),
            burst(0.03, 10.0),
        ),
        case(
            "gilbert, by burst",
            gilbert("mean = '20%', burst = '2.5p'"),
            burst(0.2, 2.5),
        ),
        case(
            "gilbert",
            gilbert("p = '1%', r = '25%'"),
            Chain::gilbert_elliott(0.01, 0.25, 1.0, 0.0),
        ),
        case(
            "gilbert-elliott",
            gilbert("p = '2%', r = '30%', 1-h = '40%', 1-k = '1%'"),
            Chain::gilbert_elliott(0.02, 0.3, 0.4, 0.01),
        ),
        case(
            "4-state",
            model(
                "4-state",
                "p13 = '1%', p31 = '20%', p32 = '30%', p23 = '40%', p14 = '0.5%'",
            ),
            Chain::four_state(0.01, 0.2, 0.3, 0.4, 0.005),
        ),
        case(
            "correlated loss",
            model("correlated", "mean = '10%', correlation = '25%'"),
            Chain::correlated(0.1, 0.25),
        ),
        case(
            "correlated loss",
            model("correlated", "mean = '1%', correlation = '75%'"),
            Chain::correlated(0.01, 0.75),
        ),
    ]
}

/// Reports the two rows of a chain.
fn of_chain(case: &Case, runs: &Runs, each: &mut impl FnMut(Row)) {
    let nature = case.chain.nature();
    let n = runs.packets as f64;
    each(Row {
        model: case.model,
        asked: case.asked.clone(),
        quantity: "share",
        analytic: nature.share,
        measured: runs.share(),
        half_width: Z * (nature.share_variance / n).sqrt(),
    });
    each(Row {
        model: case.model,
        asked: case.asked.clone(),
        quantity: "length of a run",
        analytic: nature.run,
        measured: runs.hits as f64 / runs.starts as f64,
        half_width: Z * (nature.run_variance / n).sqrt(),
    });
}

/// Returns whether it happened to the packet with this record.
type Hit = fn(&PacketRecord) -> bool;

/// Observes packets whose records come in order, a copy's behind its original's.
fn observe(network: &str, seed: u64, packets: u64, hit: Hit) -> Runs {
    let mut runs = Runs::default();
    let mut open = None;
    run(
        network,
        seed,
        packets,
        1000,
        |_| {},
        |record| {
            if record.duplicate {
                open = open.map(|hits: bool| hits || hit(record));
            } else if let Some(hits) = open.replace(hit(record)) {
                runs.next(hits);
            }
        },
    );
    open.into_iter().for_each(|hits| runs.next(hits));
    runs
}

pub(crate) fn rows(packets: u64, seed: u64, each: &mut impl FnMut(Row)) {
    let mut all: Vec<(Case, Hit)> = Vec::new();
    let lost: Hit = |record| {
        matches!(
            record.outcome,
            PacketOutcome::LostWire | PacketOutcome::LostBurst
        )
    };
    all.extend(losses().into_iter().map(|case| (case, lost)));
    let copied: Hit = |record| record.duplicate;
    let damaged: Hit = |record| record.corrupted;
    // Late by half a millisecond, behind five hundred others.
    let late: Hit = |record| record.delay_ns() == Some(1_500_000);
    let ahead: Hit = |record| record.delay_ns() == Some(0);
    let both = [
        ("duplication", "duplicate", copied),
        ("corruption", "corrupt", damaged),
    ];
    for (model, key, hit) in both {
        let asked = format!("{key} = '2%'");
        all.push((case(model, asked, Chain::independent(0.02)), hit));
        let asked = format!("{key} = '2%'\n{key}_correlation = '50%'");
        all.push((case(model, asked, Chain::correlated(0.02, 0.5)), hit));
    }
    let asked = "truncate = '2%'";
    all.push((case("truncation", asked, Chain::independent(0.02)), damaged));
    let asked = "delay = '1ms'\nreorder = { probability = '5%', delay = '500us' }";
    all.push((
        case("reordering, late", asked, Chain::independent(0.05)),
        late,
    ));
    for (case, hit) in &all {
        let runs = match case.model {
            "reordering, late" => by_index(&case.asked, seed, packets, *hit),
            _ => observe(&case.asked, seed, packets, *hit),
        };
        of_chain(case, &runs, each);
    }
    let correlated = case(
        "reordering, ahead",
        "delay = '1ms'\nreorder = { probability = '5%', correlation = '50%' }",
        Chain::correlated(0.05, 0.5),
    );
    let runs = by_index(&correlated.asked, seed, packets, ahead);
    of_chain(&correlated, &runs, each);
    gap(packets, seed, ahead, each);
    counted(packets, seed, lost, each);
    flipped(packets, seed, each);
}

/// Observes packets that overtake each other.
fn by_index(network: &str, seed: u64, packets: u64, hit: Hit) -> Runs {
    let mut hits = vec![false; packets as usize];
    run(
        network,
        seed,
        packets,
        1000,
        |_| {},
        |record| {
            hits[record.index as usize] = hit(record);
        },
    );
    let mut runs = Runs::default();
    hits.into_iter().for_each(|hit| runs.next(hit));
    runs
}

/// A gap and then a probability: a renewal process with cycles of `gap - 1 + 1/p` packets, whose
/// variance is `(1 - p) / p²`.
fn gap(packets: u64, seed: u64, ahead: Hit, each: &mut impl FnMut(Row)) {
    let asked = "delay = '1ms'\nreorder = { probability = '25%', gap = 5 }";
    let (p, gap) = (0.25, 5.0);
    let (cycle, variance) = (gap - 1.0 + 1.0 / p, (1.0 - p) / (p * p));
    let runs = by_index(asked, seed, packets, ahead);
    each(Row {
        model: "reordering, gap",
        asked: asked.to_owned(),
        quantity: "share",
        analytic: 1.0 / cycle,
        measured: runs.share(),
        half_width: Z * (variance / f64::powi(cycle, 3) / packets as f64).sqrt(),
    });
}

/// Checks loss that is not random, which is exact.
fn counted(packets: u64, seed: u64, lost: Hit, each: &mut impl FnMut(Row)) {
    for (model, asked, share) in [
        (
            "every nth",
            "loss = { model = 'nth', every = 8 }",
            1.0 / 8.0,
        ),
        (
            "pattern",
            "loss = { model = 'pattern', pattern = '..x.xx.....' }",
            3.0 / 11.0,
        ),
    ] {
        let runs = observe(asked, seed, packets, lost);
        each(Row {
            model,
            asked: asked.to_owned(),
            quantity: "share",
            analytic: share,
            measured: runs.share(),
            // The last round need not be whole.
            half_width: 1.0 / packets as f64,
        });
    }
}

/// Each bit of the payload is as likely to be flipped as any other: Pearson's χ², whose 99.9 %
/// point is by Wilson and Hilferty.
fn flipped(packets: u64, seed: u64, each: &mut impl FnMut(Row)) {
    let asked = "corrupt = '20%'";
    let mut hits = [0_u64; PAYLOAD_BYTES * 8];
    let look = |packet: &lftp_netem::packet::Packet| {
        let number = packet.payload.iter().position(|byte| *byte != 0);
        if let Some(byte) = number {
            hits[byte * 8 + packet.payload[byte].trailing_zeros() as usize] += 1;
        }
    };
    run(asked, seed, packets, 1000, look, |_| {});
    let expected = hits.iter().sum::<u64>() as f64 / hits.len() as f64;
    let squares = hits.iter().map(|hits| (*hits as f64 - expected).powi(2));
    let freedom = (hits.len() - 1) as f64;
    let part = 2.0 / (9.0 * freedom);
    // One-sided: 99.9 % of the normal distribution are below 3.0902.
    let bound = freedom * (1.0 - part + 3.0902 * part.sqrt()).powi(3);
    each(Row {
        model: "corruption",
        asked: asked.to_owned(),
        quantity: "χ² of the bits",
        analytic: 0.0,
        measured: squares.sum::<f64>() / expected,
        half_width: bound,
    });
}
