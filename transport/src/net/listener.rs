//! A listening address.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use super::driver::Shared;
use super::error::{AcceptError, BindError};
use super::runtime::Runtime;
use super::stream::Stream;
use crate::config::Config;
use crate::proto::EndpointMetrics;

/// A UDP address that accepts connections. The original library's `bind` and
/// `listen`.
///
/// Dropping it refuses new connections; accepted streams stay open.
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
    /// [`BindError`] when the address is taken or not this host's.
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

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local_addr
    }

    /// A handle to the counters of everything on the listener's address.
    pub fn metrics(&self) -> MetricsHandle {
        MetricsHandle {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Waits for a client to complete its handshake.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Io`] when the socket failed; every later call fails as well.
    pub async fn accept(&self) -> Result<Stream, AcceptError> {
        std::future::poll_fn(|cx| {
            let mut state = self.shared.lock();
            // Connections that were complete before the socket failed are still handed out: their
            // streams report the failure.
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

/// Reads the [`EndpointMetrics`] of a listener's address without borrowing the listener. Does not
/// keep the address open.
#[derive(Clone)]
pub struct MetricsHandle {
    shared: Arc<Shared>,
}

impl MetricsHandle {
    /// The present counts.
    pub fn read(&self) -> EndpointMetrics {
        self.shared.lock().endpoint.metrics()
    }
}

impl fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MetricsHandle")
            .field(&self.shared.local_addr)
            .finish()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let now = self.shared.runtime.now();
        self.shared.act(|state| {
            state.endpoint.set_listening(false);
            // Established, but no application will ever have them: a reset says so, silence would
            // let the clients wait.
            while let Some(id) = state.accepted.pop_front() {
                state.endpoint.abandon(now, id);
            }
        });
        self.shared.release();
    }
}
