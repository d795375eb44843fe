//! Other people's transports on the hosts of the [virtual world](crate::world).
//!
//! Each adapter is a feature of its own, so that the transport is compiled only for those who ask
//! for it. An adapter uses the public interface of [`world`](crate::world) and nothing else: it is
//! also an example of how to write the next one.
//!
//! | feature | transport | example |
//! |---|---|---|
//! | `quinn` | quinn 0.11 | `quinn_in_virtual_time` |
//! | `s2n` | s2n-quic 1.91, whose internal interface is not stable | `s2n_in_virtual_time` |
//!
//! LFTP's own transport keeps its adapter to itself: feature `netem` of `lftp-transport`.

#[cfg(feature = "quinn")]
pub mod quinn;
#[cfg(feature = "s2n")]
pub mod s2n;
