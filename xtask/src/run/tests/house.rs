//! A file server and a client in the virtual world, and what is between them.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use lftp_ftp::{
    Client, ClientConfig, DEFAULT_PORT, DataPorts, MemStore, Name, Receipt, Server, ServerConfig,
    ServerHandle, Store, Target, TransferError,
};
use lftp_netem::profile::NetworkProfile;
use lftp_netem::world::{Host, Side, World, WorldConfig};
use lftp_transport::Identity;

use crate::run::{SERVER, VirtualRuntime, client_ip};

/// The file's name at the server.
pub(super) const FILE: &str = "harvest/wheat-of-1997.bin";

/// A world with a server in it that runs, and a host for a client.
pub(super) struct House {
    pub(super) world: World,
    /// Where the server is.
    pub(super) place: Host,
    pub(super) client: Host,
    pub(super) server: ServerHandle,
    /// Where the server's control port is.
    pub(super) addr: SocketAddr,
    /// Its first data port.
    pub(super) data_port: u16,
    /// What the server has.
    pub(super) files: MemStore,
}

/// The key pair of a side.
pub(super) fn identity(number: u8) -> Identity {
    Identity::from_secret([number; 32])
}

/// The key pairs' numbers.
pub(super) const SERVER_KEY: u8 = 1;
pub(super) const CLIENT_KEY: u8 = 2;

impl House {
    /// Over a network as a scenario's `[network]` has it, with one data port.
    pub(super) fn new(network: &str, seed: u64) -> Self {
        Self::with_ports(1, network, seed)
    }

    /// The same with so many data ports.
    pub(super) fn with_ports(ports: u16, network: &str, seed: u64) -> Self {
        let network = NetworkProfile::from_toml_str(network).expect("a sound network");
        let mut world = World::with_config(&WorldConfig::new(&network, seed));
        let place = world.add_host(Side::Server, SERVER).expect("the first");
        let client = world
            .add_host(Side::Client, client_ip(0))
            .expect("the second");
        let files = MemStore::new();
        let mut config = ServerConfig::default();
        config.data_ports = DataPorts::Auto(ports);
        config.transport.identity = Some(identity(SERVER_KEY));
        let (server, data_port) = serve(&place, config, &files);
        Self {
            world,
            place,
            client,
            server,
            addr: SocketAddr::new(SERVER, DEFAULT_PORT),
            data_port,
            files,
        }
    }

    /// A client on that host, with the key pair of that number, that knows the data port: what it
    /// sends, somebody gets.
    pub(super) fn connect(&self, host: &Host, key: u8) -> impl Future<Output = Client> + use<> {
        let (runtime, addr) = (VirtualRuntime::shared(host.clone()), self.addr);
        let mut config = ClientConfig::default();
        config.transport.identity = Some(identity(key));
        config.likely_ports = Some(vec![self.data_port]);
        async move {
            let client = Client::connect(runtime, addr, config).await;
            client.expect("a server that answers")
        }
    }

    /// Connects, and takes one file there and back, or one of the two.
    pub(super) fn carry(&mut self, contents: &Bytes, ways: &[Way]) -> Vec<Receipt> {
        let (connect, files) = (self.connect(&self.client, CLIENT_KEY), self.files.clone());
        let errand = async move {
            let mut client = connect.await;
            let mut receipts = Vec::new();
            for way in ways {
                receipts.push(way.go(&mut client, &files, contents).await);
            }
            client.close().await;
            receipts
        };
        self.world.block_on(errand).expect("an end")
    }
}

/// Runs a server on that host; it ends with the world. Gives its first data port too.
pub(super) fn serve(host: &Host, config: ServerConfig, files: &MemStore) -> (ServerHandle, u16) {
    let runtime = VirtualRuntime::shared(host.clone());
    let store: Arc<dyn Store> = Arc::new(files.clone());
    let server = Server::bind(Arc::clone(&runtime), config, store).expect("free ports");
    let (handle, data_port) = (server.handle(), server.data_ports()[0]);
    runtime.spawn(Box::pin(async move {
        server.run().await.expect("a server that serves");
    }));
    (handle, data_port)
}

/// Which way a file goes.
#[derive(Copy, Clone, Debug)]
pub(super) enum Way {
    Put,
    Get,
}

impl Way {
    pub(super) async fn go(
        self,
        client: &mut Client,
        files: &MemStore,
        contents: &Bytes,
    ) -> Receipt {
        let name = Name::parse(FILE).expect("a name");
        match self {
            Self::Put => {
                let source = MemStore::source(contents.clone());
                let receipt = client.put(source, FILE, true, &()).await;
                assert!(
                    files.holds(&name, contents),
                    "the file is not what was sent"
                );
                receipt.expect("a file that arrives")
            }
            Self::Get => {
                files.insert(&name, contents.clone());
                let local = MemStore::new();
                let receipt = get(client, &local).await;
                assert!(
                    local.holds(&name, contents),
                    "the file is not what was sent"
                );
                receipt.expect("a file that arrives")
            }
        }
    }
}

/// Gets the file into a store.
pub(super) async fn get(client: &mut Client, into: &MemStore) -> Result<Receipt, TransferError> {
    let name = Name::parse(FILE).expect("a name");
    let store: Arc<dyn Store> = Arc::new(into.clone());
    let target = Target {
        store: &store,
        name: &name,
        overwrite: true,
    };
    client.get(FILE, target, &()).await
}

/// Bytes that no compression could shorten, told by `seed`.
pub(super) fn noise(seed: u64, len: usize) -> Bytes {
    use rand::{Rng, SeedableRng};
    let mut bytes = vec![0; len];
    rand_chacha::ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}
