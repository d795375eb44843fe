//! On the way to a data port before the server has granted one.
//!
//! The first message on the control connection says at which port the client will be, and the
//! server grants that one when it is free. So the handshake of the data connection and the
//! request share a round trip. Where the guess was wrong, the connection is given up, and
//! another one made as if nothing had been tried.

use std::net::SocketAddr;
use std::time::Duration;

use lftp_transport::{Runtime, Stream, Time, timeout};

use super::Client;
use crate::ports::DataPorts;
use crate::server::DEFAULT_PORT;

/// A server waits for the first word on a connection for longer than this.
const FRESH: Duration = Duration::from_secs(30);

/// A data connection without a word on it.
#[derive(Debug)]
pub(super) struct Ahead {
    port: u16,
    stream: Stream,
    begun: Time,
}

/// One of the ports that the server may have; each client has another.
pub(super) fn choose(
    runtime: &dyn Runtime,
    server: SocketAddr,
    likely: Option<&[u16]>,
) -> Option<u16> {
    let usual = DataPorts::default();
    let ports = match (likely, &usual) {
        (Some(ports), _) => ports,
        (None, DataPorts::List(ports)) if server.port() == DEFAULT_PORT => ports,
        (None, _) => &[],
    };
    let mut chance = [0; 4];
    runtime.fill_random(&mut chance);
    let count = u32::try_from(ports.len()).ok().filter(|&count| count > 0)?;
    ports
        .get((u32::from_le_bytes(chance) % count) as usize)
        .copied()
}

impl Client {
    /// Sets out for a data port, if it is known where one may be.
    pub(super) fn come_ahead(&mut self) {
        let Some(port) = self.likely_port.filter(|_| self.control.is_some()) else {
            return;
        };
        let (runtime, addr) = (self.runtime.clone(), self.data_addr(port));
        self.ahead = match Stream::begin(runtime, addr, self.transport()) {
            Ok(stream) => Some(Ahead {
                port,
                stream,
                begun: self.runtime.now(),
            }),
            Err(error) => {
                tracing::debug!(%addr, %error, "not ahead of the grant");
                None
            }
        };
    }

    /// The connection to the data port that was granted, if the client has come there already.
    pub(super) async fn come_already(&mut self, granted: u16) -> Option<Stream> {
        let Ahead {
            port,
            stream,
            begun,
        } = self.ahead.take()?;
        if port != granted || self.runtime.now().saturating_since(begun) > FRESH {
            return None;
        }
        let limit = self.config.connect_timeout;
        match timeout(&*self.runtime, limit, stream.established()).await {
            Ok(Ok(())) => Some(stream),
            failed => {
                tracing::debug!(?failed, port, "it was for nothing to come ahead");
                None
            }
        }
    }

    /// Where the data port is found that the server calls `port`.
    pub(super) fn data_addr(&self, port: u16) -> SocketAddr {
        let port = self.config.port_map.get(&port).copied().unwrap_or(port);
        SocketAddr::new(self.server.ip(), port)
    }
}
