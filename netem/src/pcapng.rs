//! Captures for Wireshark and its like, in pcapng (draft-ietf-opsawg-pcapng).
//!
//! Each direction is two interfaces, one where packets enter the link and one where they leave
//! it. A packet that comes through stands on both with the same `epb_packetid`, a lost one only
//! on the first, a copy only on the second; a comment says what became of it. The IP and
//! UDP headers of datagrams are built from their addresses, with right checksums; contents are
//! there as far as the records have them ([`Link::keep_payloads`](crate::link::Link::keep_payloads)),
//! damage included.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use crate::{
    Direction, Time,
    record::{PacketOutcome, PacketRecord},
};

/// Number of blocks held back, so that they stand in the file in order of time: a record comes when
/// its packet is delivered or lost, which may be long after it arrived.
const WINDOW_BLOCKS: usize = 16_384;

/// `LINKTYPE_RAW`: packets begin with the IP header.
const LINKTYPE_RAW: u16 = 101;
const PROTOCOL_UDP: u8 = 17;
const HOP_LIMIT: u8 = 64;

/// Block types (§4).
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

/// Options (§3.5, §4.2, §4.3).
const OPT_COMMENT: u16 = 1;
const SHB_USERAPPL: u16 = 4;
const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;
const EPB_PACKETID: u16 = 5;

const FLAGS_INBOUND: u32 = 1;
const FLAGS_OUTBOUND: u32 = 2;

/// Writes packet records as a capture.
#[derive(Debug)]
pub struct PcapngWriter<W: Write> {
    out: W,
    /// Wall-clock time of the records' time zero.
    epoch_ns: u64,
    /// Blocks held back, since earlier ones may still come.
    window: BinaryHeap<Reverse<(Time, u64, Vec<u8>)>>,
    added: u64,
}

impl<W: Write> PcapngWriter<W> {
    /// Starts a capture. `epoch_ns` is when time zero of the records was, in nanoseconds since
    /// 1970; 0 for virtual time.
    ///
    /// # Errors
    /// Any error of `out`.
    pub fn new(mut out: W, epoch_ns: u64) -> io::Result<Self> {
        let mut section = Vec::new();
        section.extend(0x1a2b_3c4d_u32.to_le_bytes());
        section.extend(1u16.to_le_bytes());
        section.extend(0u16.to_le_bytes());
        // The section's length is not said.
        section.extend(u64::MAX.to_le_bytes());
        option(&mut section, SHB_USERAPPL, b"netem");
        end_of_options(&mut section);
        out.write_all(&block(SECTION_HEADER, &section))?;
        for name in [
            "forward, entering",
            "forward, leaving",
            "reverse, entering",
            "reverse, leaving",
        ] {
            let mut interface = Vec::new();
            interface.extend(LINKTYPE_RAW.to_le_bytes());
            interface.extend(0u16.to_le_bytes());
            // No limit to what is captured.
            interface.extend(0u32.to_le_bytes());
            option(&mut interface, IF_NAME, name.as_bytes());
            // Nanoseconds.
            option(&mut interface, IF_TSRESOL, &[9]);
            end_of_options(&mut interface);
            out.write_all(&block(INTERFACE_DESCRIPTION, &interface))?;
        }
        Ok(Self {
            out,
            epoch_ns,
            window: BinaryHeap::new(),
            added: 0,
        })
    }

    /// Adds a packet and what became of it.
    ///
    /// # Errors
    /// Any error of the output.
    pub fn write(&mut self, record: &PacketRecord) -> io::Result<()> {
        let packet = ip_packet(record);
        let comment = describe(record);
        let interface = match record.direction {
            Direction::Forward => 0,
            Direction::Reverse => 2,
        };
        // A copy did not arrive: it is made inside.
        if !record.duplicate {
            self.add(record, record.arrived_at, interface, &packet, &comment)?;
        }
        if record.outcome == PacketOutcome::Delivered {
            self.add(record, record.departed_at, interface + 1, &packet, &comment)?;
        }
        Ok(())
    }

    /// Writes what was held back, and returns the output.
    ///
    /// # Errors
    /// Any error of the output.
    pub fn finish(mut self) -> io::Result<W> {
        while self.write_first()? {}
        self.out.flush()?;
        Ok(self.out)
    }

    fn add(
        &mut self,
        record: &PacketRecord,
        at: Time,
        interface: u32,
        packet: &[u8],
        comment: &str,
    ) -> io::Result<()> {
        let stamp = self.epoch_ns.saturating_add(at.as_nanos());
        let mut body = Vec::with_capacity(packet.len() + comment.len() + 64);
        body.extend(interface.to_le_bytes());
        body.extend(((stamp >> 32) as u32).to_le_bytes());
        body.extend((stamp as u32).to_le_bytes());
        body.extend((packet.len() as u32).to_le_bytes());
        let link_bytes = u32::try_from(record.link_bytes).unwrap_or(u32::MAX);
        body.extend(link_bytes.max(packet.len() as u32).to_le_bytes());
        padded(&mut body, packet);
        option(&mut body, OPT_COMMENT, comment.as_bytes());
        let flags = match interface % 2 {
            0 => FLAGS_INBOUND,
            _ => FLAGS_OUTBOUND,
        };
        option(&mut body, EPB_FLAGS, &flags.to_le_bytes());
        let id = u64::from(interface / 2) << 63 | record.index;
        option(&mut body, EPB_PACKETID, &id.to_le_bytes());
        end_of_options(&mut body);
        let block = block(ENHANCED_PACKET, &body);
        self.window.push(Reverse((at, self.added, block)));
        self.added += 1;
        if self.window.len() > WINDOW_BLOCKS {
            self.write_first()?;
        }
        Ok(())
    }

    fn write_first(&mut self) -> io::Result<bool> {
        let Some(Reverse((_, _, block))) = self.window.pop() else {
            return Ok(false);
        };
        self.out.write_all(&block)?;
        Ok(true)
    }
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let total = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes(), &total, body, &total].concat()
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    padded(body, value);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

fn padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn describe(record: &PacketRecord) -> String {
    let mut text = format!("{} {}: ", record.direction, record.index);
    let millis = |ns: u64| format!("{}.{:06} ms", ns / 1_000_000, ns % 1_000_000);
    text += &match (record.outcome, record.delay_ns()) {
        (_, Some(ns)) => format!("delivered after {}", millis(ns)),
        (PacketOutcome::LostWire, _) => "lost on the wire".to_owned(),
        (PacketOutcome::LostBurst, _) => "lost on the wire, in a burst".to_owned(),
        (PacketOutcome::QueueDrop, _) => "dropped by the full queue".to_owned(),
        (PacketOutcome::EarlyDrop, _) => "dropped early by the queue's discipline".to_owned(),
        (PacketOutcome::MtuDrop, _) => "dropped, larger than the MTU".to_owned(),
        (PacketOutcome::Blackout, _) => "lost in a blackout".to_owned(),
        (outcome, None) => outcome.to_string(),
    };
    for (is, what) in [
        (record.duplicate, ", a copy made by the link"),
        (record.corrupted, ", damaged by the link"),
        (record.ce_marked, ", marked by the link"),
    ] {
        if is {
            text += what;
        }
    }
    if record.queue_bytes > 0 {
        text += &format!(", {} bytes were queued before it", record.queue_bytes);
    }
    text
}

/// Returns the packet from its IP header on, as far as the record has it.
fn ip_packet(record: &PacketRecord) -> Vec<u8> {
    if record.whole {
        return record.contents.to_vec();
    }
    let udp = udp_datagram(record);
    let ecn = record.ecn & 3;
    match (record.source.ip(), record.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = (20 + 8 + record.payload_bytes).min(0xffff) as u16;
            let mut header = vec![0x45, ecn];
            header.extend(length.to_be_bytes());
            // Identification 0, "don't fragment".
            header.extend([0, 0, 0x40, 0, HOP_LIMIT, PROTOCOL_UDP, 0, 0]);
            header.extend(source.octets());
            header.extend(destination.octets());
            let sum = checksum(&[&header]).to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            [header, udp].concat()
        }
        (source, destination) => {
            let mut header = vec![0x60, ecn << 4, 0, 0];
            header.extend(udp_length(record).to_be_bytes());
            header.extend([PROTOCOL_UDP, HOP_LIMIT]);
            header.extend(to_v6(source).octets());
            header.extend(to_v6(destination).octets());
            [header, udp].concat()
        }
    }
}

fn udp_length(record: &PacketRecord) -> u16 {
    (8 + record.payload_bytes).min(0xffff) as u16
}

fn udp_datagram(record: &PacketRecord) -> Vec<u8> {
    let length = udp_length(record).to_be_bytes();
    let mut udp = Vec::with_capacity(8 + record.contents.len());
    udp.extend(record.source.port().to_be_bytes());
    udp.extend(record.destination.port().to_be_bytes());
    udp.extend(length);
    udp.extend([0, 0]);
    udp.extend(&record.contents);
    // Without the contents there is no telling; 0 says so (RFC 768).
    if record.contents.len() as u64 == record.payload_bytes {
        let addresses = [record.source, record.destination].map(octets).concat();
        let pseudo = [&[0, PROTOCOL_UDP], &length[..]].concat();
        let sum = match checksum(&[&addresses, &pseudo, &udp]) {
            0 => 0xffff,
            sum => sum,
        };
        udp[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    udp
}

fn octets(address: SocketAddr) -> Vec<u8> {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn to_v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => Ipv4Addr::to_ipv6_mapped(&ip),
        IpAddr::V6(ip) => ip,
    }
}

/// Returns the Internet checksum (RFC 1071) of parts of even length; only the last may be odd.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for pair in part.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        // RFC 1071 §3.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&bytes]), !0xddf2);
        assert_eq!(checksum(&[&bytes[..4], &bytes[4..]]), !0xddf2);
        assert_eq!(checksum(&[&[0xab]]), !0xab00);
    }
}
