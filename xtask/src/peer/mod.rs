//! Other people's transports in LFTP's place: the same network, the same losses, the same bytes.
//!
//! | module | contents |
//! |---|---|
//! | [`name`] | the peers' names on the command line |
//! | [`transfer`] | one peer through one plan, on either clock |
//! | [`task`] | the tasks of server and clients, and the record |
//! | [`protocol`] | the transfer protocol: a file on a byte stream, checked and confirmed |
//! | [`certificate`] | the server's identity, where a peer speaks TLS |
//! | [`quinn`] | quinn on virtual hosts |
//! | [`s2n`] | s2n-quic on virtual hosts |
//! | [`kcp`] | KCP's state machine and the loop around it |
//! | [`tcp`] | the kernel's TCP, in real time, between two network namespaces |
//!
//! All but the names are behind the feature `peers`. They rely on `run` for the clock and the
//! world, and on `record` for the numbers; nothing else in the bench knows them.
//!
//! A peer's client starts when LFTP's would, and its transfer ends when LFTP's does: at the
//! receiver's confirmation, handshake included. A transfer that does not finish within the
//! scenario's limit is a result, not an error.
//!
//! In virtual time a seed gives the same packets again: endpoints take their random
//! numbers from the virtual host. What they take from the operating system all the same (TLS keys, connection ids,
//! the phase in which BBR's gain cycle starts) decides neither the size nor the time of a packet.

#[cfg(feature = "peers")]
pub(crate) mod certificate;
#[cfg(feature = "peers")]
mod kcp;
mod name;
#[cfg(feature = "peers")]
mod protocol;
#[cfg(feature = "peers")]
pub(crate) mod quinn;
#[cfg(feature = "peers")]
pub(crate) mod s2n;
#[cfg(feature = "peers")]
mod task;
#[cfg(all(feature = "peers", target_os = "linux"))]
mod tcp;
#[cfg(all(feature = "peers", test))]
mod tests;
#[cfg(feature = "peers")]
mod transfer;

pub(crate) use self::name::{Foreign, Peer};
#[cfg(feature = "peers")]
pub(crate) use self::transfer::run;
#[cfg(not(feature = "peers"))]
use crate::rows::RunRecord;
#[cfg(not(feature = "peers"))]
use crate::run::RunError;
use crate::run::{Clock, Plan};

/// Runs no peer: this build has none.
///
/// # Errors
/// Always [`RunError`].
#[cfg(not(feature = "peers"))]
pub(crate) fn run(_: &Plan, peer: Foreign) -> Result<RunRecord, RunError> {
    Err(RunError::System {
        doing: "run another transport",
        source: std::io::Error::other(format!(
            "{peer} is not part of this build; build with --features peers"
        )),
    })
}

/// The command that repeats a peer's run.
pub(crate) fn command(plan: &Plan, peer: Foreign) -> String {
    let (scenario, seed) = (plan.scenario.arguments(), plan.seed);
    let clock = match plan.clock {
        Clock::Real => " --clock real",
        Clock::Virtual => "",
    };
    format!("cargo xtask compare {scenario} --peers {peer} --seeds {seed}{clock}")
}
