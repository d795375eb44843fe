//! On the way to a data port before the server has granted one.
//!
//! The first message on the control connection says at which port the client will be, and the
//! server grants that one when it is free. So the handshake of the data connection and the
//! request share a round trip, and where a transfer is what the client comes for, the data
//! connection sets out with the control connection.
//!
//! What can be said before the grant is known is said at once: the request names the token that
//! the client shows. The server keeps a connection that comes before its grant, for a while.
//! Where the guess was wrong, the connection is given up, and another one made as if nothing
//! had been tried.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use lftp_transport::{PublicKey, Runtime, Stream, Time, timeout};

use super::{Client, RequestError};
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, ClientRequest, Granted, Hello, Purpose, Request, Token};
use crate::protocol::{DEFAULT_PORT, DataPorts};

/// A server waits for the first word on a connection for longer than this.
const FRESH: Duration = Duration::from_secs(30);

/// A data connection without a word on it.
#[derive(Debug)]
pub(super) struct Ahead {
    port: u16,
    stream: Stream,
    begun: Time,
}

/// A transfer that was granted.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) granted: Granted,
    /// Its data connection, where all was said there that can be.
    pub(super) stream: Option<Stream>,
}

impl From<Granted> for Begun {
    fn from(granted: Granted) -> Self {
        Self {
            granted,
            stream: None,
        }
    }
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

/// Waits for a connection to a data port to be made, with the right server.
async fn arrive(
    runtime: &dyn Runtime,
    limit: Duration,
    server: Option<PublicKey>,
    stream: &Stream,
) -> Result<(), ChannelError> {
    match timeout(runtime, limit, stream.established()).await {
        Ok(Ok(())) if stream.peer_key() == server => Ok(()),
        _ => Err(ChannelError::WentAway),
    }
}

impl Client {
    /// Sets out for a data port, if it is known where one may be.
    pub(super) fn come_ahead(&mut self) {
        let Some(port) = self.likely_port else {
            return;
        };
        let now = self.runtime.now();
        if let Some(ahead) = &self.ahead
            && now.saturating_since(ahead.begun) <= FRESH
        {
            return;
        }
        let (runtime, addr) = (self.runtime.clone(), self.data_addr(port));
        self.ahead = match Stream::start_connect(runtime, addr, self.data_transport()) {
            Ok(stream) => Some(Ahead {
                port,
                stream,
                begun: now,
            }),
            Err(error) => {
                tracing::debug!(%addr, %error, "not ahead of the grant");
                None
            }
        };
    }

    /// Asks for a transfer, on the way to its data port already.
    pub(super) async fn request_transfer(
        &mut self,
        request: Request,
    ) -> Result<Granted, RequestError> {
        self.come_ahead();
        self.request(request).await
    }

    /// Asks for a transfer, and says at the data port meanwhile what is to be said there.
    pub(super) async fn request_saying(
        &mut self,
        request: Request,
        words: Vec<Bytes>,
    ) -> Result<Begun, RequestError> {
        self.come_ahead();
        let Some(Ahead { mut stream, .. }) = self.ahead.take() else {
            let granted: Granted = self.request(request).await?;
            return Ok(granted.into());
        };
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
        let saying = async {
            arrive(&*runtime, limit, server, &stream).await?;
            channel::write(&mut stream, hello).await?;
            for word in words {
                channel::write(&mut stream, word).await?;
            }
            Ok::<_, ChannelError>(())
        };
        let mut said = None;
        let granted = {
            let mut saying = pin!(saying);
            let mut reply = pin!(self.request::<Granted>(asked));
            let granted = loop {
                tokio::select! {
                    biased;
                    granted = &mut reply => break granted?,
                    end = &mut saying, if said.is_none() => said = Some(end),
                }
            };
            if said.is_none() && granted.token == token {
                said = Some(saying.await);
            }
            granted
        };
        let stream = match said {
            Some(Ok(())) if granted.token == token => Some(stream),
            said => {
                tracing::debug!(?said, "it was for nothing to come ahead");
                None
            }
        };
        Ok(Begun { granted, stream })
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
        match arrive(&*self.runtime, limit, self.server_key, &stream).await {
            Ok(()) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, port, "it was for nothing to come ahead");
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
