//! quinn as a peer: both ends are its own driver, on a [`runtime`] of virtual hosts.

mod config;
mod runtime;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use lftp_netem::world::Host;
use quinn::{Connection, Endpoint, RecvStream, SendStream, ServerConfig};

pub(crate) use self::config::{identity, roots};
use self::runtime::{QuinnRuntime, QuinnSocket};
use super::certificate::SERVER_NAME;
use super::letter::{self, Pipe};
use super::name::Flavor;
use super::{Errand, PORT, Service, words};
use crate::run::RunError;

/// Starts a server for every client to come.
///
/// # Errors
/// [`RunError`] when it cannot.
pub(super) fn serve(flavor: Flavor, service: Service) -> Result<(), RunError> {
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

async fn serve_one(incoming: quinn::Incoming, service: &Service) -> Result<(), String> {
    let connection = incoming.await.map_err(words)?;
    let (send, recv) = connection.accept_bi().await.map_err(words)?;
    let mut stream = Stream {
        connection,
        send,
        recv,
    };
    letter::server(&mut stream, &service.files).await?;
    stream.send.finish().map_err(words)?;
    // Whoever drops the last handle closes the connection, with what is still under way.
    stream.connection.closed().await;
    Ok(())
}

/// Carries a client's file.
///
/// # Errors
/// In words, why it did not arrive.
pub(super) async fn carry(flavor: Flavor, errand: &Errand) -> Result<bool, String> {
    let config = config::client(flavor, &errand.scenario).map_err(words)?;
    let endpoint = endpoint(&errand.host, 0, None).map_err(words)?;
    let connecting = endpoint.connect_with(config, errand.server, SERVER_NAME);
    let connection = connecting.map_err(words)?.await.map_err(words)?;
    let (send, recv) = connection.open_bi().await.map_err(words)?;
    let mut stream = Stream {
        connection,
        send,
        recv,
    };
    letter::client(&mut stream, &errand.order).await
}

fn endpoint(host: &Host, port: u16, server: Option<ServerConfig>) -> std::io::Result<Endpoint> {
    let socket = host.bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))?;
    Endpoint::new_with_abstract_socket(
        config::endpoint(host),
        server,
        Arc::new(QuinnSocket(socket)),
        Arc::new(QuinnRuntime::new(host.clone())),
    )
}

/// A stream both ways, and the connection that it is one of.
struct Stream {
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
}

impl Pipe for Stream {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.send.write_all(bytes).await.map_err(words)
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        let count = self.recv.read(buffer).await.map_err(words)?;
        Ok(count.unwrap_or(0))
    }
}
