//! The connection to a host that may have several addresses.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lftp_ftp::{Client, ClientConfig, Exit, OpenError};
use lftp_transport::{ConnectError, PublicKey, Runtime, Timer, unblock};

use crate::host::Host;
use crate::session::Failure;

/// An address that has not answered for so long gets company (RFC 8305 §5): `localhost` is
/// often `::1` first, where a server on `0.0.0.0` never answers.
const NEXT_TRY_AFTER: Duration = Duration::from_millis(250);

type Try = Pin<Box<dyn Future<Output = Result<Client, OpenError>> + Send>>;

/// Why there is no connection.
pub(crate) enum NoConnection {
    /// The server answers with a key that will not do.
    Untrusted(PublicKey),
    Failed(Failure),
}

impl NoConnection {
    /// In words.
    pub(crate) fn or(self, untrusted: impl FnOnce(PublicKey) -> Failure) -> Failure {
        match self {
            Self::Untrusted(shown) => untrusted(shown),
            Self::Failed(failure) => failure,
        }
    }
}

/// The key of a server that answers and is not the one that is meant.
const fn untrusted(error: &OpenError) -> Option<PublicKey> {
    match error {
        OpenError::Connect {
            source: ConnectError::UntrustedPeer { key },
            ..
        } => Some(*key),
        _ => None,
    }
}

/// Connects to the first of the host's addresses that answers.
pub(crate) async fn connect(
    runtime: &Arc<dyn Runtime>,
    host: &Host,
    config: &ClientConfig,
) -> Result<Client, NoConnection> {
    let wanted = host.clone();
    let resolved = unblock(&**runtime, move || wanted.resolve()).await;
    let addresses = resolved.map_err(|error| {
        let sentence = format!("no address is known for {host}: {error}");
        NoConnection::Failed(Failure::new(Exit::NoConnection, sentence))
    })?;
    let mut race = Race {
        runtime,
        config,
        addresses: addresses.into_iter(),
        running: Vec::new(),
        next: runtime.timer(runtime.now()),
        failed: None,
    };
    let first = std::future::poll_fn(|cx| race.poll(cx)).await;
    first.map_err(|error| {
        if let Some(shown) = error.as_ref().and_then(untrusted) {
            return NoConnection::Untrusted(shown);
        }
        if let Some(error @ OpenError::NotAdmitted { .. }) = &error {
            return NoConnection::Failed(Failure::new(error.into(), error.to_string()));
        }
        let reason = error.map_or_else(|| "no address".to_owned(), |error| error.to_string());
        let sentence =
            format!("{reason}; is lftp-server running on {host}, and is that UDP port open?");
        NoConnection::Failed(Failure::new(Exit::NoConnection, sentence))
    })
}

/// One try an address, each with a head start before the next.
struct Race<'a> {
    runtime: &'a Arc<dyn Runtime>,
    config: &'a ClientConfig,
    addresses: std::vec::IntoIter<SocketAddr>,
    running: Vec<Try>,
    next: Pin<Box<dyn Timer>>,
    /// The first that failed: the address that the system prefers.
    failed: Option<OpenError>,
}

impl Race<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Client, Option<OpenError>>> {
        loop {
            let mut at = 0;
            while let Some(running) = self.running.get_mut(at) {
                match running.as_mut().poll(cx) {
                    Poll::Pending => at += 1,
                    Poll::Ready(Ok(client)) => return Poll::Ready(Ok(client)),
                    // Somebody is there, and waiting for the others makes him no better.
                    Poll::Ready(Err(error)) if untrusted(&error).is_some() => {
                        return Poll::Ready(Err(Some(error)));
                    }
                    Poll::Ready(Err(error)) => {
                        self.failed.get_or_insert(error);
                        drop(self.running.remove(at));
                    }
                }
            }
            let is_due = !self.addresses.as_slice().is_empty()
                && (self.running.is_empty() || self.next.as_mut().poll_fire(cx).is_ready());
            if is_due && let Some(addr) = self.addresses.next() {
                let runtime = Arc::clone(self.runtime);
                let connect = Client::connect(runtime, addr, self.config.clone());
                self.running.push(Box::pin(connect));
                self.next
                    .as_mut()
                    .reset(self.runtime.now() + NEXT_TRY_AFTER);
            } else if self.running.is_empty() {
                return Poll::Ready(Err(self.failed.take()));
            } else {
                return Poll::Pending;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use lftp_ftp::{MemStore, Server, ServerConfig};
    use lftp_transport::TokioRuntime;

    use super::*;

    fn local() -> SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, 0).into()
    }

    async fn first(addresses: Vec<SocketAddr>, wait: Duration) -> Result<Client, OpenError> {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        let mut config = ClientConfig::default();
        config.connect_timeout = wait;
        let mut race = Race {
            runtime: &runtime,
            config: &config,
            addresses: addresses.into_iter(),
            running: Vec::new(),
            next: runtime.timer(runtime.now()),
            failed: None,
        };
        let first = std::future::poll_fn(|cx| race.poll(cx)).await;
        first.map_err(Option::unwrap)
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_holds_nobody_up() {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        let mut config = ServerConfig::default();
        config.listen = local();
        config.data_ports = "same".parse().unwrap();
        let server = Server::bind(runtime, config, Arc::new(MemStore::new())).unwrap();
        let answers = server.local_addr();
        tokio::spawn(server.run());
        let silent = UdpSocket::bind(local()).unwrap();
        let addresses = vec![silent.local_addr().unwrap(), answers];
        let client = first(addresses, Duration::from_secs(3600)).await.unwrap();
        assert_eq!(client.server(), answers);
    }

    #[tokio::test]
    async fn when_nobody_answers_the_preferred_address_is_named() {
        let silent = [(); 2].map(|()| UdpSocket::bind(local()).unwrap());
        let addresses: Vec<_> = silent
            .iter()
            .map(|socket| socket.local_addr().unwrap())
            .collect();
        let error = first(addresses.clone(), Duration::from_millis(400)).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(&addresses[0].to_string()), "{error}");
    }
}
