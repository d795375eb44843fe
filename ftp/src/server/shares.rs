//! Fair shares: whoever holds most gives back first.
//!
//! What clients hold of the server (control places, granted and running transfers) is counted for
//! each network, each host and each key. When everything is taken, a newcomer gets a place from
//! whoever holds at least two more than it does, by any of the three.

use std::collections::BTreeMap;
use std::net::IpAddr;

use lftp_transport::{AddressPrefix, PublicKey};

/// Who holds something.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    network: AddressPrefix,
    host: AddressPrefix,
    key: Option<PublicKey>,
}

impl Holder {
    pub(super) fn new(ip: IpAddr, key: Option<PublicKey>) -> Self {
        Self {
            network: AddressPrefix::network(ip),
            host: AddressPrefix::host(ip),
            key,
        }
    }
}

/// How much each holder has.
#[derive(Debug, Default)]
pub(super) struct Shares {
    networks: BTreeMap<AddressPrefix, usize>,
    hosts: BTreeMap<AddressPrefix, usize>,
    keys: BTreeMap<PublicKey, usize>,
}

/// Difference from which on a holder gives back: afterwards it still has no less than the newcomer.
const LEAST_EXCESS: usize = 2;

impl Shares {
    /// Counts what is held: one of these for each thing.
    pub(super) fn count<'a>(held: impl Iterator<Item = &'a Holder>) -> Self {
        let mut shares = Self::default();
        for holder in held {
            *shares.networks.entry(holder.network).or_default() += 1;
            *shares.hosts.entry(holder.host).or_default() += 1;
            if let Some(key) = holder.key {
                *shares.keys.entry(key).or_default() += 1;
            }
        }
        shares
    }

    /// Returns by how many things a holder has more than a newcomer, if it is to give back one of
    /// them; 0 otherwise.
    pub(super) fn excess(&self, holder: &Holder, newcomer: &Holder) -> usize {
        let network = more(&self.networks, Some(holder.network), Some(newcomer.network));
        let host = more(&self.hosts, Some(holder.host), Some(newcomer.host));
        let key = more(&self.keys, holder.key, newcomer.key);
        let most = network.max(host).max(key);
        if most >= LEAST_EXCESS { most } else { 0 }
    }
}

/// How many more things the first has than the second; 0 if they are the same.
fn more<T: Ord>(counts: &BTreeMap<T, usize>, holder: Option<T>, newcomer: Option<T>) -> usize {
    if holder == newcomer {
        return 0;
    }
    let count = |of: Option<T>| of.and_then(|of| counts.get(&of)).copied().unwrap_or(0);
    let newcomer = count(newcomer);
    count(holder).saturating_sub(newcomer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(ip: &str, key: u8) -> Holder {
        Holder::new(ip.parse().unwrap(), Some(PublicKey::from_bytes([key; 32])))
    }

    #[test]
    fn whoever_holds_most_gives_back_and_nobody_to_one_who_has_as_much() {
        let hog = holder("192.0.2.1", 1);
        let modest = holder("198.51.100.1", 2);
        let held = [hog, hog, hog, modest];
        let shares = Shares::count(held.iter());
        let newcomer = holder("203.0.113.1", 3);
        assert_eq!(shares.excess(&hog, &newcomer), 3);
        assert_eq!(shares.excess(&modest, &newcomer), 0);
        assert_eq!(shares.excess(&hog, &modest), 2);
        assert_eq!(shares.excess(&modest, &hog), 0);
        assert_eq!(shares.excess(&hog, &hog), 0);
    }

    #[test]
    fn a_network_of_many_hosts_and_a_key_of_many_hosts_are_one_holder_each() {
        let network: Vec<Holder> = (1..=4)
            .map(|n| holder(&format!("192.0.2.{n}"), n))
            .collect();
        let shares = Shares::count(network.iter());
        assert_eq!(shares.excess(&network[0], &holder("203.0.113.1", 9)), 4);
        // Within the network every host has one.
        assert_eq!(shares.excess(&network[0], &holder("192.0.2.9", 9)), 0);
        let key: Vec<Holder> = (1..=4).map(|n| holder(&format!("10.{n}.0.1"), 1)).collect();
        let shares = Shares::count(key.iter());
        assert_eq!(shares.excess(&key[0], &holder("203.0.113.1", 9)), 4);
        assert_eq!(shares.excess(&key[0], &holder("203.0.113.1", 1)), 0);
    }
}
