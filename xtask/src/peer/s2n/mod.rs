//! s2n-quic as a peer: both ends are its own event loop, on the [`io`] of virtual hosts.

mod config;
mod io;

use std::sync::Arc;

use bytes::Bytes;
use s2n_quic::client::Connect;
use s2n_quic::connection::Connection;
use s2n_quic::stream::BidirectionalStream;

pub(crate) use self::config::{client_tls, limits, server_tls};
use super::certificate::SERVER_NAME;
use super::letter::{self, Pipe};
use super::name::S2nCongestion;
use super::{Errand, Service, words};
use crate::run::RunError;

/// Starts a server for every client to come.
///
/// # Errors
/// [`RunError`] when it cannot.
pub(super) fn serve(congestion: S2nCongestion, service: Service) -> Result<(), RunError> {
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

async fn serve_one(mut connection: Connection, service: &Service) -> Result<(), String> {
    let accepted = connection.accept_bidirectional_stream().await;
    let accepted = accepted.map_err(words)?.ok_or("no stream came")?;
    let mut stream = Stream::of(accepted);
    letter::server(&mut stream, &service.files).await?;
    stream.both.close().await.map_err(words)?;
    // Whoever drops the last handle closes the connection, with what is still under way.
    while let Ok(Some(_)) = connection.accept_bidirectional_stream().await {}
    Ok(())
}

/// Carries a client's file.
///
/// # Errors
/// In words, why it did not arrive.
pub(super) async fn carry(congestion: S2nCongestion, errand: &Errand) -> Result<bool, String> {
    let client = config::client(congestion, &errand.host, &errand.scenario)?;
    let server = Connect::new(errand.server).with_server_name(SERVER_NAME);
    let mut connection = client.connect(server).await.map_err(words)?;
    let opened = connection.open_bidirectional_stream().await;
    let mut stream = Stream::of(opened.map_err(words)?);
    letter::client(&mut stream, &errand.order).await
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

impl Pipe for Stream {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let bytes = Bytes::copy_from_slice(bytes);
        self.both.send(bytes).await.map_err(words)
    }

    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, String> {
        if self.rest.is_empty() {
            self.rest = match self.both.receive().await.map_err(words)? {
                Some(bytes) => bytes,
                None => return Ok(0),
            };
        }
        let taken = self.rest.split_to(self.rest.len().min(buffer.len()));
        buffer[..taken.len()].copy_from_slice(&taken);
        Ok(taken.len())
    }
}
