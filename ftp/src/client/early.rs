//! Data connections opened before the server has granted a data port.
//!
//! The hello on the control connection names the data port that the client is connecting to, and
//! the server grants that one if it is free. The handshake of the data connection then overlaps
//! with the request, and with that of the control connection if the client is known to request a
//! transfer first.
//!
//! Data that does not depend on the grant is sent without waiting for it, with a token that the
//! client has chosen and named in the request; the server keeps such a connection until the grant,
//! for a limited time. If the server grants another port, the early connection is closed and
//! another one opened.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use lftp_transport::{PublicKey, Runtime, Stream, Time, timeout};

use super::{Client, RequestError};
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, ClientRequest, Granted, Hello, Purpose, Request, Token};
use crate::protocol::{DEFAULT_PORT, DataPorts};

/// Greatest age of an unused early connection. A server waits longer than this for the hello.
const MAX_EARLY_AGE: Duration = Duration::from_secs(30);

/// A data connection on which nothing has been sent yet.
#[derive(Debug)]
pub(super) struct EarlyConnection {
    port: u16,
    stream: Stream,
    started_at: Time,
}

/// A granted transfer.
#[derive(Debug)]
pub(super) struct GrantedTransfer {
    pub(super) granted: Granted,
    /// The early data connection, if the server has granted it and the early data is sent.
    pub(super) stream: Option<Stream>,
}

impl From<Granted> for GrantedTransfer {
    fn from(granted: Granted) -> Self {
        Self {
            granted,
            stream: None,
        }
    }
}

/// Picks one of the ports that the server may have, at random so that concurrent clients pick
/// different ones.
pub(super) fn guess_data_port(
    runtime: &dyn Runtime,
    server: SocketAddr,
    likely: Option<&[u16]>,
) -> Option<u16> {
    let usual = DataPorts::default();
    let ports = match (likely, &usual) {
        (Some(ports), _) => ports,
        // Only beside the usual control port: another one says nothing of the data ports.
        (None, DataPorts::List(ports)) if server.port() == DEFAULT_PORT => ports,
        (None, _) => &[],
    };
    let mut random = [0; 4];
    runtime.fill_random(&mut random);
    let count = u32::try_from(ports.len()).ok().filter(|&count| count > 0)?;
    ports
        .get((u32::from_le_bytes(random) % count) as usize)
        .copied()
}

/// Waits for the handshake of a data connection, and checks that it leads to the same server.
async fn wait_established(
    runtime: &dyn Runtime,
    limit: Duration,
    server: Option<PublicKey>,
    stream: &Stream,
) -> Result<(), ChannelError> {
    match timeout(runtime, limit, stream.established()).await {
        Ok(Ok(())) if stream.peer_key() == server => Ok(()),
        // Another key on a data port is another server, whatever the control connection has
        // authenticated.
        _ => Err(ChannelError::WentAway),
    }
}

impl Client {
    /// Starts connecting to the likely data port, if there is one.
    pub(super) fn connect_early(&mut self) {
        let Some(port) = self.likely_port else {
            return;
        };
        let now = self.runtime.now();
        if let Some(early) = &self.early
            // An older one may have been closed by the server already.
            && now.saturating_since(early.started_at) <= MAX_EARLY_AGE
        {
            return;
        }
        let (runtime, addr) = (self.runtime.clone(), self.data_addr(port));
        self.early = match Stream::start_connect(runtime, addr, self.data_transport()) {
            Ok(stream) => Some(EarlyConnection {
                port,
                stream,
                started_at: now,
            }),
            Err(error) => {
                tracing::debug!(%addr, %error, "cannot connect before the grant");
                None
            }
        };
    }

    /// Requests a transfer while the early data connection is being established.
    pub(super) async fn request_transfer(
        &mut self,
        request: Request,
    ) -> Result<Granted, RequestError> {
        self.connect_early();
        self.request(request).await
    }

    /// Requests a transfer, and sends `payload` on the early data connection at the same time.
    pub(super) async fn request_sending(
        &mut self,
        request: Request,
        payload: Vec<Bytes>,
    ) -> Result<GrantedTransfer, RequestError> {
        self.connect_early();
        // Without one there is nothing to send on before the grant.
        let Some(EarlyConnection { mut stream, .. }) = self.early.take() else {
            let granted: Granted = self.request(request).await?;
            return Ok(granted.into());
        };
        // Chosen here: the server's token is not known yet, and without one a data connection could
        // be any client's.
        let token = Token::generate(&*self.runtime);
        let asked = ClientRequest {
            request,
            shown: Some(token),
        };
        let purpose = Purpose::Data {
            token,
            resume: false,
            ahead: true,
        };
        let hello = protocol::encode(&Hello::new(purpose)).map_err(ChannelError::from)?;
        let (runtime, limit) = (self.runtime.clone(), self.config.connect_timeout);
        let server = self.server_key;
        let send = async {
            wait_established(&*runtime, limit, server, &stream).await?;
            channel::write(&mut stream, hello).await?;
            for bytes in payload {
                channel::write(&mut stream, bytes).await?;
            }
            Ok::<_, ChannelError>(())
        };
        let mut sent = None;
        let granted = {
            let mut send = pin!(send);
            let mut reply = pin!(self.request::<Granted>(asked));
            let granted = loop {
                tokio::select! {
                    biased;
                    // The reply first: a refusal must not wait for data that will not be used.
                    granted = &mut reply => break granted?,
                    result = &mut send, if sent.is_none() => sent = Some(result),
                }
            };
            // The early data is needed only if the server has granted this connection.
            if sent.is_none() && granted.token == token {
                sent = Some(send.await);
            }
            granted
        };
        let stream = match sent {
            // A server that grants another token has not taken the early connection; dropping it
            // resets it.
            Some(Ok(())) if granted.token == token => Some(stream),
            sent => {
                tracing::debug!(?sent, "the early data connection is not used");
                None
            }
        };
        Ok(GrantedTransfer { granted, stream })
    }

    /// Takes the early connection, if it leads to the granted port.
    pub(super) async fn take_early(&mut self, granted: u16) -> Option<Stream> {
        let EarlyConnection {
            port,
            stream,
            started_at,
        } = self.early.take()?;
        if port != granted || self.runtime.now().saturating_since(started_at) > MAX_EARLY_AGE {
            return None;
        }
        let limit = self.config.connect_timeout;
        match wait_established(&*self.runtime, limit, self.server_key, &stream).await {
            Ok(()) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, port, "the early data connection is not used");
                None
            }
        }
    }

    /// Returns the address of the data port that the server calls `port`.
    pub(super) fn data_addr(&self, port: u16) -> SocketAddr {
        let port = self.config.port_map.get(&port).copied().unwrap_or(port);
        SocketAddr::new(self.server.ip(), port)
    }
}
