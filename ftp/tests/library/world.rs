//! A server with files, and clients for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lftp_ftp::{
    Client, ClientConfig, DataPorts, MemStore, Name, Receipt, ServeError, Server, ServerConfig,
    ServerHandle, Store, Target, TransferError,
};
use lftp_transport::{Runtime, TokioRuntime};
use tokio::task::JoinHandle;

pub(crate) struct World {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) addr: SocketAddr,
    pub(crate) data_ports: Vec<u16>,
    pub(crate) server: ServerHandle,
    /// The server's files, unless it was given another store.
    pub(crate) files: MemStore,
    pub(crate) running: JoinHandle<Result<(), ServeError>>,
}

pub(crate) fn server_config(data_ports: &str) -> ServerConfig {
    let mut config = ServerConfig::default();
    config.listen = (Ipv4Addr::LOCALHOST, 0).into();
    config.data_ports = data_ports.parse::<DataPorts>().unwrap();
    config.transport.idle_timeout = Duration::from_secs(5);
    config.grace = Duration::from_secs(1);
    config
}

pub(crate) fn client_config() -> ClientConfig {
    let mut config = ClientConfig::default();
    config.transport.idle_timeout = Duration::from_secs(5);
    config.transport.keep_alive = Some(Duration::from_secs(1));
    config
}

impl World {
    pub(crate) fn new(config: ServerConfig) -> Self {
        let files = MemStore::new();
        Self::with_store(config, Arc::new(files.clone()), files)
    }

    pub(crate) fn with_store(config: ServerConfig, store: Arc<dyn Store>, files: MemStore) -> Self {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        let server = Server::bind(Arc::clone(&runtime), config, store).unwrap();
        let (addr, data_ports) = (server.local_addr(), server.data_ports());
        let handle = server.handle();
        let running = tokio::spawn(server.run());
        Self {
            runtime,
            addr,
            data_ports,
            server: handle,
            files,
            running,
        }
    }

    pub(crate) async fn client(&self) -> Client {
        self.client_with(client_config()).await
    }

    pub(crate) async fn client_with(&self, config: ClientConfig) -> Client {
        Client::connect(Arc::clone(&self.runtime), self.addr, config)
            .await
            .unwrap()
    }

    /// Waits until all ports are free, which is when the server has noticed the end of their
    /// transfers.
    pub(crate) async fn pool_is_whole(&self) {
        for _ in 0..1000 {
            if self.server.pool().free() == self.server.pool().size() {
                return;
            }
            lftp_transport::sleep(&*self.runtime, Duration::from_millis(20)).await;
        }
        panic!(
            "{} of {} ports were returned",
            self.server.pool().free(),
            self.server.pool().size()
        );
    }
}

pub(crate) fn name(name: &str) -> Name {
    Name::parse(name).unwrap()
}

/// Bytes that do not repeat in blocks of any size that a transfer uses.
pub(crate) fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(|_| next()).collect()
}

pub(crate) async fn put(
    client: &mut Client,
    contents: &[u8],
    name: &str,
) -> Result<Receipt, TransferError> {
    client
        .put(MemStore::source(contents.to_vec()), name, true, &())
        .await
}

pub(crate) async fn get(client: &mut Client, remote: &str) -> Result<Vec<u8>, TransferError> {
    let local = MemStore::new();
    let store: Arc<dyn Store> = Arc::new(local.clone());
    let target = Target {
        store: &store,
        name: &name("local"),
        overwrite: true,
    };
    client.get(remote, target, &()).await?;
    Ok(local.contents(&name("local")).unwrap().to_vec())
}
