//! s2n-quic as a peer: both ends are its own event loop, on netem's
//! [adapter](lftp_netem::adapter::s2n).
//!
//! `mod.rs` has server and client, `config` the settings of both. Touch here how s2n-quic is set up
//! and called; what is transferred is the same for all peers ([`protocol`]), and how s2n-quic meets
//! the virtual host is the adapter's, whose release is pinned with it. A change of a setting changes
//! the figures of `docs/BENCHMARKS.md`. Relies on [`task`](super::task) for the hosts and the files,
//! and on [`certificate`](super::certificate); `loopback` uses its settings on real sockets.

mod config;

use std::sync::Arc;

use bytes::Bytes;
use s2n_quic::client::Connect;
use s2n_quic::connection::Connection;
use s2n_quic::stream::BidirectionalStream;

pub(crate) use self::config::{client_tls, limits, server_tls};
use super::certificate::SERVER_NAME;
use super::name::S2nCongestion;
use super::protocol::{self, ByteStream};
use super::task::{ClientTask, ServerTask, describe};
use crate::run::RunError;

/// Starts a server for all clients.
///
/// # Errors
/// [`RunError`] when it cannot.
pub(super) fn serve(congestion: S2nCongestion, service: ServerTask) -> Result<(), RunError> {
    let started = config::server(congestion, &service.host, &service.scenario);
    let mut server = started.map_err(|error| RunError::System {
        doing: "start s2n-quic's server",
        source: std::io::Error::other(error),
    })?;
    let service = Arc::new(service);
    service.host.clone().spawn(async move {
        while let Some(connection) = server.accept().await {
            let serving = Arc::clone(&service);
            service.host.spawn(async move {
                if let Err(error) = serve_one(connection, &serving).await {
                    tracing::debug!(error, "a transfer ended");
                }
            });
        }
    });
    Ok(())
}

async fn serve_one(mut connection: Connection, service: &ServerTask) -> Result<(), String> {
    let accepted = connection.accept_bidirectional_stream().await;
    let accepted = accepted.map_err(describe)?.ok_or("no stream came")?;
    let mut stream = Stream::of(accepted);
    protocol::server(&mut stream, &service.files).await?;
    stream.both.close().await.map_err(describe)?;
    // Dropping the last handle closes the connection, together with data still in flight.
    while let Ok(Some(_)) = connection.accept_bidirectional_stream().await {}
    Ok(())
}

/// Transfers a client's file.
///
/// # Errors
/// A message with the reason why it did not arrive.
pub(super) async fn transfer(congestion: S2nCongestion, task: &ClientTask) -> Result<bool, String> {
    let client = config::client(congestion, &task.host, &task.scenario)?;
    let server = Connect::new(task.server).with_server_name(SERVER_NAME);
    let mut connection = client.connect(server).await.map_err(describe)?;
    let opened = connection.open_bidirectional_stream().await;
    let mut stream = Stream::of(opened.map_err(describe)?);
    protocol::client(&mut stream, &task.request).await
}

/// A stream both ways, and what was received and has not been read.
struct Stream {
    both: BidirectionalStream,
    rest: Bytes,
}

impl Stream {
    const fn of(both: BidirectionalStream) -> Self {
        Self {
            both,
            rest: Bytes::new(),
        }
    }
}

impl ByteStream for Stream {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let bytes = Bytes::copy_from_slice(bytes);
        self.both.send(bytes).await.map_err(describe)
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        if self.rest.is_empty() {
            self.rest = match self.both.receive().await.map_err(describe)? {
                Some(bytes) => bytes,
                None => return Ok(0),
            };
        }
        let taken = self.rest.split_to(self.rest.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}
