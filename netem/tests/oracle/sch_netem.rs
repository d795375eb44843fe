//! Linux's `sch_netem` as of 6.18: its formulas, by their names there, with the
//! random numbers handed in. A reference for tests, written from what the formulas are.

/// A table's unit of one standard deviation (`NETEM_DIST_SCALE`).
pub(crate) const DIST_SCALE: i64 = 8192;

/// A percentage as `tc` hands it over.
pub(crate) fn percent(percent: f64) -> u32 {
    (percent / 100.0 * f64::from(u32::MAX)).round_ties_even() as u32
}

/// `get_crandom`: a number that is like the one before.
#[derive(Debug)]
pub(crate) struct Crandom {
    /// In the kernel this starts with a random number; here with the middle.
    pub(crate) last: u32,
    pub(crate) rho: u32,
}

impl Crandom {
    pub(crate) const fn new(rho: u32) -> Self {
        Self { last: 1 << 31, rho }
    }

    pub(crate) fn get(&mut self, random: u32) -> u32 {
        if self.rho == 0 {
            return random;
        }
        let (old, all) = (u128::from(self.rho) + 1, 1_u128 << 32);
        let mixed = u128::from(random) * (all - old) + u128::from(self.last) * old;
        self.last = (mixed >> 32) as u32;
        self.last
    }
}

/// Something that happens if `probability` is not below the random number, and is not 0: loss,
/// duplication, corruption.
pub(crate) const fn event(probability: u32, random: u32) -> bool {
    probability != 0 && random <= probability
}

/// `loss_4state`.
#[derive(Debug)]
pub(crate) struct FourState {
    pub(crate) p13: u32,
    pub(crate) p31: u32,
    pub(crate) p32: u32,
    pub(crate) p23: u32,
    pub(crate) p14: u32,
    pub(crate) state: u8,
}

impl FourState {
    pub(crate) const fn loses(&mut self, random: u32) -> bool {
        self.state = match self.state {
            1 if random < self.p14 => 4,
            1 if random < self.p13 + self.p14 => 3,
            2 if random < self.p23 => 3,
            3 if random < self.p32 => 2,
            3 if random < self.p31 + self.p32 => 1,
            4 => 1,
            same => same,
        };
        matches!(self.state, 3 | 4)
    }
}

/// `loss_gilb_ell`.
#[derive(Debug)]
pub(crate) struct GilbertElliott {
    pub(crate) p: u32,
    pub(crate) r: u32,
    pub(crate) h: u32,
    pub(crate) one_minus_k: u32,
    pub(crate) bad: bool,
}

impl GilbertElliott {
    /// The first random number may change the state, the second is for the state before.
    pub(crate) const fn loses(&mut self, change: u32, loss: u32) -> bool {
        if self.bad {
            self.bad = change >= self.r;
            loss > self.h
        } else {
            self.bad = change < self.p;
            loss < self.one_minus_k
        }
    }
}

/// `tabledist` without a table.
pub(crate) fn uniform(mu: i64, sigma: u32, random: u32) -> i64 {
    i64::from(random % (2 * sigma)) + mu - i64::from(sigma)
}

/// `tabledist` at an entry of a table: rounded to the nearest, halves away from zero.
pub(crate) fn tabledist(mu: i64, sigma: i32, entry: i16) -> i64 {
    let (sigma, entry) = (i64::from(sigma), i64::from(entry));
    let fine = sigma % DIST_SCALE * entry;
    let half = if fine < 0 {
        -DIST_SCALE / 2
    } else {
        DIST_SCALE / 2
    };
    (fine + half) / DIST_SCALE + sigma / DIST_SCALE * entry + mu
}

/// Selection of the packets that are sent ahead.
#[derive(Debug)]
pub(crate) struct Reorder {
    pub(crate) gap: u32,
    pub(crate) probability: u32,
    pub(crate) counter: u32,
}

impl Reorder {
    pub(crate) const fn ahead(&mut self, random: u32) -> bool {
        if self.gap == 0 || self.counter < self.gap - 1 || self.probability < random {
            self.counter += 1;
            return false;
        }
        self.counter = 0;
        true
    }
}

/// `packet_time_ns`: the rate is in bytes per second.
pub(crate) fn packet_time_ns(
    len: u64,
    overhead: i64,
    (cell_size, cell_overhead): (u64, u64),
    rate: u64,
) -> u64 {
    let mut bytes = len.wrapping_add_signed(overhead);
    if cell_size > 0 {
        bytes = bytes.div_ceil(cell_size) * (cell_size + cell_overhead);
    }
    bytes * 1_000_000_000 / rate
}

/// Times at which packets are sent, with a rate and a fixed delay: each behind the one before.
#[derive(Debug, Default)]
pub(crate) struct Rated {
    last: Option<u64>,
}

impl Rated {
    pub(crate) fn time_to_send(&mut self, now: u64, delay: u64, packet_ns: u64) -> u64 {
        // What has been sent by now is in the queue no more.
        let last = self.last.filter(|last| *last > now);
        let from = last.map_or(now + delay, |last| last.max(now + delay));
        self.last = Some(from + packet_ns);
        from + packet_ns
    }
}
