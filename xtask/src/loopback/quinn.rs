//! quinn, one stream of one connection.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, mpsc};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::rustls::crypto::aws_lc_rs::{cipher_suite, default_provider};
use quinn::rustls::version::TLS13;
use quinn::rustls::{self, RootCertStore};
use quinn::{
    AckFrequencyConfig, ClientConfig, Endpoint, EndpointConfig, MtuDiscoveryConfig, ServerConfig,
    TokioRuntime, TransportConfig, VarInt,
};

use super::{
    CHUNK_BYTES, PACKET_BYTES, SOCKET_BUFFER_BYTES, WINDOW_BYTES, any_port, describe, single,
};
use crate::peer::certificate::SERVER_NAME;
use crate::peer::quinn::{identity, roots};

const PACKETS_PER_ACK: u32 = 10;

pub(super) fn receive<const TUNED: bool>(address: mpsc::Sender<SocketAddr>) -> Result<u64, String> {
    single(async {
        let endpoint = endpoint::<TUNED>(Some(server::<TUNED>()?))?;
        address
            .send(endpoint.local_addr().map_err(describe)?)
            .map_err(describe)?;
        let incoming = endpoint.accept().await.ok_or("no connection arrived")?;
        let connection = incoming.await.map_err(describe)?;
        let (mut send, mut receive) = connection.accept_bi().await.map_err(describe)?;
        let mut received = 0;
        while let Some(chunk) = receive
            .read_chunk(usize::MAX, true)
            .await
            .map_err(describe)?
        {
            received += chunk.bytes.len() as u64;
        }
        send.finish().map_err(describe)?;
        // The sender closes once it has read the end of the stream.
        connection.closed().await;
        Ok(received)
    })
}

pub(super) fn send<const TUNED: bool>(to: SocketAddr, bytes: u64) -> Result<(), String> {
    single(async {
        let endpoint = endpoint::<TUNED>(None)?;
        let connecting = endpoint.connect_with(client::<TUNED>()?, to, SERVER_NAME);
        let connection = connecting.map_err(describe)?.await.map_err(describe)?;
        let (mut send, mut receive) = connection.open_bi().await.map_err(describe)?;
        let chunk = bytes::Bytes::from(vec![7; CHUNK_BYTES]);
        let mut left = bytes;
        while left > 0 {
            let now = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            let written = send.write_chunk(chunk.slice(..now)).await;
            written.map_err(describe)?;
            left -= now as u64;
        }
        send.finish().map_err(describe)?;
        receive.read_to_end(0).await.map_err(describe)?;
        connection.close(VarInt::from_u32(0), b"");
        endpoint.wait_idle().await;
        Ok(())
    })
}

fn endpoint<const TUNED: bool>(server: Option<ServerConfig>) -> Result<Endpoint, String> {
    let socket = UdpSocket::bind(any_port()).map_err(describe)?;
    if TUNED {
        use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};
        set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES).map_err(describe)?;
        set_socket_send_buffer_size(&socket, SOCKET_BUFFER_BYTES).map_err(describe)?;
    }
    let runtime = Arc::new(TokioRuntime);
    Endpoint::new(EndpointConfig::default(), server, socket, runtime).map_err(describe)
}

fn server<const TUNED: bool>() -> Result<ServerConfig, String> {
    let (certificate, key) = identity();
    let config = rustls::ServerConfig::builder_with_provider(provider::<TUNED>().into())
        .with_protocol_versions(&[&TLS13])
        .map_err(describe)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(describe)?;
    let config = QuicServerConfig::try_from(config).map_err(describe)?;
    let mut config = ServerConfig::with_crypto(Arc::new(config));
    config.transport_config(Arc::new(transport::<TUNED>()));
    Ok(config)
}

fn client<const TUNED: bool>() -> Result<ClientConfig, String> {
    let roots: RootCertStore = roots().map_err(describe)?;
    let config = rustls::ClientConfig::builder_with_provider(provider::<TUNED>().into())
        .with_protocol_versions(&[&TLS13])
        .map_err(describe)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = QuicClientConfig::try_from(config).map_err(describe)?;
    let mut config = ClientConfig::new(Arc::new(config));
    config.transport_config(Arc::new(transport::<TUNED>()));
    Ok(config)
}

fn provider<const TUNED: bool>() -> rustls::crypto::CryptoProvider {
    let mut provider = default_provider();
    if TUNED {
        provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
    }
    provider
}

fn transport<const TUNED: bool>() -> TransportConfig {
    let mut config = TransportConfig::default();
    if TUNED {
        config.send_window(u64::from(WINDOW_BYTES));
        config.stream_receive_window(VarInt::from_u32(WINDOW_BYTES));
        config.receive_window(VarInt::from_u32(WINDOW_BYTES));
        config.initial_mtu(PACKET_BYTES);
        let mut discovery = MtuDiscoveryConfig::default();
        discovery.upper_bound(PACKET_BYTES);
        config.mtu_discovery_config(Some(discovery));
        let mut acknowledgements = AckFrequencyConfig::default();
        acknowledgements.ack_eliciting_threshold(VarInt::from_u32(PACKETS_PER_ACK));
        config.ack_frequency_config(Some(acknowledgements));
    }
    config
}
