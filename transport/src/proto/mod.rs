//! The state machine: datagrams and the time go in, datagrams and deadlines come out.
//!
//! Nothing in here names a socket, a task or a clock. One contract holds for [`Endpoint`]:
//! after any call, the caller drains [`Endpoint::poll_transmit`] and then waits until
//! [`Endpoint::poll_timeout`] or the next datagram.
//!
//! A room uses only the rooms below it in this table, and of each only what its `mod.rs` hands
//! out.
//!
//! | room | content |
//! |---|---|
//! | [`endpoint`] | one UDP address: admission, demultiplexing, deadlines |
//! | [`connection`] | one peer: handshake, packets out and in, the end |
//! | [`congestion`] | how much may be in flight, and how fast it goes out |
//! | [`recovery`] | packets in flight: losses, round trips, rates, sizes |
//! | [`send`] | the stream's bytes on the sending side, their window and their pace |
//! | [`receive`] | the stream's bytes on the receiving side, their window and acknowledgements |
//! | [`ranges`] | sets of packet numbers and stream offsets |
//! | [`turnover`] | how long bytes have waited |

pub mod congestion;
mod connection;
mod endpoint;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod ranges;
mod receive;
mod recovery;
mod send;
mod turnover;

pub use connection::{
    ConnectionError, DATA_OVERHEAD_BYTES, FlowId, Metrics, Observer, Refusal, Stats, TraceEvent,
};
pub use endpoint::{ConnectionId, Endpoint, EndpointMetrics, Event, Outgoing, Random};
pub use recovery::LossTrigger;

/// Bytes sent for each byte received, at most, where nothing else bounds them: to an address
/// that is not validated (RFC 9000 §8.1), and past the congestion window.
pub(crate) const MAX_AMPLIFICATION: u64 = 3;

#[cfg(test)]
mod tests;
