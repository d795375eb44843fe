//! Both links in real time: their pace, the lateness allowed, and the way of the packet records.

use super::{
    OnRecords,
    pacer::Pacer,
    report::{LatenessBudget, LinkSnapshot, Measured},
};
use crate::{
    Direction, PerDirection, Time,
    link_pair::{LinkPair, LinkPairConfig},
    packet::Packet,
    profile::DirectionProfile,
    record::PacketRecord,
};

/// Records are delivered at the latest when there are this many.
const RECORDS_MAX: usize = 16_384;

pub(crate) struct PacedLinksConfig<'a> {
    pub(crate) links: &'a LinkPairConfig,
    pub(crate) on_records: Option<OnRecords>,
    pub(crate) capture: bool,
    pub(crate) budget: LatenessBudget,
}

/// A pair of links that follows the machine's clock.
pub(crate) struct PacedLinks {
    links: LinkPair,
    pacers: PerDirection<Pacer>,
    budget: LatenessBudget,
    limit_ns: u64,
    on_records: Option<OnRecords>,
    records: Vec<PacketRecord>,
}

impl PacedLinks {
    pub(crate) fn new(config: PacedLinksConfig<'_>) -> Self {
        let mut links = LinkPair::new(config.links);
        for link in links.iter_mut() {
            link.keep_records(config.on_records.is_some());
            link.keep_payloads(config.capture);
        }
        Self {
            links,
            pacers: PerDirection::from_fn(|_| Pacer::new()),
            limit_ns: config.budget.limit_ns(&config.links.profiles),
            budget: config.budget,
            on_records: config.on_records,
            records: Vec::new(),
        }
    }

    /// The direction of packets from clients to servers.
    pub(crate) const fn client_to_server(&self) -> Direction {
        self.links.client_to_server()
    }

    /// Measurements of one direction, to be added to.
    pub(crate) fn measured_mut(&mut self, direction: Direction) -> &mut Measured {
        &mut self.pacers[direction].measured
    }

    /// The time of the next event in either link.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        self.links.next_wakeup()
    }

    /// Hands a packet that arrived at `arrived` to its link; see [`Pacer::push`].
    pub(crate) fn push(
        &mut self,
        direction: Direction,
        arrived: Time,
        packet: Packet,
        mut out: impl FnMut(Direction, Time, Packet),
    ) {
        let out = &mut |due, packet| out(direction, due, packet);
        self.pacers[direction].push(&mut self.links[direction], arrived, packet, out);
    }

    /// Everything due up to `until` goes to `out`, with its direction and the time at which it was
    /// due.
    pub(crate) fn advance(&mut self, until: Time, mut out: impl FnMut(Direction, Time, Packet)) {
        for direction in self.links.service_order() {
            let out = &mut |due, packet| out(direction, due, packet);
            self.pacers[direction].advance(&mut self.links[direction], until, out);
        }
    }

    /// Changes the links to `profiles` at `now`, after all that was due before. The lateness
    /// allowed shrinks where the new network allows less.
    pub(crate) fn set_network(
        &mut self,
        now: Time,
        profiles: &PerDirection<DirectionProfile>,
        mut out: impl FnMut(Direction, Time, Packet),
    ) {
        // It never grows: the packets of the earlier network are in the same histogram, and have
        // to be judged by what was allowed then.
        self.limit_ns = self.limit_ns.min(self.budget.limit_ns(profiles));
        for direction in self.links.service_order() {
            let out = &mut |due, packet| out(direction, due, packet);
            let link = &mut self.links[direction];
            self.pacers[direction].set_profile(link, now, &profiles[direction], out);
        }
    }

    /// Takes over the links' records, and delivers them when there are many or `quiet` says that
    /// there is time.
    pub(crate) fn keep_records(&mut self, quiet: impl FnOnce(&Self) -> bool) {
        if self.on_records.is_none() {
            return;
        }
        self.take_records();
        // The callback runs on this thread and may take long: a pause is the time for it, unless
        // memory is at stake.
        if self.records.len() >= RECORDS_MAX || (!self.records.is_empty() && quiet(self)) {
            self.deliver_records();
        }
    }

    /// Delivers every record there is.
    pub(crate) fn deliver_records(&mut self) {
        self.take_records();
        if let Some(on_records) = &mut self.on_records
            && !self.records.is_empty()
        {
            on_records(&self.records);
            self.records.clear();
        }
    }

    fn take_records(&mut self) {
        for direction in self.links.service_order() {
            self.links[direction].take_records(&mut self.records);
        }
    }

    /// Both links' parts of a report.
    pub(crate) fn snapshots(&self) -> PerDirection<LinkSnapshot> {
        PerDirection::from_fn(|direction| self.pacers[direction].snapshot(&self.links[direction]))
    }

    pub(crate) const fn budget(&self) -> LatenessBudget {
        self.budget
    }

    /// The limit on the 99th percentile of lateness.
    pub(crate) const fn limit_ns(&self) -> u64 {
        self.limit_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{link_pair, profile::NetworkProfile};

    fn links(network: &str, client_to_server: Direction) -> PacedLinks {
        let network = NetworkProfile::from_toml_str(network).unwrap();
        let mut links = LinkPairConfig::new(&network, 1);
        links.client_to_server = client_to_server;
        PacedLinks::new(PacedLinksConfig {
            links: &links,
            on_records: None,
            capture: false,
            budget: LatenessBudget::default(),
        })
    }

    fn push(links: &mut PacedLinks, direction: Direction) {
        let address = "10.0.0.1:1".parse().unwrap();
        let packet = Packet::new(address, address, 0, vec![0; 100]);
        links.push(direction, Time::ZERO, packet, |_, due, _| {
            panic!("nothing is due at {due:?}")
        });
    }

    #[test]
    fn the_way_to_the_server_is_the_forward_link_or_the_reverse_one() {
        let network = "forward = { delay = '5ms' }\nreverse = { delay = '9ms' }";
        for (direction, delay_ns) in [
            (Direction::Forward, 5_000_000),
            (Direction::Reverse, 9_000_000),
        ] {
            let mut links = links(network, direction);
            let to_server = links.client_to_server();
            push(&mut links, to_server);
            assert_eq!(links.next_wakeup(), Some(Time::from_nanos(delay_ns)));
            let received = links.snapshots().map(|link| link.received);
            assert_eq!(received[direction], 1);
            assert_eq!(received[direction.opposite()], 0);
        }
    }

    #[test]
    fn a_new_network_lets_out_what_was_due_and_may_only_tighten_the_budget() {
        let mut links = links("delay = '100ms'", Direction::Forward);
        assert_eq!(links.limit_ns(), 5_000_000);
        push(&mut links, Direction::Reverse);
        let mut out = Vec::new();
        let profiles = |toml| link_pair::profiles(&NetworkProfile::from_toml_str(toml).unwrap());
        links.set_network(
            Time::from_nanos(100_000_000),
            &profiles("delay = '40ms'"),
            |direction, due, _| out.push((direction, due.as_nanos())),
        );
        assert_eq!(out, [(Direction::Reverse, 100_000_000)]);
        assert_eq!(links.limit_ns(), 2_000_000);
        let long = profiles("delay = '1s'");
        links.set_network(Time::from_nanos(200_000_000), &long, |_, _, _| {});
        assert_eq!(links.limit_ns(), 2_000_000);
    }
}
