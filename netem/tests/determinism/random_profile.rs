//! A network at random, as text: every key and every model has its turn.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Random values for the keys of a profile.
pub(crate) struct Dice(pub(crate) ChaCha8Rng);

impl Dice {
    /// Returns a number from 0 to below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(end)) >> 64) as u64
    }

    /// Returns a number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn one_of<'t>(&mut self, words: &[&'t str]) -> &'t str {
        words[self.below(words.len() as u64) as usize]
    }

    /// Returns a share from `low` to `high` hundredths of a percent.
    fn percent(&mut self, low: u64, high: u64) -> String {
        let hundredths = self.between(low, high);
        format!("'{}.{:02}%'", hundredths / 100, hundredths % 100)
    }
}

/// The text of a `[network]` table.
pub(crate) fn network(dice: &mut Dice) -> String {
    let both = direction(dice);
    let reverse = direction(dice);
    format!("[forward]\n{both}[reverse]\n{reverse}")
}

fn direction(dice: &mut Dice) -> String {
    let mut keys = Vec::new();
    let mtu = dice.between(1200, 1500);
    keys.push(format!("mtu = '{mtu}B'"));
    let bottleneck = bottleneck(dice, &mut keys);
    wire(dice, &mut keys);
    let loss = loss(dice);
    keys.push(format!("loss = {loss}"));
    let position = dice.one_of(&["after-queue", "before-queue"]);
    keys.push(format!("loss_position = '{position}'"));
    for key in ["duplicate", "corrupt"] {
        if dice.once_in(2) {
            keys.push(format!("{key} = {}", dice.percent(1, 1000)));
            if dice.once_in(2) {
                keys.push(format!("{key}_correlation = {}", dice.percent(1, 9000)));
            }
        }
    }
    if dice.once_in(3) {
        keys.push(format!("truncate = {}", dice.percent(1, 1000)));
    }
    if dice.once_in(2) {
        keys.push(format!("schedule = [{}]", schedule(dice, bottleneck)));
    }
    keys.join("\n") + "\n"
}

/// Keys of the bottleneck.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bottleneck {
    None,
    Rate,
    Trace,
}

fn bottleneck(dice: &mut Dice, keys: &mut Vec<String>) -> Bottleneck {
    let rate = dice.between(1_000_000, 200_000_000);
    let bottleneck = match dice.below(8) {
        0 => return Bottleneck::None,
        1 => {
            keys.push("mahimahi = '1 1 2 4 4 7'".to_owned());
            Bottleneck::Trace
        }
        kind => {
            keys.push(format!("rate = '{rate}bit'"));
            if kind == 2 {
                keys.push(format!("burst = '{}B'", dice.between(1500, 20_000)));
                if dice.once_in(2) {
                    keys.push(format!(
                        "peak_rate = '{}bit'",
                        rate + dice.between(1, 1 << 30)
                    ));
                }
            }
            Bottleneck::Rate
        }
    };
    if dice.once_in(3) {
        let sign = dice.one_of(&["", "-"]);
        keys.push(format!("overhead = '{sign}{}B'", dice.below(60)));
        if dice.once_in(2) {
            keys.push("cell = '48B'\ncell_overhead = '5B'".to_owned());
        }
    }
    let queue = match dice.below(4) {
        0 => format!("{}p", dice.between(2, 100)),
        1 => format!("{}B", dice.between(3000, 200_000)),
        2 => format!("{}us", dice.between(500, 50_000)),
        _ => format!("0.{}bdp", dice.between(1, 9)),
    };
    keys.push(format!("queue = '{queue}'"));
    if dice.once_in(3) {
        keys.push(format!("ecn_threshold = '{}p'", dice.between(1, 50)));
    }
    keys.push(format!("discipline = {}", discipline(dice)));
    bottleneck
}

fn discipline(dice: &mut Dice) -> String {
    let ecn = dice.one_of(&["true", "false"]);
    let target = dice.between(100, 5000);
    match dice.below(7) {
        0 => "'drop-tail'".to_owned(),
        1 => "'drop-head'".to_owned(),
        2 => format!(
            "{{ name = 'red', min = '3kB', max = '30kB', probability = {}, weight = {}, \
             ecn = {ecn} }}",
            dice.percent(1, 5000),
            dice.between(1, 9)
        ),
        3 => format!("{{ name = 'codel', target = '{target}us', interval = '20ms', ecn = {ecn} }}"),
        4 => format!(
            "{{ name = 'pie', target = '{target}us', update = '2ms', burst = '5ms', ecn = {ecn} }}"
        ),
        5 => format!(
            "{{ name = 'fq-codel', target = '{target}us', interval = '20ms', ecn = {ecn}, \
             flows = {}, quantum = '{}B', ce_threshold = '{}us' }}",
            dice.between(1, 64),
            dice.between(200, 3000),
            dice.between(500, 50_000)
        ),
        _ => format!(
            "{{ name = 'dualpi2', target = '{target}us', update = '2ms', alpha = '{}mHz', \
             beta = '{}Hz', coupling = {}, step = '{}us', classic_share = {}, \
             drop_on_overload = {ecn} }}",
            dice.between(100, 5000),
            dice.between(1, 50),
            dice.between(1, 4),
            dice.between(100, 2000),
            dice.percent(500, 9500)
        ),
    }
}

fn wire(dice: &mut Dice, keys: &mut Vec<String>) {
    keys.push(format!("delay = '{}us'", dice.below(30_000)));
    if dice.once_in(2) {
        keys.push(format!("jitter = '{}us'", dice.between(1, 5000)));
        let distribution = dice.one_of(&["uniform", "normal", "pareto", "paretonormal", "table"]);
        match distribution {
            "table" => keys.push("jitter_table = '-8192 -4 0 77 5000 30000'".to_owned()),
            name => keys.push(format!("jitter_distribution = '{name}'")),
        }
        if dice.once_in(2) {
            keys.push(format!("jitter_correlation = {}", dice.percent(1, 9900)));
        }
        keys.push(format!(
            "jitter_reorder = {}",
            dice.one_of(&["true", "false"])
        ));
    }
    if dice.once_in(3) {
        let mut reorder = format!("probability = {}", dice.percent(1, 5000));
        if dice.once_in(2) {
            reorder += &format!(", delay = '{}us'", dice.between(1, 5000));
        }
        if dice.once_in(2) {
            reorder += &format!(", gap = {}", dice.between(1, 9));
        }
        if dice.once_in(2) {
            reorder += &format!(", correlation = {}", dice.percent(1, 9000));
        }
        keys.push(format!("reorder = {{ {reorder} }}"));
    }
    if dice.once_in(5) {
        let min = dice.between(10, 2000);
        keys.push(format!(
            "slots = {{ min = '{min}us', max = '{}us', packets = {}, bytes = '{}B' }}",
            min + dice.below(3000),
            dice.between(1, 64),
            dice.between(1000, 100_000)
        ));
    }
}

fn loss(dice: &mut Dice) -> String {
    let model = |name: &str, rest: String| format!("{{ model = '{name}', {rest} }}");
    match dice.below(9) {
        0 => dice.percent(0, 1000),
        1 => model(
            "gilbert-elliott",
            format!(
                "mean = {}, burst = '{}p'",
                dice.percent(1, 2000),
                dice.between(1, 20)
            ),
        ),
        2 => model(
            "gilbert-elliott",
            format!(
                "p = {}, r = {}, 1-h = {}, 1-k = {}",
                dice.percent(1, 1000),
                dice.percent(500, 9000),
                dice.percent(1000, 10_000),
                dice.percent(0, 500)
            ),
        ),
        3 => model(
            "4-state",
            format!(
                "p13 = {}, p31 = {}, p32 = {}, p23 = {}, p14 = {}",
                dice.percent(1, 1000),
                dice.percent(500, 5000),
                dice.percent(0, 5000),
                dice.percent(500, 10_000),
                dice.percent(0, 1000)
            ),
        ),
        4 => model(
            "correlated",
            format!(
                "mean = {}, correlation = {}",
                dice.percent(1, 2000),
                dice.percent(0, 9000)
            ),
        ),
        5 => model(
            "netem-correlated",
            format!(
                "probability = {}, correlation = {}",
                dice.percent(1, 5000),
                dice.percent(0, 9000)
            ),
        ),
        6 => model("nth", format!("every = {}", dice.between(2, 30))),
        7 => model(
            "list",
            format!("packets = '3, 5, 9-{}'", dice.between(10, 200)),
        ),
        _ => model("pattern", "pattern = '......x...xx....'".to_owned()),
    }
}

/// Entries that do not overlap.
fn schedule(dice: &mut Dice, bottleneck: Bottleneck) -> String {
    let entry = |number: u64| {
        let at_ms = number * 8 + dice.below(4);
        let mut entry = format!("at = '{at_ms}ms'");
        match dice.below(4) {
            0 => entry += &format!(", blackout_until = '{}ms'", at_ms + 2),
            1 if bottleneck == Bottleneck::Rate => {
                entry += &format!(", pause_until = '{}ms'", at_ms + 2);
            }
            2 => entry += &format!(", loss = {}", loss(dice)),
            _ => {
                entry += &format!(", delay = '{}us'", dice.below(30_000));
                if bottleneck == Bottleneck::Rate {
                    let rate = dice.between(1_000_000, 100_000_000);
                    entry += &format!(", rate = '{rate}bit'");
                }
                if dice.once_in(2) {
                    entry += ", ramp = '3ms'";
                }
            }
        }
        format!("{{ {entry} }}")
    };
    (1..5).map(entry).collect::<Vec<_>>().join(", ")
}
