//! The state machine over bad networks, in virtual time.

mod closing;
mod handshake;
mod hostile;
mod pair;
mod recovery;
mod secure;
mod strangers;
mod whole;
mod windows;
