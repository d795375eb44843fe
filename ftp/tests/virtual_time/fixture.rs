//! A file server and a client in the virtual world, and the network between them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use lftp_ftp::{
    Client, ClientConfig, DEFAULT_PORT, DataPorts, MemStore, Name, Receipt, Server, ServerConfig,
    ServerHandle, Store, Target, TransferError,
};
use lftp_netem::profile::NetworkProfile;
use lftp_netem::world::{Host, World, WorldConfig};
use lftp_transport::{Identity, Runtime, VirtualRuntime};

/// The file's name at the server.
pub(super) const FILE: &str = "harvest/wheat-of-1997.bin";

/// The address of the server.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));

/// The address of a client.
pub(super) fn client_ip(index: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 2, 1 + index).into()
}

/// A world with a running server and a host for a client.
pub(super) struct Fixture {
    pub(super) world: World,
    pub(super) server_host: Host,
    pub(super) client: Host,
    pub(super) server: ServerHandle,
    /// The server's control port.
    pub(super) addr: SocketAddr,
    /// The server's first data port.
    pub(super) data_port: u16,
    /// The server's files.
    pub(super) files: MemStore,
}

/// The key pair of a side.
pub(super) fn identity(number: u8) -> Identity {
    Identity::from_secret([number; 32])
}

/// The key pairs' numbers.
pub(super) const SERVER_KEY: u8 = 1;
pub(super) const CLIENT_KEY: u8 = 2;

impl Fixture {
    /// A network given as a scenario's `[network]` table, and a server with one data port.
    pub(super) fn new(network: &str, seed: u64) -> Self {
        Self::with_ports(1, network, seed)
    }

    /// The same with `ports` data ports.
    pub(super) fn with_ports(ports: u16, network: &str, seed: u64) -> Self {
        let network = NetworkProfile::from_toml_str(network).expect("a valid network");
        let config = WorldConfig::new(&network, seed);
        let mut server = ServerConfig::default();
        server.data_ports = DataPorts::Auto(ports);
        server.transport.identity = Some(identity(SERVER_KEY));
        Self::with_config(&config, server)
    }

    /// Any world, any server.
    pub(super) fn with_config(config: &WorldConfig, server: ServerConfig) -> Self {
        let mut world = World::with_config(config);
        let server_host = world.add_server(SERVER).expect("the first");
        let client = world.add_client(client_ip(0)).expect("the second");
        let files = MemStore::new();
        let (server, data_port) = serve(&server_host, server, &files);
        Self {
            world,
            server_host,
            client,
            server,
            addr: SocketAddr::new(SERVER, DEFAULT_PORT),
            data_port,
            files,
        }
    }

    /// A client on `host`, with the key pair of number `key`, that guesses the data port right.
    pub(super) fn connect(&self, host: &Host, key: u8) -> impl Future<Output = Client> + use<> {
        let (runtime, addr) = (VirtualRuntime::new(host.clone()), self.addr);
        let mut config = ClientConfig::default();
        config.transport.identity = Some(identity(key));
        config.likely_ports = Some(vec![self.data_port]);
        async move {
            let client = Client::connect(runtime, addr, config).await;
            client.expect("a server that answers")
        }
    }

    /// Connects a client and performs `operations` with one file.
    pub(super) fn transfer(&mut self, contents: &Bytes, operations: &[Operation]) -> Vec<Receipt> {
        let (connect, files) = (self.connect(&self.client, CLIENT_KEY), self.files.clone());
        let task = async move {
            let mut client = connect.await;
            let mut receipts = Vec::new();
            for operation in operations {
                receipts.push(operation.run(&mut client, &files, contents).await);
            }
            client.close().await;
            receipts
        };
        self.world.block_on(task).expect("an end")
    }
}

/// A world in which one client with default settings transfers one file and no more.
pub(super) fn single_transfer(config: &WorldConfig) -> (Fixture, ClientConfig) {
    let fixture = Fixture::with_config(config, ServerConfig::default());
    let mut client = ClientConfig::default();
    client.connect_data_early = true;
    (fixture, client)
}

/// Runs a server on `host`; it ends with the world. Returns its handle and its first data port.
pub(super) fn serve(host: &Host, config: ServerConfig, files: &MemStore) -> (ServerHandle, u16) {
    let runtime: Arc<dyn Runtime> = VirtualRuntime::new(host.clone());
    let store: Arc<dyn Store> = Arc::new(files.clone());
    let server = Server::bind(Arc::clone(&runtime), config, store).expect("free ports");
    let (handle, data_port) = (server.handle(), server.data_ports()[0]);
    runtime.spawn(Box::pin(async move {
        server.run().await.expect("a server that serves");
    }));
    (handle, data_port)
}

/// An operation of a client on a file.
#[derive(Copy, Clone, Debug)]
pub(super) enum Operation {
    Put,
    Get,
}

impl Operation {
    pub(super) async fn run(
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

/// Incompressible bytes that follow from `seed`.
pub(super) fn noise(seed: u64, len: usize) -> Bytes {
    use rand::{Rng, SeedableRng};
    let mut bytes = vec![0; len];
    rand_chacha::ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes.into()
}
