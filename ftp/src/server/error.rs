//! Why a server cannot serve.

use std::io;

use lftp_transport::{AcceptError, BindError};

/// Failure of a port of the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A port could not be bound.
    #[error("{0}; {advice}", advice = advice(.0))]
    Bind(#[from] BindError),
    /// A bound port failed.
    #[error("a port is gone: {0}")]
    Accept(#[from] AcceptError),
}

fn advice(error: &BindError) -> &'static str {
    match error.source.kind() {
        io::ErrorKind::AddrInUse => "is another server running?",
        io::ErrorKind::AddrNotAvailable => "no network interface here has that address",
        io::ErrorKind::PermissionDenied => "that port is reserved",
        _ => "it cannot be used here",
    }
}
