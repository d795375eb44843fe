//! quinn as a peer: both ends are its own driver, on netem's [adapter](lftp_netem::adapter::quinn).
//!
//! `mod.rs` has server and client, `config` the settings of both. Touch here how quinn is set up
//! and called; what is transferred is the same for all peers ([`protocol`]), and how quinn meets the
//! virtual host is the adapter's. A change of a setting changes the figures of
//! `docs/BENCHMARKS.md`. Relies on [`task`](super::task) for the hosts and the files, and on
//! [`certificate`](super::certificate); `loopback` uses its settings on real sockets.

mod config;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use lftp_netem::adapter;
use lftp_netem::world::Host;
use quinn::{Connection, Endpoint, EndpointConfig, RecvStream, SendStream, ServerConfig};

pub(crate) use self::config::{identity, roots};
use super::certificate::SERVER_NAME;
use super::name::Flavor;
use super::protocol::{self, ByteStream};
use super::task::{ClientTask, PORT, ServerTask, describe};
use crate::run::RunError;

/// Starts a server for all clients.
///
/// # Errors
/// [`RunError`] when it cannot.
pub(super) fn serve(flavor: Flavor, service: ServerTask) -> Result<(), RunError> {
    let failed = |source| RunError::System {
        doing: "start quinn's server",
        source,
    };
    let config = config::server(flavor, &service.scenario).map_err(failed)?;
    let endpoint = endpoint(&service.host, PORT, Some(config)).map_err(failed)?;
    let service = Arc::new(service);
    service.host.clone().spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let serving = Arc::clone(&service);
            service.host.spawn(async move {
                if let Err(error) = serve_one(incoming, &serving).await {
                    tracing::debug!(error, "a transfer ended");
                }
            });
        }
    });
    Ok(())
}

async fn serve_one(incoming: quinn::Incoming, service: &ServerTask) -> Result<(), String> {
    let connection = incoming.await.map_err(describe)?;
    let (send, recv) = connection.accept_bi().await.map_err(describe)?;
    let mut stream = Stream {
        connection,
        send,
        recv,
    };
    protocol::server(&mut stream, &service.files).await?;
    stream.send.finish().map_err(describe)?;
    // Dropping the last handle closes the connection, together with data still in flight.
    stream.connection.closed().await;
    Ok(())
}

/// Transfers a client's file.
///
/// # Errors
/// A message with the reason why it did not arrive.
pub(super) async fn transfer(flavor: Flavor, task: &ClientTask) -> Result<bool, String> {
    let config = config::client(flavor, &task.scenario).map_err(describe)?;
    let endpoint = endpoint(&task.host, 0, None).map_err(describe)?;
    let connecting = endpoint.connect_with(config, task.server, SERVER_NAME);
    let connection = connecting.map_err(describe)?.await.map_err(describe)?;
    let (send, recv) = connection.open_bi().await.map_err(describe)?;
    let mut stream = Stream {
        connection,
        send,
        recv,
    };
    protocol::client(&mut stream, &task.request).await
}

fn endpoint(host: &Host, port: u16, server: Option<ServerConfig>) -> std::io::Result<Endpoint> {
    let addr = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
    adapter::quinn::endpoint(host, addr, EndpointConfig::default(), server)
}

/// A stream both ways, and the connection that it is one of.
struct Stream {
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
}

impl ByteStream for Stream {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.send.write_all(bytes).await.map_err(describe)
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        let count = self.recv.read(buffer).await.map_err(describe)?;
        Ok(count.unwrap_or(0))
    }
}
