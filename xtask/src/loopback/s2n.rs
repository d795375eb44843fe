//! s2n-quic, one stream of one connection, with large windows, full-sized packets from the first
//! on, and large socket buffers.

use std::net::SocketAddr;
use std::sync::mpsc;

use bytes::Bytes;
use s2n_quic::client::Connect;
use s2n_quic::provider::io::tokio::Provider;
use s2n_quic::{Client, Server};

use super::{
    CHUNK_BYTES, PACKET_BYTES, SOCKET_BUFFER_BYTES, WINDOW_BYTES, any_port, describe, single,
};
use crate::peer::certificate::SERVER_NAME;
use crate::peer::s2n::{client_tls, limits, server_tls};

/// IPv4 and UDP around a packet.
const HEADER_BYTES: u16 = 28;

pub(super) fn receive(address: mpsc::Sender<SocketAddr>) -> Result<u64, String> {
    single(async {
        let mut server = Server::builder()
            .with_tls(server_tls()?)
            .map_err(describe)?
            .with_limits(limits(WINDOW_BYTES)?)
            .map_err(describe)?
            .with_io(io()?)
            .map_err(describe)?
            .start()
            .map_err(describe)?;
        address
            .send(server.local_addr().map_err(describe)?)
            .map_err(describe)?;
        let mut connection = server.accept().await.ok_or("no connection arrived")?;
        let accepted = connection.accept_bidirectional_stream().await;
        let mut stream = accepted.map_err(describe)?.ok_or("no stream was opened")?;
        let mut received = 0;
        while let Some(chunk) = stream.receive().await.map_err(describe)? {
            received += chunk.len() as u64;
        }
        stream.finish().map_err(describe)?;
        // The sender closes once it has read the end of the stream.
        while let Ok(Some(_)) = connection.accept_bidirectional_stream().await {}
        Ok(received)
    })
}

pub(super) fn send(to: SocketAddr, bytes: u64) -> Result<(), String> {
    single(async {
        let mut client = Client::builder()
            .with_tls(client_tls()?)
            .map_err(describe)?
            .with_limits(limits(WINDOW_BYTES)?)
            .map_err(describe)?
            .with_io(io()?)
            .map_err(describe)?
            .start()
            .map_err(describe)?;
        let server = Connect::new(to).with_server_name(SERVER_NAME);
        let mut connection = client.connect(server).await.map_err(describe)?;
        let opened = connection.open_bidirectional_stream().await;
        let mut stream = opened.map_err(describe)?;
        let chunk = Bytes::from(vec![7; CHUNK_BYTES]);
        let mut left = bytes;
        while left > 0 {
            let now = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            stream.send(chunk.slice(..now)).await.map_err(describe)?;
            left -= now as u64;
        }
        stream.finish().map_err(describe)?;
        if stream.receive().await.map_err(describe)?.is_some() {
            return Err("the receiver sent data".to_owned());
        }
        drop((stream, connection));
        client.wait_idle().await.map_err(describe)
    })
}

fn io() -> Result<Provider, String> {
    let mtu = PACKET_BYTES + HEADER_BYTES;
    Provider::builder()
        .with_receive_address(any_port())
        .and_then(|io| io.with_max_mtu(mtu)?.with_initial_mtu(mtu))
        .and_then(|io| io.with_send_buffer_size(SOCKET_BUFFER_BYTES))
        .and_then(|io| io.with_recv_buffer_size(SOCKET_BUFFER_BYTES))
        .and_then(|io| io.build())
        .map_err(describe)
}
