//! The limit set by system calls and the AEAD, without a transport: batches are sealed and
//! sent in one call each, received in one call and opened, and the receiver returns a byte count.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};

use super::{any_port, describe};

const PACKET_BYTES: usize = 1452;
const TAG_BYTES: usize = 16;
const PAYLOAD_BYTES: usize = PACKET_BYTES - TAG_BYTES;
/// The most that one call may send: 64 KiB less headers.
const SEGMENTS: usize = 44;
const BATCH_BYTES: usize = SEGMENTS * PACKET_BYTES;
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Bytes in flight at once; less than the receiver's buffer, so nothing is lost.
const WINDOW_BYTES: u64 = 1 << 20;
/// Nothing is retransmitted: what has not arrived by then is lost.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);

struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    fn new() -> io::Result<Self> {
        use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
        let io = UdpSocket::bind(any_port())?;
        set_socket_recv_buffer_size(&io, SOCKET_BUFFER_BYTES)?;
        set_socket_send_buffer_size(&io, SOCKET_BUFFER_BYTES)?;
        let state = UdpSocketState::new((&io).into())?;
        Ok(Self { io, state })
    }

    fn send(&self, to: SocketAddr, contents: &[u8]) -> io::Result<()> {
        let transmit = Transmit {
            destination: to,
            ecn: None,
            contents,
            segment_size: Some(PACKET_BYTES),
            src_ip: None,
        };
        loop {
            match self.state.try_send((&self.io).into(), &transmit) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(rustix::event::PollFlags::OUT)?;
                }
                sent => return sent,
            }
        }
    }

    fn receive(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> io::Result<usize> {
        loop {
            match self.state.recv((&self.io).into(), buffers, metas) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(rustix::event::PollFlags::IN)?;
                }
                received => return received,
            }
        }
    }

    fn wait(&self, readiness: rustix::event::PollFlags) -> io::Result<()> {
        let mut polled = [rustix::event::PollFd::new(&self.io, readiness)];
        let timeout =
            rustix::time::Timespec::try_from(RECEIVE_TIMEOUT).map_err(io::Error::other)?;
        match rustix::event::poll(&mut polled, Some(&timeout))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

fn key() -> Result<LessSafeKey, String> {
    let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).map_err(describe)?;
    Ok(LessSafeKey::new(key))
}

/// The nonce of the packet with this number.
fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 8..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

pub(super) fn send(to: SocketAddr, bytes: u64) -> Result<(), String> {
    let (socket, key) = (Socket::new().map_err(describe)?, key()?);
    let chunk = vec![7; PAYLOAD_BYTES];
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    let (mut sent, mut arrived, mut number) = (0, 0, 0);
    while sent < bytes {
        batch.clear();
        while sent < bytes && batch.len() < BATCH_BYTES {
            let left = usize::try_from(bytes - sent).unwrap_or(usize::MAX);
            let payload = left.min(PAYLOAD_BYTES);
            let begin = batch.len();
            batch.extend_from_slice(&chunk[..payload]);
            let sealed =
                key.seal_in_place_separate_tag(nonce(number), Aad::empty(), &mut batch[begin..]);
            batch.extend_from_slice(sealed.map_err(describe)?.as_ref());
            sent += payload as u64;
            number += 1;
        }
        socket.send(to, &batch).map_err(describe)?;
        while sent - arrived > if sent < bytes { WINDOW_BYTES } else { 0 } {
            arrived = arrived.max(count(&socket)?);
        }
    }
    // An empty packet: that was all.
    socket.send(to, &[0]).map_err(describe)
}

/// The receiver's count of bytes.
fn count(socket: &Socket) -> Result<u64, String> {
    let (mut buffer, mut metas) = ([0; 64], [RecvMeta::default()]);
    let mut buffers = [IoSliceMut::new(&mut buffer)];
    socket.receive(&mut buffers, &mut metas).map_err(describe)?;
    let count = buffer.first_chunk().ok_or("a count that is none")?;
    Ok(u64::from_be_bytes(*count))
}

pub(super) fn receive(address: mpsc::Sender<SocketAddr>) -> Result<u64, String> {
    let (socket, key) = (Socket::new().map_err(describe)?, key()?);
    address
        .send(socket.io.local_addr().map_err(describe)?)
        .map_err(describe)?;
    let mut memory = vec![0; BATCH_SIZE * (1 << 16)];
    let (mut received, mut number) = (0, 0);
    loop {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut slots = memory.chunks_mut(1 << 16);
        let mut buffers: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(slots.next().unwrap_or_default()));
        let filled = socket.receive(&mut buffers, &mut metas).map_err(describe)?;
        for (buffer, meta) in buffers.iter_mut().zip(&metas).take(filled) {
            for packet in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                if packet.len() <= TAG_BYTES {
                    return Ok(received);
                }
                let opened = key.open_in_place(nonce(number), Aad::empty(), packet);
                received += opened.map_err(describe)?.len() as u64;
                number += 1;
            }
            let count = received.to_be_bytes();
            socket.send(meta.addr, &count).map_err(describe)?;
        }
    }
}
