//! Address prefixes: the unit by which peers share what an endpoint holds for them.
//!
//! A customer has one IPv4 address or an IPv6 /64, and with the latter as many addresses as it
//! likes. Someone with more has a whole network: a /24 of IPv4, a /48 of IPv6. IPv4 addresses
//! that a dual-stack socket reports as `::ffff:a.b.c.d` are IPv4 addresses (RFC 4291 §2.5.5.2).

use std::net::{IpAddr, SocketAddr};

/// A prefix of IP addresses: a host's, or a network's. Addresses are canonical in it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressPrefix {
    is_v4: bool,
    length: u8,
    bits: u128,
}

impl AddressPrefix {
    /// Below every prefix, in their order.
    pub(crate) const MIN: Self = Self {
        is_v4: false,
        length: 0,
        bits: 0,
    };

    /// Above every prefix, in their order.
    pub(crate) const MAX: Self = Self {
        is_v4: true,
        length: u8::MAX,
        bits: u128::MAX,
    };

    /// One host: an IPv4 /32 or an IPv6 /64.
    pub fn host(ip: IpAddr) -> Self {
        Self::new(ip, 32, 64)
    }

    /// One network: an IPv4 /24 or an IPv6 /48.
    pub fn network(ip: IpAddr) -> Self {
        Self::new(ip, 24, 48)
    }

    fn new(ip: IpAddr, v4_length: u8, v6_length: u8) -> Self {
        // Left-aligned, so that one mask serves both families.
        let (is_v4, length, bits) = match ip.to_canonical() {
            IpAddr::V4(v4) => (true, v4_length, u128::from(v4.to_bits()) << 96),
            IpAddr::V6(v6) => (false, v6_length, v6.to_bits()),
        };
        let mask = u128::MAX << (128 - u32::from(length));
        Self {
            is_v4,
            length,
            bits: bits & mask,
        }
    }
}

/// A socket address in the one notation that serves as a key and in what is authenticated.
pub(crate) const fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Tells whether two socket addresses are the same, however the socket writes them: canonical
/// address and port. Flow labels and scopes are of the local host's making.
pub(crate) fn is_same_address(a: SocketAddr, b: SocketAddr) -> bool {
    canonical(a) == canonical(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn mapped_ipv4_addresses_are_hosts_of_their_own() {
        let (one, two) = (ip("::ffff:192.0.2.1"), ip("::ffff:192.0.2.2"));
        assert_ne!(AddressPrefix::host(one), AddressPrefix::host(two));
        assert_eq!(
            AddressPrefix::host(one),
            AddressPrefix::host(ip("192.0.2.1"))
        );
        assert_eq!(AddressPrefix::network(one), AddressPrefix::network(two));
        let elsewhere = ip("::ffff:192.0.3.1");
        assert_ne!(
            AddressPrefix::network(one),
            AddressPrefix::network(elsewhere)
        );
    }

    #[test]
    fn a_host_is_a_64_and_a_network_a_48_of_ipv6() {
        let (one, two) = (ip("2001:db8:1:2::1"), ip("2001:db8:1:2:ffff::1"));
        assert_eq!(AddressPrefix::host(one), AddressPrefix::host(two));
        let other = ip("2001:db8:1:3::1");
        assert_ne!(AddressPrefix::host(one), AddressPrefix::host(other));
        assert_eq!(AddressPrefix::network(one), AddressPrefix::network(other));
        assert_ne!(
            AddressPrefix::network(one),
            AddressPrefix::network(ip("2001:db8:2::"))
        );
        // No IPv6 prefix equals an IPv4 one, whatever their bits.
        assert_ne!(
            AddressPrefix::network(ip("0.0.0.0")),
            AddressPrefix::network(ip("::"))
        );
    }

    #[test]
    fn an_address_is_the_same_in_both_notations() {
        let mapped = SocketAddr::new(ip("::ffff:192.0.2.1"), 5);
        assert!(is_same_address(mapped, SocketAddr::new(ip("192.0.2.1"), 5)));
        assert!(!is_same_address(
            mapped,
            SocketAddr::new(ip("192.0.2.1"), 6)
        ));
    }
}
