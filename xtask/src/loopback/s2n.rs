//! s2n-quic, one stream of one connection, with large windows, full-sized packets from the first
//! on, and large socket buffers.

use std::net::SocketAddr;
use std::sync::mpsc;

use bytes::Bytes;
use s2n_quic::client::Connect;
use s2n_quic::provider::io::tokio::Provider;
use s2n_quic::{Client, Server};

use super::{
    CHUNK_BYTES, PACKET_BYTES, SOCKET_BUFFER_BYTES, WINDOW_BYTES, any_port, single, words,
};
use crate::peer::certificate::SERVER_NAME;
use crate::peer::s2n::{client_tls, limits, server_tls};

/// IPv4 and UDP around a packet.
const HEADER_BYTES: u16 = 28;

pub(super) fn receive(told: mpsc::Sender<SocketAddr>) -> Result<u64, String> {
    single(async {
        let mut server = Server::builder()
            .with_tls(server_tls()?)
            .map_err(words)?
            .with_limits(limits(WINDOW_BYTES)?)
            .map_err(words)?
            .with_io(io()?)
            .map_err(words)?
            .start()
            .map_err(words)?;
        told.send(server.local_addr().map_err(words)?)
            .map_err(words)?;
        let mut connection = server.accept().await.ok_or("nobody came")?;
        let accepted = connection.accept_bidirectional_stream().await;
        let mut stream = accepted.map_err(words)?.ok_or("no stream came")?;
        let mut received = 0;
        while let Some(chunk) = stream.receive().await.map_err(words)? {
            received += chunk.len() as u64;
        }
        stream.finish().map_err(words)?;
        // The sender closes when it has heard of the end.
        while let Ok(Some(_)) = connection.accept_bidirectional_stream().await {}
        Ok(received)
    })
}

pub(super) fn send(to: SocketAddr, bytes: u64) -> Result<(), String> {
    single(async {
        let mut client = Client::builder()
            .with_tls(client_tls()?)
            .map_err(words)?
            .with_limits(limits(WINDOW_BYTES)?)
            .map_err(words)?
            .with_io(io()?)
            .map_err(words)?
            .start()
            .map_err(words)?;
        let server = Connect::new(to).with_server_name(SERVER_NAME);
        let mut connection = client.connect(server).await.map_err(words)?;
        let opened = connection.open_bidirectional_stream().await;
        let mut stream = opened.map_err(words)?;
        let chunk = Bytes::from(vec![7; CHUNK_BYTES]);
        let mut left = bytes;
        while left > 0 {
            let now = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            stream.send(chunk.slice(..now)).await.map_err(words)?;
            left -= now as u64;
        }
        stream.finish().map_err(words)?;
        if stream.receive().await.map_err(words)?.is_some() {
            return Err("the receiver had something to say".to_owned());
        }
        drop((stream, connection));
        client.wait_idle().await.map_err(words)
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
        .map_err(words)
}
