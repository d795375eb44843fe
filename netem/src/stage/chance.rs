//! Something that happens to a share of the packets: to each by itself, or in runs.

use crate::{
    Direction,
    profile::{CorrelatedLoss, Percent},
    rng::{Draws, Threshold, high},
};

#[derive(Debug)]
pub(crate) struct Chance {
    share: Threshold,
    /// From "it did not happen to the packet before" to "it does to this one", and back.
    chain: Option<(Threshold, Threshold)>,
    happens: bool,
    /// The next packet the chain has not been told of.
    next: u64,
    draws: Draws,
}

impl Chance {
    /// It happens to `share` of the packets; what happened to one and to the next is correlated
    /// by `correlation`, as in [`CorrelatedLoss`].
    pub(crate) fn new(
        share: Percent,
        correlation: Percent,
        seed: u64,
        direction: Direction,
        name: &str,
    ) -> Self {
        let chain = (correlation > Percent::ZERO).then(|| {
            let chain = CorrelatedLoss::chain(share, correlation);
            (chain.to_bad, chain.to_good)
        });
        Self {
            share: share.threshold(),
            chain,
            happens: false,
            next: 0,
            draws: Draws::new(seed, direction, name),
        }
    }

    /// The packet's draw, if it happens to it; of the draw the lower half is still random.
    /// Copies, and packets that come after their successors, are not part of the chain.
    pub(crate) fn hit(&mut self, index: u64, copy: bool) -> Option<u64> {
        if self.share.is_never() {
            return None;
        }
        if let Some((begin, end)) = self.chain
            && !copy
            && index >= self.next
        {
            return self.step_to(index, begin, end);
        }
        let draw = self.draws.at(index, copy);
        self.share.hits(high(draw)).then_some(draw)
    }

    /// The chain also steps for packets that never came here.
    fn step_to(&mut self, index: u64, begin: Threshold, end: Threshold) -> Option<u64> {
        let mut draw = 0;
        while self.next <= index {
            draw = self.draws.at(self.next, false);
            self.next += 1;
            let change = if self.happens { end } else { begin };
            self.happens ^= change.hits(high(draw));
        }
        self.happens.then_some(draw)
    }
}
