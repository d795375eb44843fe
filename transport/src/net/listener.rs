//! Accepting connections.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use super::driver::Shared;
use super::error::{AcceptError, BindError};
use super::runtime::Runtime;
use super::stream::Stream;
use crate::config::Config;
use crate::proto::Load;

/// A UDP address on which connections are accepted. The seed's `bind` and `listen`.
///
/// Dropping it refuses new connections; streams that were accepted live on.
pub struct Listener {
    shared: Arc<Shared>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener")
            .field(&self.shared.local_addr)
            .finish()
    }
}

impl Listener {
    /// Listens on `addr`; port 0 takes any free port.
    ///
    /// # Errors
    ///
    /// [`BindError`] when the address cannot be had.
    pub fn bind(
        runtime: Arc<dyn Runtime>,
        addr: SocketAddr,
        config: Config,
    ) -> Result<Self, BindError> {
        let shared =
            Shared::start(runtime, addr, config).map_err(|source| BindError { addr, source })?;
        shared.lock().endpoint.set_listening(true);
        Ok(Self { shared })
    }

    /// The address bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local_addr
    }

    /// A look at what the listener's address holds.
    pub fn gauge(&self) -> Gauge {
        Gauge {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Waits for a client that has completed its handshake.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Io`] when the socket failed; nothing will ever be accepted then.
    pub async fn accept(&self) -> Result<Stream, AcceptError> {
        std::future::poll_fn(|cx| {
            let mut state = self.shared.lock();
            if let Some(id) = state.accepted.pop_front() {
                state.hold();
                drop(state);
                return Poll::Ready(Ok(Stream::new(Arc::clone(&self.shared), id)));
            }
            if let Some(kind) = state.socket_failure() {
                return Poll::Ready(Err(AcceptError::Io(kind.into())));
            }
            state.accept_waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Tells what a listener's address holds, whoever has the listener by then. Keeps nothing open.
#[derive(Clone)]
pub struct Gauge {
    shared: Arc<Shared>,
}

impl Gauge {
    /// What is held now.
    pub fn read(&self) -> Load {
        self.shared.lock().endpoint.load()
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge")
            .field(&self.shared.local_addr)
            .finish()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let now = self.shared.runtime.now();
        self.shared.act(|state| {
            state.endpoint.set_listening(false);
            while let Some(id) = state.accepted.pop_front() {
                state.endpoint.abandon(now, id);
            }
        });
        self.shared.release();
    }
}
