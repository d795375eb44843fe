//! A port that the proxy listens on, and the server behind it.

use std::net::SocketAddr;

use super::socket::Socket;

pub(crate) struct Port {
    pub(crate) socket: Socket,
    pub(crate) target: SocketAddr,
}
