//! A reliable, congestion-controlled byte stream over UDP.
//!
//! The crate is two layers. [`proto`] is the protocol as a state machine: it is told the time
//! and handed datagrams, and answers with datagrams and with the time at which it wants to be
//! called again. It opens no socket, reads no clock and draws no randomness of its own.
//! `net` (feature `tokio`, on by default) is the driver: it moves datagrams between a socket
//! and the state machine, and shows the application a [`Listener`] and a [`Stream`].
//!
//! A byte travels: [`Stream::write`] → [`proto::Endpoint::write`] → `send_buffer` → `transmit`
//! → [`wire`] → [`Socket`] → network → [`Socket`] → [`proto::Endpoint::handle_datagram`] →
//! `receive` → `assembler` → [`Stream::read`].
//!
//! For readers of the seed: its `mysocket` is [`Stream`] and [`Listener`]; `bind` and
//! `listen(num)` are [`Listener::bind`] with [`Config::listen_limit`]; `accept` is
//! [`Listener::accept`]; `connect`, `send` and `recv` are [`Stream::connect`],
//! [`Stream::write`] and [`Stream::read`].

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the tables of files are for who reads the source"
)]
#![cfg_attr(
    not(feature = "tokio"),
    allow(rustdoc::broken_intra_doc_links, reason = "no driver")
)]

mod config;
mod crypto;
#[cfg(feature = "tokio")]
mod net;
pub mod proto;
mod time;
mod wire;

pub use config::{Config, Congestion, Recovery, UnknownRecovery};
pub use crypto::{Cipher, Identity, InvalidKey, Peer, PeerVerifier, PublicKey, UnknownCipher};
#[cfg(feature = "tokio")]
pub use net::*;
pub use proto::{
    ConnectionError, FlowId, Load, LossTrigger, Metrics, Observer, Refusal, Stats, TraceEvent,
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
