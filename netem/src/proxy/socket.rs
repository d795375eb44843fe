//! One UDP socket through quinn-udp: many datagrams per system call, ECN bits kept.

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, SockAddr, Type};

use super::reactor::Reactor;

/// Buffers for one system call: with GRO, each takes up to 64 KiB of datagrams.
const SLOTS: usize = 16;
const SLOT_BYTES: usize = 65_536;

/// The most bytes of one send: a UDP payload's limit, with room for an IPv6 header.
pub(crate) const SEND_BYTES_MAX: usize = 65_000;

/// The longest wait for room in the send buffer; then the datagram is dropped.
const WRITABLE_WAIT_NS: u64 = 1_000_000;

/// A non-blocking, bound UDP socket.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

/// Buffers that every socket receives into.
pub(crate) struct ReceiveBuffer {
    bytes: Vec<u8>,
    meta: [RecvMeta; SLOTS],
}

/// One received datagram.
pub(crate) struct Datagram<'a> {
    pub(crate) source: SocketAddr,
    /// The local address it was sent to, where the system reports it.
    pub(crate) local_ip: Option<IpAddr>,
    pub(crate) ecn: u8,
    /// Wall-clock time since 1970 at which the kernel received it, where the system reports it.
    pub(crate) stamp: Option<std::time::Duration>,
    pub(crate) payload: &'a [u8],
}

impl ReceiveBuffer {
    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; SLOTS * SLOT_BYTES],
            meta: [RecvMeta::default(); SLOTS],
        }
    }
}

impl Socket {
    /// A socket for clients, with buffers of `buffer_bytes` if the system grants them.
    ///
    /// On IPv6 it takes IPv6 only, so `0.0.0.0` and `[::]` can be listened on side by side.
    pub(crate) fn listen(local: SocketAddr, buffer_bytes: usize) -> io::Result<Self> {
        Self::bind(local, buffer_bytes, local.ip().is_unspecified())
    }

    /// A socket of its own for one client, to talk to `target` with.
    pub(crate) fn upstream(target: SocketAddr, buffer_bytes: usize) -> io::Result<Self> {
        let any: IpAddr = if target.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        Self::bind(SocketAddr::new(any, 0), buffer_bytes, false)
    }

    fn bind(local: SocketAddr, buffer_bytes: usize, tell_local_ip: bool) -> io::Result<Self> {
        let socket =
            socket2::Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        if local.is_ipv6() {
            // Not left to the system's default: `[::]` would take the port of `0.0.0.0` on some and
            // not on others.
            socket.set_only_v6(true)?;
        }
        enlarge(&socket, buffer_bytes);
        socket.bind(&SockAddr::from(local))?;
        let inner = UdpSocket::from(socket);
        let state = UdpSocketState::new((&inner).into())?;
        let local = inner.local_addr()?;
        spare_control_space(&inner, local, tell_local_ip);
        Ok(Self {
            inner,
            state,
            local,
        })
    }

    pub(crate) const fn local(&self) -> SocketAddr {
        self.local
    }

    pub(crate) const fn inner(&self) -> &UdpSocket {
        &self.inner
    }

    /// The receive buffer the system granted, in the bytes one asks for.
    pub(crate) fn receive_buffer_bytes(&self) -> usize {
        let bytes = self
            .state
            .recv_buffer_size((&self.inner).into())
            .unwrap_or(0);
        // Linux doubles what it grants, for its own bookkeeping, and reports the double.
        if cfg!(target_os = "linux") {
            bytes / 2
        } else {
            bytes
        }
    }

    /// The number of datagrams that one send may hold.
    pub(crate) fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Reads one batch and hands each datagram to `take`. An empty queue is no error.
    pub(crate) fn receive(
        &self,
        buffer: &mut ReceiveBuffer,
        mut take: impl FnMut(Datagram<'_>),
    ) -> io::Result<()> {
        let ReceiveBuffer { bytes, meta } = buffer;
        let mut chunks = bytes.chunks_mut(SLOT_BYTES);
        let mut slices: [_; SLOTS] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        let count = match self.state.recv((&self.inner).into(), &mut slices, meta) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        for (meta, bytes) in meta.iter().zip(bytes.chunks(SLOT_BYTES)).take(count) {
            let datagram = |payload| Datagram {
                source: meta.addr,
                local_ip: meta.dst_ip,
                ecn: meta.ecn.map_or(0, |ecn| ecn as u8),
                stamp: meta.timestamp,
                payload,
            };
            // `chunks` gives no chunk of nothing, but an empty datagram is one, and the link may
            // lose it.
            if meta.len == 0 {
                take(datagram(&[]));
            }
            for payload in bytes[..meta.len].chunks(meta.stride.max(1)) {
                take(datagram(payload));
            }
        }
        Ok(())
    }

    /// Sends `contents` in datagrams of `segment_bytes`, waiting up to 1 ms when the buffer is
    /// full.
    pub(crate) fn send(
        &self,
        destination: SocketAddr,
        source_ip: Option<IpAddr>,
        ecn: u8,
        contents: &[u8],
        segment_bytes: usize,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination,
            ecn: EcnCodepoint::from_bits(ecn),
            contents,
            segment_size: (contents.len() > segment_bytes).then_some(segment_bytes),
            src_ip: source_ip,
        };
        let send = || self.state.try_send((&self.inner).into(), &transmit);
        match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Once and briefly: while the thread waits, every other packet becomes late. A drop
                // is counted and reported.
                Reactor::wait_writable(&self.inner, WRITABLE_WAIT_NS);
                send()
            }
            result => result,
        }
    }
}

/// Best effort: what was granted is queried later and reported.
fn enlarge(socket: &socket2::Socket, bytes: usize) {
    let _ = socket.set_recv_buffer_size(bytes);
    let _ = socket.set_send_buffer_size(bytes);
    // Beyond the system's limit only with privileges; without them the limit stands.
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, bytes);
        let _ = rustix::net::sockopt::set_socket_send_buffer_size_force(socket, bytes);
    }
}

/// Leaves out a control message, so that the ECN bits are not cut off.
///
/// quinn-udp 0.6 takes 96 bytes of control messages per read; arrival stamp, local address, GRO
/// size and ECN bits are up to 120, and the ECN bits come last. The local address matters only
/// where any address is listened on; there GRO is given up.
#[cfg(target_os = "linux")]
fn spare_control_space(socket: &UdpSocket, local: SocketAddr, tell_local_ip: bool) {
    use nix::sys::socket::{setsockopt, sockopt};
    let spared = match local {
        _ if tell_local_ip => setsockopt(socket, sockopt::UdpGroSegment, &false),
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &false),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &false),
    };
    if let Err(error) = spared {
        tracing::warn!(%error, %local, "ECN bits may get lost");
    }
}

#[cfg(not(target_os = "linux"))]
const fn spare_control_space(_socket: &UdpSocket, _local: SocketAddr, _tell_local_ip: bool) {}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str) -> Option<Socket> {
        // A machine without IPv6 cannot be asked about it.
        Socket::listen(address.parse().unwrap(), 1 << 20).ok()
    }

    fn receive(socket: &Socket, count: usize) -> Vec<(Vec<u8>, u8)> {
        let mut buffer = ReceiveBuffer::new();
        let mut got = Vec::new();
        for _ in 0..100_000 {
            let take = |datagram: Datagram<'_>| got.push((datagram.payload.to_vec(), datagram.ecn));
            socket.receive(&mut buffer, take).unwrap();
            if got.len() >= count {
                break;
            }
        }
        got
    }

    #[test]
    fn datagrams_joined_for_sending_arrive_one_by_one_with_their_ecn_bits() {
        let listens = ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"];
        for listen in listens.into_iter().filter_map(listen) {
            let mut target = listen.local();
            if target.ip().is_unspecified() && target.is_ipv4() {
                target.set_ip(Ipv4Addr::LOCALHOST.into());
            } else if target.ip().is_unspecified() {
                target.set_ip(Ipv6Addr::LOCALHOST.into());
            }
            let sender = Socket::upstream(target, 1 << 20).unwrap();
            let bytes: Vec<u8> = (0..2500u32).map(|index| index as u8).collect();
            let segment = if sender.segments_max() >= 3 {
                1000
            } else {
                2500
            };
            sender.send(target, None, 0b10, &bytes, segment).unwrap();
            let expected: Vec<_> = bytes
                .chunks(segment)
                .map(|chunk| (chunk.to_vec(), 0b10))
                .collect();
            assert_eq!(receive(&listen, expected.len()), expected, "{target}");
        }
    }

    #[test]
    fn an_empty_datagram_is_a_datagram() {
        let listen = listen("127.0.0.1:0").unwrap();
        let sender = Socket::upstream(listen.local(), 1 << 20).unwrap();
        sender.send(listen.local(), None, 0, &[], 0).unwrap();
        assert_eq!(receive(&listen, 1), [(vec![], 0)]);
    }
}
