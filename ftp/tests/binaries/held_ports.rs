//! Data ports held by clients that never connect to them.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use lftp_ftp::{Client, ClientConfig, Exit, MemStore, Progress};
use lftp_transport::TokioRuntime;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::processes::Server;

/// Ports of one server, held until this is dropped.
pub(crate) struct HeldPorts {
    runtime: Runtime,
    clients: Vec<JoinHandle<()>>,
}

impl HeldPorts {
    /// Holds `count` ports, and waits for those that are still in use.
    pub(crate) fn new(server: &Server, count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut clients = Vec::new();
        for _ in 0..count {
            let (granted, is_granted) = channel();
            clients.push(runtime.spawn(hold(server.host.clone(), granted)));
            wait(&is_granted);
        }
        Self { runtime, clients }
    }
}

impl Drop for HeldPorts {
    /// Closes the clients' connections and leaves the server time to notice.
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
        self.runtime.block_on(async {
            for client in &mut self.clients {
                let _ = client.await;
            }
            lftp_transport::sleep(&*TokioRuntime::new(), Duration::from_millis(100)).await;
        });
    }
}

fn wait(is_granted: &Receiver<()>) {
    is_granted
        .recv_timeout(Duration::from_secs(60))
        .expect("a port becomes free");
}

async fn hold(host: String, granted: Sender<()>) {
    let addr: std::net::SocketAddr = host.parse().unwrap();
    let mut config = ClientConfig::default();
    config.connect_timeout = Duration::from_secs(60);
    // No server answers on port 1, so the granted port stays reserved.
    config.port_map = (1..=u16::MAX).map(|port| (port, 1)).collect();
    let runtime = TokioRuntime::new();
    let mut client = Client::connect(runtime.clone(), addr, config)
        .await
        .unwrap();
    let granted = Granted(granted);
    loop {
        let source = MemStore::source("x");
        let Err(error) = client.put(source, "held", true, &granted).await else {
            panic!("no server answers on port 1");
        };
        if Exit::from(&error) != Exit::Busy {
            return;
        }
        lftp_transport::sleep(&*runtime, Duration::from_millis(20)).await;
    }
}

/// Signals that the transfer was granted.
struct Granted(Sender<()>);

impl Progress for Granted {
    fn begin(&self, _: u64) {
        let _ = self.0.send(());
    }

    fn at(&self, _: u64) {}
}
