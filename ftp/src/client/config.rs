//! The client's settings.

use std::collections::BTreeMap;
use std::time::Duration;

/// The settings of a [`Client`](super::Client).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The transport of every connection. Where it sets no identity, one is drawn for all of
    /// them; its verifier judges the control connection, and that the data connections lead to
    /// the same key goes without saying. Where it sets no keep-alive, there is one: a
    /// control connection is silent while a file is carried.
    pub transport: lftp_transport::Config,
    /// How long a connection may take to be made. Default 40 s.
    pub connect_timeout: Duration,
    /// How long the server may take to answer. Default 60 s.
    pub answer_timeout: Duration,
    /// How long a transfer may stand still. Default 60 s.
    pub stall_limit: Duration,
    /// How long the server may take over the end of a file (to get it onto its disk). Default
    /// 5 min.
    pub confirmation_timeout: Duration,
    /// How long a connection may take to end in good order. Default 5 s.
    pub close_timeout: Duration,
    /// Where the server is taken to have its data ports before it has said so: the client comes
    /// to one of them while it still asks, and a round trip is saved when the server grants that
    /// one. `None`, the default, stands for 9000 to 9009 where the control port is 3154, and for
    /// nothing elsewhere.
    pub likely_ports: Option<Vec<u16>>,
    /// A transfer is what the server will be asked for first: its data connection sets out
    /// together with the control connection, and one more round trip is saved. Default false.
    pub transfers_at_once: bool,
    /// Data ports as the server names them, and where they are found instead (behind a proxy).
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
            transfers_at_once: false,
            port_map: BTreeMap::new(),
        }
    }
}
