//! The fields of an IP packet that a link needs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{packet::Packet, pcapng::checksum};

const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const IPV6_HEADER_BYTES: usize = 40;

/// Parses an IP packet; `None` if it is none.
pub(super) fn parse(bytes: Vec<u8>) -> Option<Packet> {
    let (source, destination, ecn, protocol, header_bytes) = match bytes.first()? >> 4 {
        4 => {
            let header_bytes = usize::from(bytes[0] & 0xf) * 4;
            let header: &[u8; 20] = bytes.first_chunk()?;
            let ip = |at: usize| Ipv4Addr::from([0, 1, 2, 3].map(|i| header[at + i]));
            // The ports are in the first fragment only.
            let first = u16::from_be_bytes([header[6], header[7]]) & 0x1fff == 0;
            let protocol = if first { header[9] } else { 0 };
            let (source, destination) = (IpAddr::V4(ip(12)), IpAddr::V4(ip(16)));
            (source, destination, header[1] & 3, protocol, header_bytes)
        }
        6 => {
            let header: &[u8; IPV6_HEADER_BYTES] = bytes.first_chunk()?;
            let ip = |at: usize| {
                let octets: [u8; 16] = std::array::from_fn(|i| header[at + i]);
                IpAddr::V6(Ipv6Addr::from(octets))
            };
            let ecn = header[1] >> 4 & 3;
            (ip(8), ip(24), ecn, header[6], IPV6_HEADER_BYTES)
        }
        _ => return None,
    };
    let ports = match protocol {
        // Extension headers of IPv6 are not walked through: such packets have no ports in records,
        // and are forwarded all the same.
        PROTOCOL_TCP | PROTOCOL_UDP => bytes.get(header_bytes..header_bytes + 4),
        _ => None,
    };
    let port = |at: usize| ports.map_or(0, |ports| u16::from_be_bytes([ports[at], ports[at + 1]]));
    let source = SocketAddr::new(source, port(0));
    let destination = SocketAddr::new(destination, port(2));
    Some(Packet::whole_ip(source, destination, ecn, bytes))
}

/// The packet's bytes, with its ECN bits in the header.
pub(super) fn bytes(packet: &mut Packet) -> &[u8] {
    let (bytes, ecn) = (&mut packet.payload, packet.ecn);
    match bytes.first().map(|first| first >> 4) {
        // Only where the link has marked it: an untouched header keeps the checksum it came with,
        // right or wrong.
        Some(4) if bytes.len() >= 20 && bytes[1] & 3 != ecn => {
            let header_bytes = (usize::from(bytes[0] & 0xf) * 4).clamp(20, bytes.len());
            bytes[1] = bytes[1] & !3 | ecn;
            bytes[10..12].fill(0);
            let sum = checksum(&[&bytes[..header_bytes]]);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        // IPv6 has no header checksum, and those of TCP and UDP leave the traffic class out.
        Some(6) if bytes.len() >= IPV6_HEADER_BYTES => bytes[1] = bytes[1] & !0x30 | ecn << 4,
        _ => {}
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 over a header with its checksum in it: 0.
    fn is_right(header: &[u8]) -> bool {
        checksum(&[header]) == 0
    }

    fn tcp(ecn: u8) -> Vec<u8> {
        let mut bytes = vec![
            0x45, ecn, 0, 44, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2,
        ];
        let sum = checksum(&[&bytes]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend([0x1f, 0x90, 0x00, 0x50]);
        bytes.extend([0; 20]);
        bytes
    }

    #[test]
    fn addresses_ports_and_ecn_bits_are_read() {
        let packet = parse(tcp(2)).unwrap();
        assert_eq!(packet.source, "10.77.0.1:8080".parse().unwrap());
        assert_eq!(packet.destination, "10.77.0.2:80".parse().unwrap());
        assert_eq!((packet.ecn, packet.link_bytes()), (2, 44));
        let mut later_fragment = tcp(0);
        later_fragment[7] = 9;
        assert_eq!(parse(later_fragment).unwrap().source.port(), 0);
    }

    #[test]
    fn a_mark_is_written_back_and_the_header_stays_right() {
        let mut packet = parse(tcp(2)).unwrap();
        packet.mark_ce();
        let bytes = bytes(&mut packet);
        assert_eq!(bytes[1], 3);
        assert!(is_right(&bytes[..20]));
    }

    #[test]
    fn ipv6_is_read_and_marked_too() {
        let mut bytes = vec![0x60, 0x10, 0, 0, 0, 8, 17, 64];
        bytes.extend([0xfd; 32]);
        bytes.extend([0, 7, 0, 9, 0, 8, 0, 0]);
        let mut packet = parse(bytes).unwrap();
        assert_eq!((packet.source.port(), packet.ecn), (7, 1));
        packet.mark_ce();
        assert_eq!(super::bytes(&mut packet)[1], 0x30);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_or_not_and_never_a_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            ecn in 0u8..4,
        ) {
            if let Some(mut packet) = parse(bytes.clone()) {
                packet.ecn = ecn;
                prop_assert_eq!(super::bytes(&mut packet).len(), bytes.len());
            }
        }
    }
}
