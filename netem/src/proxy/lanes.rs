//! Both directions together: which of them is the forward one, how late they may be, and what
//! becomes of their packets' records.

use super::{
    OnRecords,
    lane::Lane,
    report::{LaneSnapshot, LatenessBudget},
};
use crate::{
    Direction, Time, link::Link, packet::Packet, profile::DirectionProfile, record::PacketRecord,
    recording::Recording,
};

/// The lane from client to server, and the other.
pub(crate) const UP: usize = 0;
pub(crate) const DOWN: usize = 1;

/// Records are handed out at the latest when there are so many.
const RECORDS_MAX: usize = 16_384;

/// What two lanes are made of.
pub(crate) struct LanesConfig<'a> {
    pub(crate) forward: &'a DirectionProfile,
    pub(crate) reverse: &'a DirectionProfile,
    pub(crate) client_to_server: Direction,
    pub(crate) seed: u64,
    pub(crate) tape: Option<&'a Recording>,
    pub(crate) on_records: Option<OnRecords>,
    pub(crate) capture: bool,
    pub(crate) budget: LatenessBudget,
}

/// Two lanes, [`UP`] and [`DOWN`].
pub(crate) struct Lanes {
    lanes: [Lane; 2],
    client_to_server: Direction,
    budget: LatenessBudget,
    limit_ns: u64,
    on_records: Option<OnRecords>,
    records: Vec<PacketRecord>,
}

impl Lanes {
    pub(crate) fn new(config: LanesConfig<'_>) -> Self {
        let lane = |profile, direction| {
            let mut link = Link::new(profile, config.seed, direction);
            link.keep_records(config.on_records.is_some());
            link.keep_payloads(config.capture);
            if let Some(tape) = config.tape {
                link.replay(tape);
            }
            Lane::new(link)
        };
        let forward = lane(config.forward, Direction::Forward);
        let reverse = lane(config.reverse, Direction::Reverse);
        Self {
            lanes: turned(config.client_to_server, [forward, reverse]),
            client_to_server: config.client_to_server,
            limit_ns: config.budget.limit_ns(config.forward, config.reverse),
            budget: config.budget,
            on_records: config.on_records,
            records: Vec::new(),
        }
    }

    pub(crate) const fn get_mut(&mut self, lane: usize) -> &mut Lane {
        &mut self.lanes[lane]
    }

    /// When something is to be done in one of them.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        let [up, down] = &self.lanes;
        let due = up.next_wakeup().into_iter().chain(down.next_wakeup());
        due.min()
    }

    /// Everything due up to `until` goes to `out`, with its lane and the moment it was due.
    pub(crate) fn advance(&mut self, until: Time, mut out: impl FnMut(usize, Time, Packet)) {
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.advance(until, &mut |due, packet| out(index, due, packet));
        }
    }

    /// From `now` on the links are as `forward` and `reverse` say, after all that was to be done
    /// before. The lateness allowed becomes less where the new network allows less.
    pub(crate) fn set_network(
        &mut self,
        now: Time,
        [forward, reverse]: &[DirectionProfile; 2],
        mut out: impl FnMut(usize, Time, Packet),
    ) {
        self.limit_ns = self.limit_ns.min(self.budget.limit_ns(forward, reverse));
        let profiles = turned(self.client_to_server, [forward, reverse]);
        for (index, (lane, profile)) in self.lanes.iter_mut().zip(profiles).enumerate() {
            lane.set_profile(now, profile, &mut |due, packet| out(index, due, packet));
        }
    }

    /// Takes over the links' records, and hands them out when there are many or `quiet` says
    /// that there is time.
    pub(crate) fn keep_records(&mut self, quiet: impl FnOnce(&Self) -> bool) {
        if self.on_records.is_none() {
            return;
        }
        self.take_records();
        if self.records.len() >= RECORDS_MAX || (!self.records.is_empty() && quiet(self)) {
            self.hand_out_records();
        }
    }

    /// Hands out every record there is.
    pub(crate) fn hand_out_records(&mut self) {
        self.take_records();
        if let Some(on_records) = &mut self.on_records
            && !self.records.is_empty()
        {
            on_records(&self.records);
            self.records.clear();
        }
    }

    fn take_records(&mut self) {
        for lane in &mut self.lanes {
            lane.link.take_records(&mut self.records);
        }
    }

    /// What is told of the forward and the reverse one in a report.
    pub(crate) fn snapshots(&self) -> [LaneSnapshot; 2] {
        turned(
            self.client_to_server,
            self.lanes.each_ref().map(Lane::snapshot),
        )
    }

    pub(crate) const fn budget(&self) -> LatenessBudget {
        self.budget
    }

    /// What the 99th percentile of lateness may be.
    pub(crate) const fn limit_ns(&self) -> u64 {
        self.limit_ns
    }
}

/// Forward and reverse as client to server and back, or the other way about.
pub(crate) fn turned<T>(client_to_server: Direction, [one, other]: [T; 2]) -> [T; 2] {
    match client_to_server {
        Direction::Forward => [one, other],
        Direction::Reverse => [other, one],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::NetworkProfile;

    fn lanes(network: &str, client_to_server: Direction) -> Lanes {
        let network = NetworkProfile::from_toml_str(network).unwrap();
        Lanes::new(LanesConfig {
            forward: &network.forward(),
            reverse: &network.reverse(),
            client_to_server,
            seed: 1,
            tape: None,
            on_records: None,
            capture: false,
            budget: LatenessBudget::default(),
        })
    }

    fn push(lanes: &mut Lanes, lane: usize) {
        let address = "10.0.0.1:1".parse().unwrap();
        let packet = Packet::new(address, address, 0, vec![0; 100]);
        let unexpected = &mut |due, _| panic!("nothing is due at {due:?}");
        lanes
            .get_mut(lane)
            .push(Time::from_nanos(0), packet, unexpected);
    }

    #[test]
    fn the_way_to_the_server_is_the_forward_link_or_the_reverse_one() {
        let network = "forward = { delay = '5ms' }\nreverse = { delay = '9ms' }";
        for (way, up_ns) in [
            (Direction::Forward, 5_000_000),
            (Direction::Reverse, 9_000_000),
        ] {
            let mut lanes = lanes(network, way);
            push(&mut lanes, UP);
            assert_eq!(lanes.next_wakeup(), Some(Time::from_nanos(up_ns)));
            let entered = lanes.snapshots().map(|lane| lane.entered);
            assert_eq!(entered, turned(way, [1, 0]));
        }
    }

    #[test]
    fn a_new_network_lets_out_what_was_due_and_may_only_tighten_the_budget() {
        let mut lanes = lanes("delay = '100ms'", Direction::Forward);
        assert_eq!(lanes.limit_ns(), 5_000_000);
        push(&mut lanes, DOWN);
        let mut out = Vec::new();
        let short = NetworkProfile::from_toml_str("delay = '40ms'").unwrap();
        lanes.set_network(
            Time::from_nanos(100_000_000),
            &[short.forward(), short.reverse()],
            |lane, due, _| out.push((lane, due.as_nanos())),
        );
        assert_eq!(out, [(DOWN, 100_000_000)]);
        assert_eq!(lanes.limit_ns(), 2_000_000);
        let long = NetworkProfile::from_toml_str("delay = '1s'").unwrap();
        let links = [long.forward(), long.reverse()];
        lanes.set_network(Time::from_nanos(200_000_000), &links, |_, _, _| {});
        assert_eq!(lanes.limit_ns(), 2_000_000);
    }
}
