//! Status and changes over HTTP, from this machine: small, and bounded in everything that an
//! unknown client could make it hold.
//!
//! Touch here what can be asked and changed while a proxy runs; keep the bounds. Relies on the
//! proxy's handle, and on hyper for HTTP.

mod answer;
mod change;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use lftp_netem::{profile::NetworkProfile, proxy::ProxyHandle};
use tokio::sync::Semaphore;

use self::answer::Answers;

/// Its part of `--help`.
pub(crate) const HELP: &str = "\
Control (--control ADDR), over HTTP:
  GET /status     the report so far, as JSON: counters, queues, lateness, own drops, validity
  GET /profile    the network as it is now, as TOML, or JSON with Accept: application/json
  PUT /profile    another network from now on: the TOML of a profile or the name of a preset;
                  JSON with Content-Type: application/json
  PATCH /profile  change keys of the network from now on, as --set does: loss=5%, several
                  joined by & or line breaks; or JSON to be merged (null removes a key)
  POST /rebind    another port towards the server for each client, as --rebind-every gives
  GET /metrics    counters for Prometheus
Packets in flight arrive as they would have; a schedule starts when the network is changed.

  curl -X PATCH -d loss=5% -d reverse.delay=80ms http://127.0.0.1:PORT/profile";

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 16;
/// No connection lives longer.
const CONNECTION_TIME: Duration = Duration::from_secs(30);
const HEADER_TIME: Duration = Duration::from_secs(5);
/// A request line with its headers.
const HEADER_BYTES_MAX: usize = 16 << 10;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until the program ends, on a thread of its own.
pub(crate) struct Control {
    address: SocketAddr,
}

impl Control {
    /// Listens at `address` and answers for `proxy`, whose links are as `network` says.
    pub(crate) fn start(
        address: SocketAddr,
        proxy: ProxyHandle,
        network: NetworkProfile,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        let answers = Arc::new(Answers {
            proxy,
            network: Mutex::new(network),
        });
        thread::Builder::new()
            .name("netem-control".to_owned())
            .spawn(move || {
                if let Err(error) = runtime.block_on(serve(listener, answers)) {
                    tracing::warn!(%error, "control has ended");
                }
            })?;
        Ok(Self { address })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: TcpListener, answers: Arc<Answers>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await;
        let slot = slot.map_err(io::Error::other)?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Such as out of descriptors, which passes.
                tracing::debug!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            let service = service_fn(|request| answers.answer(request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .max_buf_size(HEADER_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            // A client whose connection fails, or is closed after its time, knows.
            let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
            drop(slot);
        });
    }
}
