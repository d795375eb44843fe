//! A Markov chain that makes things happen: its mean in the long run, and the variance of a finite
//! run.

/// Something happens at each step of a chain, with a probability that depends on the states
/// before and after the step.
#[derive(Debug)]
pub(crate) struct Chain {
    /// Transition probabilities.
    step: Vec<Vec<f64>>,
    /// Probability that it happens on that step.
    happens: Vec<Vec<f64>>,
}

/// Mean and variance of a chain.
#[derive(Debug)]
pub(crate) struct Nature {
    /// Share of steps on which it happens.
    pub(crate) share: f64,
    /// The variance of that share in a run of `n` steps, times `n`.
    pub(crate) share_variance: f64,
    /// Mean length of the runs in which it happens.
    pub(crate) run: f64,
    /// The variance of that average, times `n`.
    pub(crate) run_variance: f64,
}

impl Chain {
    /// It happens with this probability, whatever happened before.
    pub(crate) fn independent(probability: f64) -> Self {
        Self {
            step: vec![vec![1.0]],
            happens: vec![vec![probability]],
        }
    }

    /// Gilbert and Elliott's: good to bad, bad to good, how often in the bad and in the good
    /// state; the state before the step decides.
    pub(crate) fn gilbert_elliott(p: f64, r: f64, bad: f64, good: f64) -> Self {
        Self {
            step: vec![vec![1.0 - p, p], vec![r, 1.0 - r]],
            happens: vec![vec![good; 2], vec![bad; 2]],
        }
    }

    /// With this mean, and this correlation between neighbours.
    pub(crate) fn correlated(mean: f64, correlation: f64) -> Self {
        let again = mean + correlation * (1.0 - mean);
        Self::gilbert_elliott(mean * (1.0 - correlation), 1.0 - again, 1.0, 0.0)
    }

    /// The four states of `tc netem`, in its order: good in a gap, good in a burst, lost in a
    /// burst, lost in a gap; the state after the step decides.
    pub(crate) fn four_state(p13: f64, p31: f64, p32: f64, p23: f64, p14: f64) -> Self {
        Self {
            step: vec![
                vec![1.0 - p13 - p14, 0.0, p13, p14],
                vec![0.0, 1.0 - p23, p23, 0.0],
                vec![p31, p32, 1.0 - p31 - p32, 0.0],
                vec![1.0, 0.0, 0.0, 0.0],
            ],
            happens: vec![vec![0.0, 0.0, 1.0, 1.0]; 4],
        }
    }

    /// The chain of (state, happened now, happened before), and its balance.
    fn unfolded(&self) -> (Vec<Vec<f64>>, Vec<f64>) {
        let states = self.step.len();
        let size = states * 4;
        let mut step = vec![vec![0.0; size]; size];
        for (from, row) in step.iter_mut().enumerate() {
            let (state, now) = (from / 4, from % 4 / 2);
            for to in 0..states {
                let happens = self.happens[state][to];
                for (then, share) in [(0, 1.0 - happens), (1, happens)] {
                    row[to * 4 + then * 2 + now] += self.step[state][to] * share;
                }
            }
        }
        let mut balance = vec![1.0 / size as f64; size];
        for _ in 0..STEPS {
            balance = forward(&balance, &step);
        }
        (step, balance)
    }

    /// The variance of the sum of `value` over a run of `n` steps, divided by `n`, for values
    /// with a mean of 0: that of one, and twice its covariances with all that follow.
    fn variance(step: &[Vec<f64>], balance: &[f64], value: &[f64]) -> f64 {
        let mut later = value.to_vec();
        let mut sum: f64 = dot(balance, value, value);
        for _ in 0..STEPS {
            later = step.iter().map(|row| product(row, &later)).collect();
            sum += 2.0 * dot(balance, value, &later);
        }
        sum
    }

    pub(crate) fn nature(&self) -> Nature {
        let (step, balance) = self.unfolded();
        let now = |state: usize| f64::from(u8::from(state % 4 >= 2));
        let begins = |state: usize| f64::from(u8::from(state % 4 == 2));
        let states = 0..balance.len();
        let mean = |value: &dyn Fn(usize) -> f64| -> f64 {
            states
                .clone()
                .map(|state| balance[state] * value(state))
                .sum()
        };
        let (share, starts) = (mean(&now), mean(&begins));
        let run = share / starts;
        let of_share: Vec<_> = states.clone().map(|state| now(state) - share).collect();
        let of_run: Vec<_> = states
            .clone()
            .map(|state| now(state) - run * begins(state))
            .collect();
        Nature {
            share,
            share_variance: Self::variance(&step, &balance, &of_share),
            run,
            run_variance: Self::variance(&step, &balance, &of_run) / (starts * starts),
        }
    }
}

/// After so many steps no chain here remembers anything.
const STEPS: usize = 4000;

fn forward(balance: &[f64], step: &[Vec<f64>]) -> Vec<f64> {
    let to = |to: usize| {
        balance
            .iter()
            .zip(step)
            .map(|(share, row)| share * row[to])
            .sum()
    };
    (0..balance.len()).map(to).collect()
}

fn product(row: &[f64], values: &[f64]) -> f64 {
    row.iter().zip(values).map(|(a, b)| a * b).sum()
}

fn dot(weights: &[f64], a: &[f64], b: &[f64]) -> f64 {
    let products = a.iter().zip(b).map(|(a, b)| a * b);
    weights
        .iter()
        .zip(products)
        .map(|(weight, product)| weight * product)
        .sum()
}
