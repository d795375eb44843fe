//! The server's settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::access::{Access, Rights};
use crate::protocol::{DEFAULT_PORT, DataPorts};

/// The settings of a [`Server`](super::Server).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The address of the control port; data ports are on the same interface. Default
    /// `0.0.0.0:3154`.
    pub listen: SocketAddr,
    /// Where files are carried, and how many at once. Default 9000 to 9009.
    pub data_ports: DataPorts,
    /// Who is let in. Default everyone, with all rights.
    pub access: Access,
    /// The transport of every connection. Where it sets no identity, one is drawn for all
    /// ports. Where it sets no keep-alive, there is one: a client
    /// may think, and may be more patient than this side.
    pub transport: lftp_transport::Config,
    /// Clients (control connections) at once. Default 64. The transport's listen limit is raised
    /// so that there is room for them, their transfers, and some who are told that there is
    /// none; its limit for one address is not.
    pub max_clients: usize,
    /// How long a new connection may take to say what it is for. Default 60 s.
    pub hello_timeout: Duration,
    /// How long a granted port waits for its client. Default 60 s: a handshake over a bad
    /// network has time for several tries.
    pub claim_timeout: Duration,
    /// How long a transfer may stand still. Default 60 s.
    pub stall_limit: Duration,
    /// How long a client may be connected without asking for anything. Default 15 min.
    pub idle_limit: Duration,
    /// How long a receiver may take over the end of a file (to get it onto its disk). Default
    /// 5 min.
    pub verdict_timeout: Duration,
    /// How long a connection may take to end in good order: the verdict is not lost with it, however long
    /// the network is down. Default 45 s; once the server is stopped, not at all.
    pub close_timeout: Duration,
    /// How long running transfers may go on after [`shutdown`](super::ServerHandle::shutdown).
    /// Default 10 s.
    pub grace: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, DEFAULT_PORT).into(),
            data_ports: DataPorts::default(),
            access: Access::Everyone(Rights::ALL),
            transport: lftp_transport::Config::default(),
            max_clients: 64,
            hello_timeout: Duration::from_secs(60),
            claim_timeout: Duration::from_secs(60),
            stall_limit: Duration::from_secs(60),
            idle_limit: Duration::from_secs(15 * 60),
            verdict_timeout: Duration::from_secs(5 * 60),
            close_timeout: Duration::from_secs(45),
            grace: Duration::from_secs(10),
        }
    }
}
