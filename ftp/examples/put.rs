//! A server in memory and a client that puts a file there and gets it back.
//!
//! ```text
//! cargo run -p lftp-ftp --example put
//! ```

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use lftp_ftp::{
    Client, ClientConfig, DataPorts, MemStore, Name, Server, ServerConfig, Store, Target,
};
use lftp_transport::{Runtime, TokioRuntime};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let runtime: Arc<dyn Runtime> = TokioRuntime::new();

    let mut config = ServerConfig::default();
    config.listen = (Ipv4Addr::LOCALHOST, 0).into();
    // Files on the control port: nothing else has to be free.
    config.data_ports = DataPorts::Same(10);
    let files = MemStore::new();
    let server = Server::bind(Arc::clone(&runtime), config, Arc::new(files.clone()))?;
    let (addr, handle) = (server.local_addr(), server.handle());
    let running = tokio::spawn(server.run());

    let mut client = Client::connect(runtime, addr, ClientConfig::default()).await?;
    let source = MemStore::source("Hello, world!");
    let receipt = client.put(source, "hello.txt", true, &()).await?;
    println!("put {} bytes, BLAKE3 {}", receipt.bytes, receipt.hash);

    let name = Name::parse("hello.txt")?;
    assert!(files.holds(&name, b"Hello, world!"));

    let local: Arc<dyn Store> = Arc::new(MemStore::new());
    let target = Target {
        store: &local,
        name: &name,
        overwrite: false,
    };
    let receipt = client.get("hello.txt", target, &()).await?;
    println!("got {} bytes, BLAKE3 {}", receipt.bytes, receipt.hash);

    client.close().await;
    handle.shutdown();
    Ok(running.await??)
}
