//! Congestion control: how many bytes may be in flight, and how fast they go out.
//!
//! The trait is in [`controller`], and a built-in controller is a file and a line of the table
//! below; nothing else names it. The rest of the transport sees [`Controller`],
//! [`ControllerFactory`] and [`Congestion`] and never a controller's own type. Relies on delivery
//! rate samples, the pacer's quantum, and [`Time`](crate::Time).
//!
//! | file | what |
//! |---|---|
//! | [`controller`] | the interface, and the arguments of its calls |
//! | [`registry`] | names, parsing and creation, all from the table |
//! | [`classic`] | the protocol that LFTP started from: a window of one packet, a threshold of eight |
//! | [`newreno`] | RFC 9002 §7 |
//! | [`cubic`], [`hystart`] | RFC 9438 with the slow-start exit of RFC 9406 |
//! | [`fathom`] | the default; `docs/CONGESTION.md` explains it |
//! | [`bbr3`] | BBRv3 as published |
//! | [`model`] | parts that `fathom` and `bbr3` share |

mod controller;
mod hystart;
mod model;
mod registry;

#[cfg(test)]
mod tests;

pub use crate::proto::recovery::RateSample;
pub use controller::{AckInfo, Controller, ControllerFactory, LossInfo, Params, SentInfo};
pub use registry::UnknownCongestion;

registry::registry! {
    Classic = classic: "slow start to eight packets, halved on loss, not paced; a baseline";
    NewReno = newreno: "RFC 9002: halves the window in every round trip with a loss";
    Cubic = cubic: "RFC 9438 with HyStart++ (RFC 9406): what most of the Internet runs";
    Fathom = fathom: "paces at the bandwidth it measures and tells random loss from congestion";
    Bbr3 = bbr3: "BBRv3 as published (draft-ietf-ccwg-bbr-02); a baseline";
}

/// The default, because it alone keeps a lossy link busy.
impl Default for Congestion {
    fn default() -> Self {
        Self::Fathom
    }
}
