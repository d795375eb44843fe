//! Settings of the client.

use std::collections::BTreeMap;
use std::time::Duration;

/// The settings of a [`Client`](super::Client).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Transport settings of every connection. Without an identity, a random one is generated for
    /// all of them. The verifier decides about the control connection; data connections must lead
    /// to the same key. Without a keep-alive interval, a default is set, because a control
    /// connection is silent during a transfer.
    pub transport: lftp_transport::Config,
    /// Time limit for connecting. Default 40 s.
    pub connect_timeout: Duration,
    /// Time limit for the reply to a request. Default 60 s.
    pub answer_timeout: Duration,
    /// Time without progress after which a transfer is aborted. Default 60 s.
    pub stall_limit: Duration,
    /// Time limit for the server's confirmation after the last byte: it writes the file to its disk
    /// first. Default 5 min.
    pub confirmation_timeout: Duration,
    /// Time limit for an orderly close. Default 5 s.
    pub close_timeout: Duration,
    /// Data ports that the server probably has. The client connects to one of them while it sends
    /// its request, which saves a round trip if the server grants that port. `None`, the default,
    /// means 9000 to 9009 if the control port is 3154, and no port otherwise.
    pub likely_ports: Option<Vec<u16>>,
    /// Starts the data connection together with the control connection, which saves one more round
    /// trip if the first request is a transfer. Default false.
    pub connect_data_early: bool,
    /// Maps data ports as the server names them to those to connect to (behind a proxy).
    pub port_map: BTreeMap<u16, u16>,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            transport: lftp_transport::Config::default(),
            connect_timeout: Duration::from_secs(40),
            answer_timeout: Duration::from_secs(60),
            stall_limit: Duration::from_secs(60),
            confirmation_timeout: Duration::from_secs(5 * 60),
            close_timeout: Duration::from_secs(5),
            likely_ports: None,
            connect_data_early: false,
            port_map: BTreeMap::new(),
        }
    }
}
