//! A reliable, encrypted, congestion-controlled byte stream over UDP.
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! use lftp_transport::{Config, Listener, Stream, TokioRuntime};
//!
//! let runtime = TokioRuntime::new();
//! let listener = Listener::bind(runtime.clone(), "127.0.0.1:0".parse()?, Config::default())?;
//! let addr = listener.local_addr();
//!
//! // An echo server.
//! tokio::spawn(async move {
//!     let mut stream = listener.accept().await?;
//!     while let Some(chunk) = stream.read_chunk(64 << 10).await? {
//!         stream.write_bytes(chunk).await?;
//!     }
//!     stream.finish().await?;
//!     Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! });
//!
//! // And its client.
//! let mut stream = Stream::connect(runtime, addr, Config::default()).await?;
//! stream.write_all(b"hello").await?;
//! stream.finish().await?;
//! let mut answer = [0; 5];
//! stream.read_exact(&mut answer).await?;
//! assert_eq!(&answer, b"hello");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! # Layers
//!
//! [`proto`] is the protocol as a state machine. Its caller hands it the time and the received
//! datagrams; it returns datagrams to send and the time of its next timeout. It opens no socket,
//! reads no clock and uses no randomness of its own.
//!
//! `net` (feature `tokio`, on by default) is the driver. It moves datagrams between a socket and
//! the state machine, and gives the application a [`Listener`] and a [`Stream`]. Its environment
//! is a [`Runtime`]: [`TokioRuntime`] is the operating system, `VirtualRuntime` (feature `netem`)
//! a host of `lftp-netem`'s virtual world, where a test of a minute takes a blink and gives the
//! same packets every time.
//!
//! The path of a byte: [`Stream::write`] → [`proto::Endpoint::write`] → `send` → `transmit` →
//! [`wire`] → [`Socket`] → network → [`Socket`] → [`proto::Endpoint::handle_datagram`] → `receive`
//! → [`Stream::read`].
//!
//! # Names in the original library
//!
//! LFTP replaces a small library, of which this crate keeps the calls under other names:
//! `mysocket` is [`Stream`] and [`Listener`]; `bind` and `listen(num)` are [`Listener::bind`]
//! with [`Config::listen_limit`]; `accept` is [`Listener::accept`]; `connect`, `send` and `recv`
//! are [`Stream::connect`], [`Stream::write`] and [`Stream::read`].

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the tables of files are for readers of the source"
)]
#![cfg_attr(
    not(feature = "tokio"),
    allow(rustdoc::broken_intra_doc_links, reason = "no driver")
)]

mod config;
mod crypto;
#[cfg(feature = "tokio")]
mod net;
mod prefix;
pub mod proto;
mod time;
mod wire;

pub use config::{Config, Congestion, Recovery, SharedMemory, UnknownRecovery};
pub use crypto::{Cipher, Identity, InvalidKey, Peer, PeerVerifier, PublicKey, UnknownCipher};
#[cfg(feature = "tokio")]
pub use net::*;
pub use prefix::AddressPrefix;
pub use proto::congestion;
pub use proto::{
    ConnectionError, EndpointMetrics, FlowId, LossTrigger, Metrics, Observer, Refusal, Stats,
    TraceEvent,
};
pub use time::Time;
pub use wire::DecodeError;

/// The ECN field of an IP header (RFC 3168 §5).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Ecn {
    /// ECN-capable transport, codepoint `10`.
    Ect0,
    /// ECN-capable transport, codepoint `01` (L4S, RFC 9331).
    Ect1,
    /// Congestion experienced, codepoint `11`.
    Ce,
}
