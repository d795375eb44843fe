//! Clients that are granted a port and do not come to it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use lftp_ftp::{Client, ClientConfig, Exit, MemStore, Progress};
use lftp_transport::TokioRuntime;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::processes::Server;

/// So many ports of one server, held until this is dropped.
pub(crate) struct Holders {
    runtime: Runtime,
    holding: Vec<JoinHandle<()>>,
}

impl Holders {
    /// Holds `count` ports; waits for those that are still taken.
    pub(crate) fn of(server: &Server, count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut holding = Vec::new();
        for _ in 0..count {
            let (granted, is_granted) = channel();
            holding.push(runtime.spawn(hold(server.host.clone(), granted)));
            wait(&is_granted);
        }
        Self { runtime, holding }
    }
}

impl Drop for Holders {
    /// They leave, and the server hears of it; what it does then is its own affair.
    fn drop(&mut self) {
        for holding in &self.holding {
            holding.abort();
        }
        self.runtime.block_on(async {
            for holding in &mut self.holding {
                let _ = holding.await;
            }
            lftp_transport::sleep(&*TokioRuntime::new(), Duration::from_millis(100)).await;
        });
    }
}

fn wait(is_granted: &Receiver<()>) {
    is_granted
        .recv_timeout(Duration::from_secs(60))
        .expect("a port is free in the end");
}

async fn hold(host: String, granted: Sender<()>) {
    let addr: std::net::SocketAddr = host.parse().unwrap();
    let mut config = ClientConfig::default();
    config.connect_timeout = Duration::from_secs(60);
    // Its data connection goes where nobody answers.
    config.port_map = (1..=u16::MAX).map(|port| (port, 1)).collect();
    let runtime = TokioRuntime::new();
    let mut client = Client::connect(runtime.clone(), addr, config)
        .await
        .unwrap();
    let granted = Granted(granted);
    loop {
        let source = MemStore::source("x");
        let Err(error) = client.put(source, "held", true, &granted).await else {
            panic!("nobody answers there");
        };
        if Exit::from(&error) != Exit::Busy {
            return;
        }
        lftp_transport::sleep(&*runtime, Duration::from_millis(20)).await;
    }
}

/// Tells of the grant.
struct Granted(Sender<()>);

impl Progress for Granted {
    fn begin(&self, _: u64) {
        let _ = self.0.send(());
    }

    fn at(&self, _: u64) {}
}
