//! The client: one control connection, and a data connection for each file.

mod ahead;
mod config;
mod error;
mod pinned;
mod piped;
mod small;
mod transfer;
mod tree;

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use blake3::Hash;
use lftp_transport::{
    ConnectError, ConnectionError, FlowId, Identity, PublicKey, Refusal, Runtime, Stats, Stream,
    timeout,
};
use serde::de::DeserializeOwned;

use self::ahead::Ahead;
pub use self::config::ClientConfig;
pub use self::error::{OpenError, RequestError, TransferError};
pub use self::pinned::Pinned;
pub use self::tree::{Plan, Tree};
use crate::protocol::Code;
use crate::protocol::Name;
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, ClientRequest, Confirmation, Entry, Hello, Listing, Purpose, Request};
use crate::store::Store;

/// The longest listing that [`Client::ls`] puts together.
const MAX_LISTED: usize = 1_000_000;

/// Silence on a data connection after which the server is asked whether it is there.
const DATA_KEEP_ALIVE: Duration = Duration::from_millis(300);

/// How long a server may read one file.
const LONGEST_HASH: Duration = Duration::from_secs(24 * 3600);

/// Where a received file goes.
#[derive(Copy, Clone, Debug)]
pub struct Target<'a> {
    /// The place.
    pub store: &'a Arc<dyn Store>,
    /// The name there.
    pub name: &'a Name,
    /// Whether a file of that name may be replaced.
    pub overwrite: bool,
}

/// A file that was carried, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Receipt {
    /// Its size.
    pub bytes: u64,
    /// So much of it, from its beginning, was there from an earlier transfer.
    pub resumed_bytes: u64,
    /// Its hash, the same at both ends.
    pub hash: Hash,
    /// From the request to the receiver's word that the file is whole and in its place.
    pub duration_ns: u64,
    /// The data connection as this side saw it.
    pub stats: Stats,
    /// The data connection's name in traces.
    pub data_flow: Option<FlowId>,
    /// The control connection's name in traces.
    pub control_flow: Option<FlowId>,
}

/// A client with a control connection.
pub struct Client {
    runtime: Arc<dyn Runtime>,
    server: SocketAddr,
    config: ClientConfig,
    key: PublicKey,
    /// `None` once it is of no more use.
    control: Option<Stream>,
    /// Whom the control connection leads to.
    server_key: Option<PublicKey>,
    /// The data port at which it comes ahead of the grant.
    likely_port: Option<u16>,
    ahead: Option<Ahead>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to a server's control port.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when nobody answers there, or with a refusal.
    pub async fn connect(
        runtime: Arc<dyn Runtime>,
        server: SocketAddr,
        mut config: ClientConfig,
    ) -> Result<Self, OpenError> {
        channel::keep_alive(&mut config.transport);
        // One for all connections: a transfer belongs to the key that it was granted to.
        let drawn = || Identity::generate(|bytes| runtime.fill_random(bytes));
        let identity = config.transport.identity.get_or_insert_with(drawn);
        let key = identity.public_key();
        let likely_port = ahead::choose(&*runtime, server, config.likely_ports.as_deref());
        let mut client = Self {
            runtime,
            server,
            config,
            key,
            control: None,
            server_key: None,
            likely_port,
            ahead: None,
        };
        if client.config.transfers_at_once {
            client.come_ahead();
        }
        let hello = Hello::new(Purpose::Control {
            data_port: likely_port,
        });
        let lost = |error| match error {
            ChannelError::NotAdmitted => OpenError::NotAdmitted { key },
            error => OpenError::Lost {
                addr: server,
                error,
            },
        };
        let hello = protocol::encode(&hello).map_err(|error| lost(error.into()))?;
        let mut control = client.open(server, client.transport()).await?;
        // Whoever answers on a data port is to be the same.
        client.server_key = control.peer_key();
        client.config.transport.verifier = client.server_key.map(Pinned::verifier);
        channel::write(&mut control, hello).await.map_err(lost)?;
        client.control = Some(control);
        Ok(client)
    }

    /// The server's control port.
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// The key by which the server knows this client.
    pub const fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether another request may be tried on this connection.
    pub fn is_connected(&mut self) -> bool {
        let Some(control) = &mut self.control else {
            return false;
        };
        // Between requests nothing is to come: anything but silence is the end.
        let mut cx = Context::from_waker(Waker::noop());
        let is_silent = pin!(control.read_chunk(1)).poll(&mut cx).is_pending();
        if !is_silent {
            self.control = None;
        }
        is_silent
    }

    /// The transport of a connection, which knows what the control connection has found.
    fn transport(&self) -> lftp_transport::Config {
        let mut transport = self.config.transport.clone();
        let known = self.control.as_ref().map(Stream::stats);
        let known = known.filter(|stats| stats.rtt_samples > 0);
        transport.initial_rtt = known.map(|stats| stats.smoothed_rtt);
        transport
    }

    /// The transport of a data connection. Whoever only receives sends nothing that a server which
    /// has lost the connection could answer, so silence is soon asked about.
    fn data_transport(&self) -> lftp_transport::Config {
        let mut transport = self.transport();
        let usual = transport.keep_alive.unwrap_or(DATA_KEEP_ALIVE);
        transport.keep_alive = Some(usual.min(DATA_KEEP_ALIVE));
        transport
    }

    async fn open(
        &self,
        addr: SocketAddr,
        transport: lftp_transport::Config,
    ) -> Result<Stream, OpenError> {
        let connect = Stream::connect(Arc::clone(&self.runtime), addr, transport);
        match timeout(&*self.runtime, self.config.connect_timeout, connect).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(ConnectError::Connection(ConnectionError::Refused(Refusal::UntrustedKey)))) => {
                Err(OpenError::NotAdmitted { key: self.key })
            }
            Ok(Err(source)) => Err(OpenError::Connect { addr, source }),
            Err(_) => Err(OpenError::TimedOut { addr }),
        }
    }

    /// Asks for something on the control connection. Whatever goes wrong except a refusal, and
    /// also dropping this future, ends the connection: a late answer must not be taken for that
    /// to another request.
    async fn request<T: DeserializeOwned>(
        &mut self,
        asked: impl Into<ClientRequest>,
    ) -> Result<T, RequestError> {
        let limit = self.config.answer_timeout;
        self.request_within(limit, asked).await
    }

    async fn request_within<T: DeserializeOwned>(
        &mut self,
        limit: Duration,
        asked: impl Into<ClientRequest>,
    ) -> Result<T, RequestError> {
        let message = protocol::encode(&asked.into()).map_err(ChannelError::from)?;
        let ahead = self.ahead.take();
        let mut control = self.control.take().ok_or(ChannelError::WentAway)?;
        let exchange = async {
            channel::write(&mut control, message).await?;
            channel::read_reply(&mut control).await
        };
        let not_admitted = RequestError::NotAdmitted { key: self.key };
        let reply = match channel::within(&self.runtime, limit, exchange).await {
            Err(ChannelError::NotAdmitted) => return Err(not_admitted),
            reply => reply?,
        };
        self.control = Some(control);
        match reply {
            Err(refusal) if refusal.code == Code::NotAdmitted => Err(not_admitted),
            Err(refusal) => Err(refusal.into()),
            Ok(reply) => {
                self.ahead = ahead;
                Ok(reply)
            }
        }
    }

    /// One page of a folder: entries behind the name `after`. An empty path is the root.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub async fn ls_page(
        &mut self,
        path: &str,
        after: Option<&str>,
    ) -> Result<Listing, RequestError> {
        let request = Request::Ls {
            path: path.to_owned(),
            after: after.map(str::to_owned),
        };
        let listing: Listing = self.request(request).await?;
        let names = listing.entries.iter().map(|entry| entry.name.as_str());
        if !after.into_iter().chain(names).is_sorted_by(|a, b| a < b) {
            return Err(RequestError::Confused("a listing that is not in order"));
        }
        if listing.more && listing.entries.is_empty() {
            return Err(RequestError::Confused(
                "a listing that goes on without an entry",
            ));
        }
        Ok(listing)
    }

    /// Everything in a folder, by name. An empty path is the root.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub async fn ls(&mut self, path: &str) -> Result<Vec<Entry>, RequestError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let after = entries.last().map(|entry| entry.name.clone());
            let page = self.ls_page(path, after.as_deref()).await?;
            entries.extend(page.entries);
            if !page.more {
                return Ok(entries);
            }
            if entries.len() > MAX_LISTED {
                return Err(RequestError::Confused("a listing without an end"));
            }
        }
    }

    /// The length in bytes and the BLAKE3 hash of a file of the server, which reads it for that:
    /// it may take as long as it takes, while the connection stands.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub async fn hash(&mut self, name: &str) -> Result<(u64, Hash), RequestError> {
        let request = Request::Hash {
            name: name.to_owned(),
        };
        let whole: Confirmation = self.request_within(LONGEST_HASH, request).await?;
        let hash = Hash::from_hex(&whole.hash);
        let hash = hash.map_err(|_| RequestError::Confused("a hash that is none"))?;
        Ok((whole.bytes, hash))
    }

    /// Leaves in good order.
    pub async fn close(mut self) {
        if let Some(control) = self.control.take() {
            channel::close(&self.runtime, control, self.config.close_timeout).await;
        }
    }
}
