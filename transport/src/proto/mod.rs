//! The state machine: datagrams and the time go in, datagrams and deadlines come out.
//!
//! Nothing in here names a socket, a task or a clock. One contract holds for [`Endpoint`]:
//! after any call, the caller drains [`Endpoint::poll_transmit`] and then waits until
//! [`Endpoint::poll_timeout`] or the next datagram.
//!
//! | file | what |
//! |---|---|
//! | [`endpoint`], [`dispatch`] | one UDP address: deadlines, demultiplexing |
//! | [`listen`] | SYNs answered or refused, half-open handshakes, lost connections told |
//! | [`event`] | what an endpoint tells its caller |
//! | [`connection`] | one peer: the poll calls; delegates to what follows |
//! | [`handshake`] | SYN, SYN/ACK, ACK |
//! | [`retry`] | their repeats |
//! | [`secure`], [`path`] | keys, the seal of every packet; where the peer is |
//! | [`transmit`] | which packet goes next, and its bytes |
//! | [`receive`] | what an arriving packet changes |
//! | [`recover`] | acknowledged, lost, timed out: what follows for the sender |
//! | [`closing`] | how a connection ends |
//! | [`go_back_n`] | the seed's recovery, beside the selective one |
//! | [`sent`], [`loss`], [`rtt`], [`rate`] | packets under way and what they teach |
//! | [`congestion`], [`pacing`], [`ecn`], [`mtu`] | how much, how fast, how large |
//! | [`ack`], [`ranges`] | what has arrived, and when to say so |
//! | [`flow`], [`send_buffer`], [`assembler`] | the stream's bytes and their windows |
//! | [`timer`], [`stats`], [`load`], [`observe`] | deadlines, counters, traces |

mod ack;
mod assembler;
mod closing;
pub(crate) mod congestion;
mod connection;
mod dispatch;
mod ecn;
mod endpoint;
mod event;
mod flow;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod go_back_n;
mod handshake;
mod listen;
mod load;
mod loss;
mod mtu;
mod observe;
mod pacing;
mod path;
mod ranges;
pub(crate) mod rate;
mod receive;
mod recover;
mod retry;
mod rtt;
mod secure;
mod send_buffer;
mod sent;
mod spare;
mod stats;
mod timer;
mod transmit;

pub use connection::ConnectionError;
pub use endpoint::{ConnectionId, Endpoint, Random};
pub use event::{Event, Outgoing, Refusal};
pub use load::Load;
pub use observe::{FlowId, LossTrigger, Metrics, Observer, TraceEvent};
pub use stats::Stats;
pub use transmit::DATA_OVERHEAD_BYTES;

#[cfg(test)]
mod tests;
