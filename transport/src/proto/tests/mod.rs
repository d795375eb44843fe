//! The state machine over bad networks, in virtual time.

mod amplification;
mod closing;
mod flood;
mod handshake;
mod hostile;
mod memory;
mod pair;
mod recovery;
mod secure;
mod shares;
mod short;
mod stateless_reset;
mod whole;
mod windows;
