//! The driver: datagrams between a socket and the state machine, a face for the application.
//!
//! | file | what |
//! |---|---|
//! | [`runtime`] | what the driver asks of its surroundings |
//! | [`tokio_runtime`], [`precise_timer`] | the operating system's answer |
//! | `virtual_runtime` | the virtual world's answer (feature `netem`) |
//! | [`driver`], [`scratch`] | the loop: receive, time, transmit, wake; the buffers for it |
//! | [`listener`], [`stream`], [`error`] | what the application holds |

mod driver;
mod error;
mod listener;
mod precise_timer;
mod runtime;
mod scratch;
mod stream;
mod tokio_runtime;
#[cfg(feature = "netem")]
mod virtual_runtime;

pub use error::{AcceptError, BindError, ConnectError, ReadError, WriteError};
pub use listener::{Gauge, Listener};
pub use runtime::{
    BoxFuture, Elapsed, RecvBatch, RecvMeta, Runtime, Socket, Timer, Transmit, sleep, timeout,
    unblock,
};
pub use stream::{Pulse, Stream};
pub use tokio_runtime::TokioRuntime;
#[cfg(feature = "netem")]
pub use virtual_runtime::VirtualRuntime;
