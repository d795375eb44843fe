//! Setting up interfaces of the calling thread's network namespace, through rtnetlink(7).

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{LinkAttribute, LinkFlags, LinkMessage},
    route::{RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// The interface begins to work, with a queue of so many packets where that is said.
pub(super) fn up(index: u32, queue_packets: Option<u32>) -> io::Result<()> {
    let mut link = LinkMessage::default();
    link.attributes = queue_packets
        .map(LinkAttribute::TxQueueLen)
        .into_iter()
        .collect();
    link.header.index = index;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    ask(RouteNetlinkMessage::SetLink(link), 0)
}

/// The interface has this address, in a network of so many bits.
pub(super) fn add_address(index: u32, ip: Ipv4Addr, prefix_bits: u8) -> io::Result<()> {
    let mut address = AddressMessage::default();
    address.header.family = AddressFamily::Inet;
    address.header.prefix_len = prefix_bits;
    address.header.index = index;
    address.attributes = vec![
        AddressAttribute::Local(IpAddr::V4(ip)),
        AddressAttribute::Address(IpAddr::V4(ip)),
    ];
    let create = NLM_F_CREATE | NLM_F_EXCL;
    ask(RouteNetlinkMessage::NewAddress(address), create)
}

/// Everything that is not nearer goes out of the interface.
pub(super) fn add_default_route(index: u32) -> io::Result<()> {
    let mut route = RouteMessage::default();
    route.header.address_family = AddressFamily::Inet;
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Static;
    route.header.scope = RouteScope::Link;
    route.header.kind = RouteType::Unicast;
    route.attributes = vec![RouteAttribute::Oif(index)];
    let create = NLM_F_CREATE | NLM_F_EXCL;
    ask(RouteNetlinkMessage::NewRoute(route), create)
}

/// Sends a request and waits until the kernel has done it, or says why not.
fn ask(message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);

    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    // To the kernel only: any other process may send to a netlink socket that is not connected.
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&bytes, 0)?;
    let (answer, _) = socket.recv_from_full()?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer);
    match answer.map_err(io::Error::other)?.payload {
        // An acknowledgement is an error message without an error (RFC 3549 §2.3.2.2).
        NetlinkPayload::Error(error) if error.code.is_none() => Ok(()),
        NetlinkPayload::Error(error) => Err(error.to_io()),
        other => Err(io::Error::other(format!("unexpected answer: {other:?}"))),
    }
}
