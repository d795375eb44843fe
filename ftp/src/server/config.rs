//! The server's settings.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::access::{Access, Rights};
use crate::protocol::{DEFAULT_PORT, DataPorts};

/// The settings of a [`Server`](super::Server).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Address of the control port; data ports are on the same interface. Default
    /// `0.0.0.0:3154`.
    pub listen: SocketAddr,
    /// Ports that files are transferred on, and thereby how many at once. Default 9000 to 9009.
    pub data_ports: DataPorts,
    /// Clients that are admitted. Default everyone, with all rights.
    pub access: Access,
    /// The transport of every connection. Without an identity, one is generated for all ports.
    /// Without a keep-alive, one is set: a client may be idle, and may have a longer idle timeout
    /// than this side.
    pub transport: lftp_transport::Config,
    /// Clients (control connections) at once. Default 64. When there are as many, an idle one gives
    /// its place to a newcomer: that of who holds most, or one that has been idle for 30 s. The transport's listen limit is raised
    /// to hold them, their transfers, and some clients that are refused; its limit for one
    /// address is not.
    pub max_clients: usize,
    /// Limit for the hello of a new connection. Default 60 s.
    pub hello_timeout: Duration,
    /// Limit for the data connection of a granted transfer. Default 60 s: enough for several
    /// handshake attempts over a bad network. When every port is taken, a grant that nobody has
    /// collected for 10 s, or of a client that holds more than the one that asks, ends before that.
    pub claim_timeout: Duration,
    /// How long a transfer may make no progress. Default 60 s.
    pub stall_limit: Duration,
    /// Least rate of a transfer, in bytes per second: one that its client holds below that gives its
    /// port to a client that waits for one. Default 1 KiB/s.
    pub least_rate: u64,
    /// Time over which that rate is measured, without the time in which the server itself holds the
    /// transfer. Default 60 s.
    pub least_rate_over: Duration,
    /// How long a client may be connected without a request. Default 15 min.
    pub idle_limit: Duration,
    /// Limit for the receiver's confirmation of a file (it may have to sync its disk). Default
    /// 5 min.
    pub confirmation_timeout: Duration,
    /// How long a connection may take to close, so that the confirmation survives an outage of the
    /// network. Default 45 s; once the server is stopped, zero.
    pub close_timeout: Duration,
    /// How long transfers in progress may continue after
    /// [`shutdown`](super::ServerHandle::shutdown). Default 10 s.
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
            least_rate: 1024,
            least_rate_over: Duration::from_secs(60),
            idle_limit: Duration::from_secs(15 * 60),
            confirmation_timeout: Duration::from_secs(5 * 60),
            close_timeout: Duration::from_secs(45),
            grace: Duration::from_secs(10),
        }
    }
}
