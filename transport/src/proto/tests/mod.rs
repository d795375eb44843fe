//! The state machine over bad networks, in virtual time.

mod closing;
mod handshake;
mod hostile;
mod pair;
mod recovery;
mod secure;
mod short;
mod stateless_reset;
mod strangers;
mod whole;
mod windows;
