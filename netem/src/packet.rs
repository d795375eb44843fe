//! A UDP datagram, or a whole IP packet, on its way.

use std::net::SocketAddr;

/// IPv4 (20 bytes, RFC 791) and UDP (8 bytes, RFC 768) headers.
pub const IPV4_UDP_HEADER_BYTES: u64 = 28;
/// IPv6 (40 bytes, RFC 8200) and UDP (8 bytes, RFC 768) headers.
pub const IPV6_UDP_HEADER_BYTES: u64 = 48;

/// A datagram with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet {
    /// Source address.
    pub source: SocketAddr,
    /// Destination address.
    pub destination: SocketAddr,
    /// ECN bits: 0 not capable, 1 and 2 capable, 3 congestion experienced (RFC 3168).
    pub ecn: u8,
    /// Payload of UDP; or the packet from its IP header on, if it is whole.
    pub payload: Vec<u8>,
    /// Set if the payload starts with the IP header, so that nothing is added to its size.
    pub whole: bool,
}

impl Packet {
    /// Creates a UDP datagram; only the lower two bits of `ecn` are kept.
    #[must_use]
    pub const fn new(
        source: SocketAddr,
        destination: SocketAddr,
        ecn: u8,
        payload: Vec<u8>,
    ) -> Self {
        Self {
            source,
            destination,
            ecn: ecn & 3,
            payload,
            whole: false,
        }
    }

    /// Creates an IP packet of any protocol, header included. The driver that takes it off the link writes `ecn`
    /// back into the header: the link marks only the field.
    #[must_use]
    pub const fn whole_ip(
        source: SocketAddr,
        destination: SocketAddr,
        ecn: u8,
        bytes: Vec<u8>,
    ) -> Self {
        Self {
            source,
            destination,
            ecn: ecn & 3,
            payload: bytes,
            whole: true,
        }
    }

    /// Takes the packet out, which leaves it here without its payload.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            payload: std::mem::take(&mut self.payload),
            ..*self
        }
    }

    /// Returns the packet's size on the link in bytes: its payload, UDP and IP headers. Rates,
    /// queues and the MTU count this.
    #[must_use]
    pub const fn link_bytes(&self) -> u64 {
        let header_bytes = match self.destination {
            _ if self.whole => 0,
            SocketAddr::V4(_) => IPV4_UDP_HEADER_BYTES,
            SocketAddr::V6(_) => IPV6_UDP_HEADER_BYTES,
        };
        self.payload.len() as u64 + header_bytes
    }

    /// Returns whether it is ECN-capable and not marked yet (RFC 3168 §5).
    pub(crate) const fn is_ect(&self) -> bool {
        matches!(self.ecn, 1 | 2)
    }

    /// Marks it "congestion experienced".
    pub(crate) const fn mark_ce(&mut self) {
        self.ecn = 3;
    }
}
