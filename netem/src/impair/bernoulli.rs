//! A Bernoulli process: something happens to a share of the packets, to each by itself or in runs.

use crate::{
    rng::{RngStream, Threshold, high},
    units::Percent,
};

#[derive(Debug)]
pub(crate) struct Bernoulli {
    share: Threshold,
    /// Transition probabilities of the chain, where it has one: into "it happens", and out of it.
    chain: Option<(Threshold, Threshold)>,
    happens: bool,
    /// The first packet the chain has not stepped for.
    next: u64,
    stream: RngStream,
}

impl Bernoulli {
    /// Creates a process that happens to `share` of the packets; that of neighbours is correlated
    /// by `correlation`, as in [`transitions`].
    pub(crate) fn new(share: Percent, correlation: Percent, stream: RngStream) -> Self {
        let chain = (correlation > Percent::ZERO).then(|| transitions(share, correlation));
        Self {
            share: share.threshold(),
            chain,
            happens: false,
            next: 0,
            stream,
        }
    }

    /// Samples the process for a packet: returns the sample if it happens, whose lower half is still
    /// random then.
    /// Copies, and packets that come after their successors, are not part of the chain.
    pub(crate) fn sample(&mut self, index: u64, copy: bool) -> Option<u64> {
        // Without a sample: most links have most impairments switched off.
        if self.share.is_never() {
            return None;
        }
        if let Some((enter, leave)) = self.chain
            && !copy
            && index >= self.next
        {
            return self.step_to(index, enter, leave);
        }
        // Beside the chain, a copy has the mean's probability: what it samples must not move the
        // chain.
        let sample = self.stream.at(index, copy);
        self.share.hits(high(sample)).then_some(sample)
    }

    /// Steps the chain up to this packet, also for packets that never came here: whether it happens
    /// to one must not depend on which others were lost before.
    fn step_to(&mut self, index: u64, enter: Threshold, leave: Threshold) -> Option<u64> {
        let mut sample = 0;
        while self.next <= index {
            sample = self.stream.at(self.next, false);
            self.next += 1;
            // One comparison a packet: the state, not the sample, says whether it happens.
            let change = if self.happens { leave } else { enter };
            self.happens ^= change.hits(high(sample));
        }
        self.happens.then_some(sample)
    }
}

/// The two transition probabilities of the chain with this mean, whose neighbours are correlated
/// by `correlation`: into the state in which it happens, and out of it.
///
/// The chain enters with probability `mean (1 - correlation)` and leaves with
/// `(1 - mean) (1 - correlation)`.
pub(crate) fn transitions(mean: Percent, correlation: Percent) -> (Threshold, Threshold) {
    let whole = u128::from(Percent::WHOLE);
    let free = u128::from(correlation.complement().parts());
    let change = |to: Percent| Threshold::ratio(u128::from(to.parts()) * free / whole, whole);
    (change(mean), change(mean.complement()))
}
