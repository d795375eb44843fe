//! Fair shares: who holds how many of something, by address prefix, and who has to give one back.
//!
//! When a place is wanted and none is free, it is taken from the network that holds most, there
//! from the host that holds most, and there it is the oldest. So a client from another network
//! gets a place, and keeps it for as long as some network holds two: to drive out a client,
//! an attacker needs more networks than there are places.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::prefix::AddressPrefix;

/// The holder of one place.
#[derive(Copy, Clone, Debug)]
struct Holder {
    host: AddressPrefix,
    network: AddressPrefix,
    /// The order in which places were taken.
    number: u64,
}

/// Places by their holders. Every operation takes logarithmic time: a flood calls them.
#[derive(Debug, Default)]
pub(super) struct Shares {
    holders: BTreeMap<u32, Holder>,
    /// The places of each host, the oldest first.
    hosts: BTreeMap<AddressPrefix, BTreeSet<(u64, u32)>>,
    /// The hosts of each network, by what they hold.
    hosts_by_places: BTreeSet<(AddressPrefix, usize, AddressPrefix)>,
    /// What each network holds, and when that last changed.
    networks: BTreeMap<AddressPrefix, (usize, u64)>,
    /// Of networks that hold the same, the one that has held it longest comes last.
    networks_by_places: BTreeSet<(usize, Reverse<u64>, AddressPrefix)>,
    next_number: u64,
}

impl Shares {
    /// Places held.
    pub(super) fn len(&self) -> usize {
        self.holders.len()
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.holders.contains_key(&id)
    }

    /// Places held by the host of an address.
    pub(super) fn held_by(&self, ip: IpAddr) -> usize {
        let places = self.hosts.get(&AddressPrefix::host(ip));
        places.map_or(0, BTreeSet::len)
    }

    /// The oldest place of the host of an address.
    pub(super) fn oldest_of(&self, ip: IpAddr) -> Option<u32> {
        let places = self.hosts.get(&AddressPrefix::host(ip))?;
        places.first().map(|&(_, id)| id)
    }

    /// The place to take back when another is wanted.
    pub(super) fn next_evicted(&self) -> Option<u32> {
        let &(_, _, network) = self.networks_by_places.last()?;
        self.places_of(self.largest_host(network)?).next()
    }

    /// The host that has to give a place to an address: the one that holds most in the network
    /// that holds most, or else in the address's own. None if who gets the place would then hold
    /// as many as who gives it.
    pub(super) fn yields_to(&self, ip: IpAddr) -> Option<AddressPrefix> {
        let of_network = |network| self.networks.get(&network).map_or(0, |held| held.0);
        let of_host = |host| self.hosts.get(&host).map_or(0, BTreeSet::len);
        let own = AddressPrefix::network(ip);
        let &(places, _, network) = self.networks_by_places.last()?;
        if places > of_network(own) + 1 {
            return self.largest_host(network);
        }
        let neighbour = self.largest_host(own)?;
        (of_host(neighbour) > of_host(AddressPrefix::host(ip)) + 1).then_some(neighbour)
    }

    /// The places of a host, the oldest first.
    pub(super) fn places_of(&self, host: AddressPrefix) -> impl Iterator<Item = u32> {
        let places = self.hosts.get(&host);
        places.into_iter().flatten().map(|&(_, id)| id)
    }

    /// The host that holds most in a network.
    fn largest_host(&self, network: AddressPrefix) -> Option<AddressPrefix> {
        let from = (network, 0, AddressPrefix::MIN);
        let to = (network, usize::MAX, AddressPrefix::MAX);
        let &(_, _, host) = self.hosts_by_places.range(from..=to).next_back()?;
        Some(host)
    }

    /// Records that a place is held from an address.
    pub(super) fn insert(&mut self, ip: IpAddr, id: u32) {
        self.remove(id);
        self.next_number += 1;
        let holder = Holder {
            host: AddressPrefix::host(ip),
            network: AddressPrefix::network(ip),
            number: self.next_number,
        };
        self.holders.insert(id, holder);
        let places = self.hosts.entry(holder.host).or_default();
        let before = places.len();
        places.insert((holder.number, id));
        self.recount_host(&holder, before, before + 1);
        let before = self.networks.get(&holder.network).map_or(0, |held| held.0);
        self.recount_network(holder.network, before + 1);
    }

    /// Gives a place back; false when `id` held none.
    pub(super) fn remove(&mut self, id: u32) -> bool {
        let Some(holder) = self.holders.remove(&id) else {
            return false;
        };
        let Some(places) = self.hosts.get_mut(&holder.host) else {
            return false;
        };
        let before = places.len();
        places.remove(&(holder.number, id));
        if places.is_empty() {
            self.hosts.remove(&holder.host);
        }
        self.recount_host(&holder, before, before - 1);
        let before = self.networks.get(&holder.network).map_or(1, |held| held.0);
        self.recount_network(holder.network, before - 1);
        true
    }

    fn recount_host(&mut self, holder: &Holder, before: usize, after: usize) {
        let ordered = |places| (holder.network, places, holder.host);
        self.hosts_by_places.remove(&ordered(before));
        if after > 0 {
            self.hosts_by_places.insert(ordered(after));
        }
    }

    fn recount_network(&mut self, network: AddressPrefix, places: usize) {
        if let Some((places, since)) = self.networks.remove(&network) {
            self.networks_by_places
                .remove(&(places, Reverse(since), network));
        }
        if places > 0 {
            self.next_number += 1;
            let since = self.next_number;
            self.networks.insert(network, (places, since));
            self.networks_by_places
                .insert((places, Reverse(since), network));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Host `host` of network `network`.
    fn address(network: u8, host: u8) -> IpAddr {
        IpAddr::from([10, 0, network, host])
    }

    proptest! {
        #[test]
        fn a_place_is_taken_from_who_holds_most(
            steps in vec((0..4_u8, 0..4_u8, 0..40_u32, 0..3_u8), 1..200),
        ) {
            let mut shares = Shares::default();
            // In the order in which they came.
            let mut model: Vec<(u32, u8, u8)> = Vec::new();
            for (network, host, id, act) in steps {
                model.retain(|place| place.0 != id);
                if act == 0 {
                    shares.remove(id);
                } else {
                    shares.insert(address(network, host), id);
                    model.push((id, network, host));
                }
                let of_network = |network| model.iter().filter(|it| it.1 == network).count();
                let of_host = |network, host| {
                    let places = model.iter().filter(|it| (it.1, it.2) == (network, host));
                    places.count()
                };
                prop_assert_eq!(shares.len(), model.len());
                prop_assert_eq!(
                    shares.held_by(address(network, host)),
                    of_host(network, host)
                );
                let Some(evicted) = shares.next_evicted() else {
                    prop_assert!(model.is_empty());
                    continue;
                };
                let &(_, network, host) = model.iter().find(|it| it.0 == evicted).unwrap();
                prop_assert!(model.iter().all(|it| of_network(it.1) <= of_network(network)));
                prop_assert!(model
                    .iter()
                    .filter(|it| it.1 == network)
                    .all(|it| of_host(it.1, it.2) <= of_host(network, host)));
                let oldest = model.iter().find(|it| (it.1, it.2) == (network, host));
                prop_assert_eq!(oldest.unwrap().0, evicted);
            }
        }

        #[test]
        fn whoever_asks_ends_with_an_equal_share(arrivals in vec((0..6_u8, 0..4_u8), 0..300)) {
            let mut shares = Shares::default();
            for (id, (network, host)) in (0..).zip(arrivals) {
                let ip = address(network, host);
                if shares.len() >= 24 {
                    let Some(host) = shares.yields_to(ip) else { continue };
                    let evicted = shares.places_of(host).next().unwrap();
                    prop_assert!(shares.remove(evicted));
                }
                shares.insert(ip, id);
            }
            // All six networks ask until they are refused.
            for (id, turn) in (1_000..).zip(0..600_u32) {
                let ip = address((turn % 6) as u8, (turn / 6 % 4) as u8);
                if shares.len() < 24 {
                    shares.insert(ip, id);
                } else if let Some(host) = shares.yields_to(ip) {
                    let evicted = shares.places_of(host).next().unwrap();
                    prop_assert!(shares.remove(evicted));
                    shares.insert(ip, id);
                }
            }
            for network in 0..6 {
                let held: usize = (0..4).map(|host| shares.held_by(address(network, host))).sum();
                prop_assert!((3..=5).contains(&held), "{}", held);
            }
        }

        #[test]
        fn a_client_keeps_its_place_against_fewer_networks_than_places(
            arrivals in vec((1..30_u8, any::<u8>()), 0..500),
        ) {
            let mut shares = Shares::default();
            shares.insert(address(0, 1), u32::MAX);
            for (id, (network, host)) in (0..).zip(arrivals) {
                if shares.len() >= 32 {
                    let evicted = shares.next_evicted().unwrap();
                    prop_assert!(shares.remove(evicted));
                }
                shares.insert(address(network, host), id);
            }
            prop_assert_eq!(shares.held_by(address(0, 1)), 1);
        }
    }
}
