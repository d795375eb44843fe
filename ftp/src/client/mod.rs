//! The client: one control connection, and a data connection for each transfer.
//!
//! | module | what |
//! |---|---|
//! | `config`, `error`, `pinned_keys` | settings, one error for each operation, the server's key |
//! | `early`, `data_connection` | data connections, opened after or before the grant |
//! | `put`, `small_file`, `piped`, `get`, `tree` | the operations |
//!
//! Touch here what a client asks for and when it gives up; the loops that move the bytes are in
//! `transfer`, and retries are the caller's. Every failure leaves either a control connection that
//! can be used again or none. Relies on [`protocol`], `transfer` and
//! [`store`](crate::store); knows nothing of the server.

mod config;
mod data_connection;
mod early;
mod error;
mod get;
mod pinned_keys;
mod piped;
mod put;
mod small_file;
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

pub use self::config::ClientConfig;
use self::early::EarlyConnection;
pub use self::error::{OpenError, RequestError, TransferError};
pub use self::pinned_keys::PinnedKeys;
pub use self::tree::{Plan, Tree};
use crate::protocol::Code;
use crate::protocol::Name;
use crate::protocol::channel::{self, ChannelError};
use crate::protocol::{self, ClientRequest, Confirmation, Entry, Hello, Listing, Purpose, Request};
use crate::store::Store;

/// Longest listing that [`Client::ls`] collects, in entries.
const MAX_LISTED: usize = 1_000_000;

/// Keep-alive interval of data connections: a lost connection is noticed this soon.
const DATA_KEEP_ALIVE: Duration = Duration::from_millis(300);

/// Time limit for a server to hash a file.
const LONGEST_HASH: Duration = Duration::from_secs(24 * 3600);

/// Destination of a received file.
#[derive(Copy, Clone, Debug)]
pub struct Target<'a> {
    /// The store.
    pub store: &'a Arc<dyn Store>,
    /// The name in the store.
    pub name: &'a Name,
    /// An existing file of that name is replaced.
    pub overwrite: bool,
}

/// A completed transfer of a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Receipt {
    /// Length of the file, in bytes.
    pub bytes: u64,
    /// Bytes from its beginning that an earlier transfer had left.
    pub resumed_bytes: u64,
    /// BLAKE3 hash of the file, equal on both sides.
    pub hash: Hash,
    /// Time from the request to the confirmation that the file is stored.
    pub duration_ns: u64,
    /// Counters of this side of the data connection.
    pub stats: Stats,
    /// Name of the data connection in traces.
    pub data_flow: Option<FlowId>,
    /// Name of the control connection in traces.
    pub control_flow: Option<FlowId>,
}

/// A client with a control connection.
pub struct Client {
    runtime: Arc<dyn Runtime>,
    server: SocketAddr,
    config: ClientConfig,
    key: PublicKey,
    /// `None` once it is lost.
    control: Option<Stream>,
    /// Key of the server, as the control connection has authenticated it.
    server_key: Option<PublicKey>,
    /// The data port to which the client connects before the grant.
    likely_port: Option<u16>,
    early: Option<EarlyConnection>,
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
    /// [`OpenError`] when no server answers there, or refuses the connection.
    pub async fn connect(
        runtime: Arc<dyn Runtime>,
        server: SocketAddr,
        mut config: ClientConfig,
    ) -> Result<Self, OpenError> {
        channel::keep_alive(&mut config.transport);
        // One key for all connections: a token is valid only for the key that it was granted to.
        let generate = || Identity::generate(|bytes| runtime.fill_random(bytes));
        let identity = config.transport.identity.get_or_insert_with(generate);
        let key = identity.public_key();
        let likely_port = early::guess_data_port(&*runtime, server, config.likely_ports.as_deref());
        let mut client = Self {
            runtime,
            server,
            config,
            key,
            control: None,
            server_key: None,
            likely_port,
            early: None,
        };
        if client.config.connect_data_early {
            client.connect_early();
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
        // The data ports must have the same key.
        client.server_key = control.peer_key();
        client.config.transport.verifier = client.server_key.map(PinnedKeys::verifier);
        channel::write(&mut control, hello).await.map_err(lost)?;
        client.control = Some(control);
        Ok(client)
    }

    /// Returns the address of the server's control port.
    pub const fn server(&self) -> SocketAddr {
        self.server
    }

    /// Returns this client's public key.
    pub const fn key(&self) -> PublicKey {
        self.key
    }

    /// Returns true if the control connection is usable for another request.
    pub fn is_connected(&mut self) -> bool {
        let Some(control) = &mut self.control else {
            return false;
        };
        // No data is due between requests: anything that arrives is an error or the end.
        let mut cx = Context::from_waker(Waker::noop());
        // Polled once and dropped: nothing is consumed, as nothing can be there.
        let is_silent = pin!(control.read_chunk(1)).poll(&mut cx).is_pending();
        if !is_silent {
            self.control = None;
        }
        is_silent
    }

    /// Returns the transport settings of a connection, with the round-trip time that the control
    /// connection has measured.
    fn transport(&self) -> lftp_transport::Config {
        let mut transport = self.config.transport.clone();
        let known = self.control.as_ref().map(Stream::stats);
        let known = known.filter(|stats| stats.rtt_samples > 0);
        // The data connection has the same path: its first timeouts need not be the cautious
        // default (RFC 9002 §6.2.2).
        transport.initial_rtt = known.map(|stats| stats.smoothed_rtt);
        transport
    }

    /// Returns the transport settings of a data connection. A receiver sends nothing that a restarted
    /// server could answer with a reset, so its keep-alive interval is short.
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

    /// Sends a request and waits for its reply. Any error except a refusal, and dropping this
    /// future, ends the connection: a late reply must not be taken for that of another request.
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
        // Given back with a successful reply only: nothing is transferred after a refusal, and
        // after any other error the server may have forgotten the port.
        let early = self.early.take();
        // Taken out for the exchange: a future that is dropped in the middle leaves no connection
        // on which the late reply could be read.
        let mut control = self.control.take().ok_or(ChannelError::WentAway)?;
        let exchange = async {
            let written = channel::write(&mut control, message).await;
            // A server that refuses every request says why before it closes.
            let reply = channel::read_reply(&mut control).await;
            if reply.is_err() {
                written?;
            }
            reply
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
                self.early = early;
                Ok(reply)
            }
        }
    }

    /// Returns one page of a folder: entries with names behind `after`. An empty path is the root.
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
        let names = listing.entries.iter().map(|entry| entry.name.raw());
        // Also unique and behind `after`: otherwise a server could let a client collect pages for
        // ever.
        if !after.into_iter().chain(names).is_sorted_by(|a, b| a < b) {
            return Err(RequestError::UnexpectedReply(
                "a listing that is not sorted",
            ));
        }
        if listing.more && listing.entries.is_empty() {
            return Err(RequestError::UnexpectedReply(
                "an empty page that is not the last",
            ));
        }
        Ok(listing)
    }

    /// Returns all entries of a folder, at most a million of them, sorted by name. An empty path is the
    /// root. See [`ls_page`](Self::ls_page) for larger folders.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub async fn ls(&mut self, path: &str) -> Result<Vec<Entry>, RequestError> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let after = entries.last().map(|entry| entry.name.raw().to_owned());
            let page = self.ls_page(path, after.as_deref()).await?;
            entries.extend(page.entries);
            if !page.more {
                return Ok(entries);
            }
            if entries.len() > MAX_LISTED {
                return Err(RequestError::UnexpectedReply("a listing that is too long"));
            }
        }
    }

    /// Returns the length in bytes and the BLAKE3 hash of a file on the server, which has to read it
    /// for that and may take up to a day.
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
        let hash = hash.map_err(|_| RequestError::UnexpectedReply("an invalid hash"))?;
        Ok((whole.bytes, hash))
    }

    /// Closes the control connection in order.
    pub async fn close(mut self) {
        if let Some(control) = self.control.take() {
            channel::close(&self.runtime, control, self.config.close_timeout).await;
        }
    }
}
