//! Captures, read back by a parser that is not ours.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should say so")]

use std::net::SocketAddr;

use lftp_netem::{
    Direction, Time, link::Link, packet::Packet, pcapng::PcapngWriter, profile::NetworkProfile,
    record::PacketRecord,
};
use pcap_parser::{
    Block, PcapBlockOwned, PcapNGReader, pcapng::PcapNGOption, traits::PcapReaderIterator,
};

/// A packet of the capture.
#[derive(Debug)]
struct Seen {
    interface: u32,
    ns: u64,
    origlen: u32,
    data: Vec<u8>,
    comment: String,
    id: u64,
}

fn option(options: &[PcapNGOption<'_>], code: u16) -> Option<Vec<u8>> {
    let option = options.iter().find(|option| option.code.0 == code)?;
    Some(option.value[..usize::from(option.len)].to_vec())
}

/// Names of the interfaces, and all packets.
fn read(capture: &[u8]) -> (Vec<String>, Vec<Seen>) {
    let mut reader = PcapNGReader::new(1 << 20, capture).unwrap();
    let (mut names, mut seen) = (Vec::new(), Vec::new());
    loop {
        let (used, block) = match reader.next() {
            Ok(next) => next,
            Err(pcap_parser::PcapError::Eof) => return (names, seen),
            Err(pcap_parser::PcapError::Incomplete(_)) => {
                reader.refill().unwrap();
                continue;
            }
            Err(error) => panic!("{error:?}"),
        };
        match block {
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {}
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                assert_eq!(interface.linktype.0, 101);
                assert_eq!(interface.if_tsresol, 9);
                names.push(String::from_utf8(option(&interface.options, 2).unwrap()).unwrap());
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => seen.push(Seen {
                interface: packet.if_id,
                ns: u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low),
                origlen: packet.origlen,
                data: packet.data[..packet.caplen as usize].to_vec(),
                comment: String::from_utf8(option(&packet.options, 1).unwrap()).unwrap(),
                id: u64::from_le_bytes(option(&packet.options, 5).unwrap().try_into().unwrap()),
            }),
            PcapBlockOwned::NG(other) => panic!("{other:?}"),
            _ => panic!("no pcapng"),
        }
        reader.consume(used);
    }
}

/// Ones' complement sum of 16-bit words; 0xffff where a checksum is right.
fn sum(bytes: &[u8]) -> u32 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)));
    let sum: u32 = words.sum();
    (sum & 0xffff) + (sum >> 16)
}

fn records(network: &str, packets: u64) -> Vec<PacketRecord> {
    let profile = NetworkProfile::from_toml_str(network).unwrap();
    let mut link = Link::new(&profile.forward(), 1, Direction::Forward);
    link.keep_records(true);
    link.keep_payloads(true);
    let (source, destination) = ("10.0.0.1:1000", "10.0.0.2:2000");
    let [source, destination]: [SocketAddr; 2] = [source, destination].map(|a| a.parse().unwrap());
    for number in 0..packets {
        let payload = vec![number as u8; 33 + number as usize % 4];
        let at = Time::from_nanos(number * 1_000_000);
        link.push(at, Packet::new(source, destination, 2, payload));
        while link.pop(at).is_some() {}
    }
    while let Some(due) = link.next_wakeup() {
        while link.pop(due).is_some() {}
    }
    let mut records = Vec::new();
    link.take_records(&mut records);
    records
}

#[test]
fn every_packet_is_there_where_it_entered_and_where_it_left_in_order_of_time() {
    let network = "delay = '5ms'\nloss = '20%'\nduplicate = '10%'\njitter = '3ms'";
    let records = records(network, 200);
    let mut writer = PcapngWriter::new(Vec::new(), 1_000).unwrap();
    for record in &records {
        writer.write(record).unwrap();
    }
    let (names, seen) = read(&writer.finish().unwrap());
    assert_eq!(names[..2], ["forward, entering", "forward, leaving"]);
    assert_eq!(names.len(), 4);

    let delivered = records.iter().filter(|record| record.delay_ns().is_some());
    let entered = seen.iter().filter(|packet| packet.interface == 0).count();
    let left = seen.iter().filter(|packet| packet.interface == 1).count();
    assert_eq!((entered, left), (200, delivered.count()));
    assert!(left < 200 && seen.is_sorted_by_key(|packet| packet.ns));
    for word in [
        "lost on the wire",
        "a copy made by the link",
        "delivered after",
    ] {
        assert!(
            seen.iter().any(|packet| packet.comment.contains(word)),
            "{word}"
        );
    }
    for packet in &seen {
        let number = packet.id as usize;
        if packet.interface == 0 {
            assert_eq!(packet.ns, 1_000 + packet.id * 1_000_000);
        }
        assert_eq!(packet.origlen as usize, packet.data.len());
        let (ip, udp) = packet.data.split_at(20);
        assert_eq!((ip[0], ip[1], ip[9], sum(ip)), (0x45, 2, 17, 0xffff));
        assert_eq!(udp[8..], vec![number as u8; 33 + number % 4]);
        let pseudo = [&ip[12..20], &[0, 17], &udp[4..6]].concat();
        let padded = [&pseudo, udp].concat();
        assert_eq!(sum(&padded), 0xffff);
    }
}

#[test]
fn ipv6_has_its_header_and_a_lost_packet_its_reason() {
    let profile = NetworkProfile::from_toml_str("mtu = '100B'").unwrap();
    let mut link = Link::new(&profile.reverse(), 1, Direction::Reverse);
    link.keep_records(true);
    link.keep_payloads(true);
    let address: SocketAddr = "[fd00::1]:7".parse().unwrap();
    link.push(Time::ZERO, Packet::new(address, address, 0, vec![1; 60]));
    let mut records = Vec::new();
    link.take_records(&mut records);
    let mut writer = PcapngWriter::new(Vec::new(), 0).unwrap();
    writer.write(&records[0]).unwrap();
    let (_, seen) = read(&writer.finish().unwrap());
    assert_eq!(
        (seen.len(), seen[0].interface, seen[0].origlen),
        (1, 2, 108)
    );
    assert_eq!(seen[0].comment, "reverse 0: dropped, larger than the MTU");
    assert_eq!((seen[0].data[0], seen[0].data[6]), (0x60, 17));
}

#[cfg(feature = "cli")]
mod program {
    use std::{net::UdpSocket, process::Command, time::Duration};

    use super::read;

    #[test]
    fn the_proxy_writes_what_passed() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, pcapng) = (folder.path().join("p.csv"), folder.path().join("p.pcapng"));
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listen = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut netem = Command::new(env!("CARGO_BIN_EXE_netem"))
            .args(["proxy", "--listen", &listen.to_string(), "--duration", "1s"])
            .args(["--to", &server.local_addr().unwrap().to_string()])
            .args(["--set", "delay=1ms", "--pcapng"])
            .arg(&pcapng)
            .arg("--packets")
            .arg(&csv)
            .spawn()
            .unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wait = Some(Duration::from_millis(50));
        server.set_read_timeout(wait).unwrap();
        let mut buffer = [0; 100];
        // Until it listens, nothing comes through; a refusal is reported to the next send.
        let sent = (1..100).find(|_| {
            let _ = client.send_to(b"contents", listen);
            server.recv_from(&mut buffer).is_ok()
        });
        assert!(sent.is_some(), "nothing came through");
        netem.wait().unwrap();
        let (_, seen) = read(&std::fs::read(&pcapng).unwrap());
        assert!(seen.len() >= 2 && seen.iter().all(|packet| packet.data.ends_with(b"contents")));
        let rows = std::fs::read_to_string(&csv).unwrap().lines().count() - 1;
        assert!(rows >= 1 && seen.len() <= 2 * rows);
    }
}
