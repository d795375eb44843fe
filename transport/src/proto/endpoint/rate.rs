//! Handshakes a second, by address prefix: what a peer with an address of its own can make this
//! side compute.
//!
//! A cookie keeps forged addresses away; behind a good one every SYN costs this side the key
//! exchanges of a handshake. So under load, as WireGuard has it (20 a second and bursts of 5 for
//! each host), a host and a network start no more than a rate. Those are token buckets in the
//! form of the generic cell rate algorithm (ITU-T I.371): one time for each prefix, and none
//! for a prefix whose bucket is full.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::Time;
use crate::prefix::AddressPrefix;

/// Handshakes a second of one host (IPv4 /32, IPv6 /64) under load.
pub(super) const HOST_RATE: u32 = 20;

/// Handshakes of one host at once.
pub(super) const HOST_BURST: u32 = 5;

/// Handshakes a second of one network (IPv4 /24, IPv6 /48) under load.
pub(super) const NETWORK_RATE: u32 = 80;

/// Handshakes of one network at once.
pub(super) const NETWORK_BURST: u32 = 20;

/// Prefixes that are remembered, at most: 64 bytes each.
pub(super) const MAX_PREFIXES: usize = 8_192;

/// The buckets of hosts and of networks.
#[derive(Debug, Default)]
pub(super) struct HandshakeRate {
    /// When the bucket of each prefix is full again.
    full_at: BTreeMap<AddressPrefix, Time>,
}

impl HandshakeRate {
    /// Takes a handshake from each bucket of an address; false when one has none.
    pub(super) fn admit(&mut self, now: Time, ip: IpAddr) -> bool {
        let host = (AddressPrefix::host(ip), HOST_RATE, HOST_BURST);
        let network = (AddressPrefix::network(ip), NETWORK_RATE, NETWORK_BURST);
        let after = [host, network].map(|bucket| self.after_one_more(now, bucket));
        let [Some(host_full), Some(network_full)] = after else {
            return false;
        };
        if self.full_at.len() + 2 > MAX_PREFIXES {
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        // Beyond that many prefixes in a quarter of a second there is no telling them apart.
        if self.full_at.len() + 2 <= MAX_PREFIXES {
            self.full_at.insert(host.0, host_full);
            self.full_at.insert(network.0, network_full);
        }
        true
    }

    /// When a bucket will be full again if it gives one more; `None` when it is empty.
    fn after_one_more(
        &self,
        now: Time,
        (prefix, rate, burst): (AddressPrefix, u32, u32),
    ) -> Option<Time> {
        let interval = Duration::from_secs(1) / rate;
        let full_at = self.full_at.get(&prefix).copied().unwrap_or(now).max(now);
        let after = full_at + interval;
        (after.saturating_since(now) <= interval * burst).then_some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Time {
        Time::ZERO + Duration::from_millis(ms)
    }

    fn admitted(rate: &mut HandshakeRate, ms: u64, tries: u32, ip: impl Fn(u32) -> [u8; 4]) -> u32 {
        let admitted = (0..tries).filter(|&number| rate.admit(at(ms), ip(number).into()));
        admitted.count() as u32
    }

    #[test]
    fn a_host_has_a_burst_and_then_its_rate() {
        let mut rate = HandshakeRate::default();
        let host = |_| [192, 0, 2, 1];
        assert_eq!(admitted(&mut rate, 0, 100, host), HOST_BURST);
        let later: u32 = (1..=1_000)
            .map(|ms| admitted(&mut rate, ms, 10, host))
            .sum();
        assert_eq!(later, HOST_RATE);
        assert_eq!(admitted(&mut rate, 3_000, 100, host), HOST_BURST, "again");
    }

    #[test]
    fn a_network_has_less_than_its_hosts_together_and_takes_nothing_from_others() {
        let mut rate = HandshakeRate::default();
        let network = |number| [192, 0, 2, number as u8];
        assert_eq!(admitted(&mut rate, 0, 200, network), NETWORK_BURST);
        let later: u32 = (1..=1_000)
            .map(|ms| admitted(&mut rate, ms, 200, network))
            .sum();
        assert_eq!(later, NETWORK_RATE);
        assert_eq!(admitted(&mut rate, 1_000, 1, |_| [192, 0, 3, 1]), 1);
    }

    #[test]
    fn prefixes_are_forgotten_and_never_more_than_their_bound() {
        let mut rate = HandshakeRate::default();
        for number in 0..100_000_u32 {
            let ip = IpAddr::from((number * 256).to_be_bytes());
            rate.admit(at(u64::from(number) / 100), ip);
            assert!(rate.full_at.len() <= MAX_PREFIXES);
        }
        rate.admit(at(60_000), IpAddr::from([10, 0, 0, 1]));
    }
}
