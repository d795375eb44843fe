//! Connecting to a host that may have several addresses (Happy Eyeballs, RFC 8305).

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lftp_ftp::{Client, ClientConfig, Exit, OpenError};
use lftp_transport::{ConnectError, ConnectionError, PublicKey, Runtime, Timer, spawn_blocking};

use crate::failure::Failure;
use crate::host::Host;

/// Delay before the next address is tried beside one that has not answered (RFC 8305 §5).
/// `localhost` often resolves to `::1` first, where a server on `0.0.0.0` never answers.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

type Attempt = Pin<Box<dyn Future<Output = Result<Client, OpenError>> + Send>>;

/// A failure to connect.
pub(crate) enum ConnectFailure {
    /// The server has a key that the verifier does not accept.
    Untrusted(PublicKey),
    Failed(Failure),
}

impl ConnectFailure {
    /// Converts it to a failure; `untrusted` describes a key that is not accepted.
    pub(crate) fn describe(self, untrusted: impl FnOnce(PublicKey) -> Failure) -> Failure {
        match self {
            Self::Untrusted(key) => untrusted(key),
            Self::Failed(failure) => failure,
        }
    }
}

/// Returns the key of a server that the verifier did not accept.
const fn untrusted_key(error: &OpenError) -> Option<PublicKey> {
    match error {
        OpenError::Connect {
            source: ConnectError::Connection(ConnectionError::UntrustedPeer { key }),
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
) -> Result<Client, ConnectFailure> {
    let name = host.clone();
    let resolved = spawn_blocking(&**runtime, move || name.resolve()).await;
    let addresses = resolved.map_err(|error| {
        let message = format!("cannot resolve {host}: {error}");
        ConnectFailure::Failed(Failure::new(Exit::NoConnection, message))
    })?;
    let mut race = Race {
        runtime,
        config,
        addresses: addresses.into_iter(),
        attempts: Vec::new(),
        next_attempt: runtime.timer(runtime.now()),
        first_error: None,
    };
    let first = std::future::poll_fn(|cx| race.poll(cx)).await;
    first.map_err(|error| {
        if let Some(key) = error.as_ref().and_then(untrusted_key) {
            return ConnectFailure::Untrusted(key);
        }
        let exit = error.as_ref().map_or(Exit::NoConnection, Exit::from);
        let reason = error.map_or_else(|| "no address".to_owned(), |error| error.to_string());
        let failure = Failure::new(exit, reason);
        // Of a server that has answered, the hint would mislead.
        ConnectFailure::Failed(if exit == Exit::NoConnection {
            let hint = format!("is lftp-server running on {host}, and is that UDP port open?");
            failure.with_hint(&hint)
        } else {
            failure
        })
    })
}

/// Connection attempts to several addresses, each with a head start over the next.
struct Race<'a> {
    runtime: &'a Arc<dyn Runtime>,
    config: &'a ClientConfig,
    addresses: std::vec::IntoIter<SocketAddr>,
    attempts: Vec<Attempt>,
    next_attempt: Pin<Box<dyn Timer>>,
    /// The most useful error to report: that of a server that has answered, else that of the
    /// address that the system prefers.
    first_error: Option<OpenError>,
}

impl Race<'_> {
    fn keep_error(&mut self, error: OpenError) {
        let is_answer = |error: &OpenError| Exit::from(error) != Exit::NoConnection;
        match &self.first_error {
            Some(first) if is_answer(first) || !is_answer(&error) => {}
            _ => self.first_error = Some(error),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Client, Option<OpenError>>> {
        loop {
            let mut index = 0;
            while let Some(attempt) = self.attempts.get_mut(index) {
                match attempt.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready(Ok(client)) => return Poll::Ready(Ok(client)),
                    // A server with the wrong key answered. Another address of the host must
                    // not hide that from the user.
                    Poll::Ready(Err(error)) if untrusted_key(&error).is_some() => {
                        return Poll::Ready(Err(Some(error)));
                    }
                    Poll::Ready(Err(error)) => {
                        self.keep_error(error);
                        // Not swap_remove: the order is the system's preference.
                        drop(self.attempts.remove(index));
                    }
                }
            }
            // The next address is tried after the delay, or at once if no attempt is left.
            let is_due = !self.addresses.as_slice().is_empty()
                && (self.attempts.is_empty()
                    || self.next_attempt.as_mut().poll_fire(cx).is_ready());
            if is_due && let Some(addr) = self.addresses.next() {
                let runtime = Arc::clone(self.runtime);
                let connect = Client::connect(runtime, addr, self.config.clone());
                self.attempts.push(Box::pin(connect));
                self.next_attempt
                    .as_mut()
                    .reset(self.runtime.now() + ATTEMPT_DELAY);
            } else if self.attempts.is_empty() {
                return Poll::Ready(Err(self.first_error.take()));
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

    async fn race(
        addresses: Vec<SocketAddr>,
        connect_timeout: Duration,
    ) -> Result<Client, OpenError> {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        let mut config = ClientConfig::default();
        config.connect_timeout = connect_timeout;
        let mut race = Race {
            runtime: &runtime,
            config: &config,
            addresses: addresses.into_iter(),
            attempts: Vec::new(),
            next_attempt: runtime.timer(runtime.now()),
            first_error: None,
        };
        let first = std::future::poll_fn(|cx| race.poll(cx)).await;
        first.map_err(Option::unwrap)
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_delays_no_other() {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        let mut config = ServerConfig::default();
        config.listen = local();
        config.data_ports = "same".parse().unwrap();
        let server = Server::bind(runtime, config, Arc::new(MemStore::new())).unwrap();
        let answers = server.local_addr();
        tokio::spawn(server.run());
        let silent = UdpSocket::bind(local()).unwrap();
        let addresses = vec![silent.local_addr().unwrap(), answers];
        let client = race(addresses, Duration::from_secs(3600)).await.unwrap();
        assert_eq!(client.server(), answers);
    }

    #[tokio::test]
    async fn when_no_address_answers_the_preferred_one_is_named() {
        let silent = [(); 2].map(|()| UdpSocket::bind(local()).unwrap());
        let addresses: Vec<_> = silent
            .iter()
            .map(|socket| socket.local_addr().unwrap())
            .collect();
        let error = race(addresses.clone(), Duration::from_millis(400)).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(&addresses[0].to_string()), "{error}");
    }
}
