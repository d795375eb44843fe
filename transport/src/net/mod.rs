//! The driver: moves datagrams between a socket and the state machine, and gives the application
//! a [`Listener`] and a [`Stream`].
//!
//! It relies on [`proto`](crate::proto)'s public calls and on a [`Runtime`]; the state machine knows
//! nothing of it. Only the runtimes touch the operating system.
//!
//! | file | content |
//! |---|---|
//! | [`runtime`] | the interface to clock, timers, tasks, sockets and randomness |
//! | [`tokio_runtime`], [`precise_timer`] | its implementation on the operating system |
//! | `virtual_runtime` | its implementation on netem's virtual world (feature `netem`) |
//! | [`driver`], [`scratch`] | the loop: receive, transmit, wake, time out; its buffers |
//! | [`listener`], [`stream`], [`error`] | the application's handles and their errors |

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
pub use listener::{Listener, MetricsHandle};
pub use runtime::{
    BoxFuture, Elapsed, RecvBatch, RecvMeta, Runtime, Socket, Timer, Transmit, sleep,
    spawn_blocking, timeout,
};
pub use stream::{Stream, StreamMonitor};
pub use tokio_runtime::TokioRuntime;
#[cfg(feature = "netem")]
pub use virtual_runtime::VirtualRuntime;
