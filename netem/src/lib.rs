#![doc = include_str!("../README.md")]
//!
//! A network is described by a [`NetworkProfile`](profile::NetworkProfile), which is the
//! `[network]` table of a scenario; its fields are described there, and in [`parameters`] each
//! with its unit, its range and where it is from. What the crate can do, and which test shows it,
//! is in [`features`], with its speed and its accuracy.
//!
//! # A link in ten lines
//!
//! ```
//! use lftp_netem::{Time, Direction, link::Link, packet::Packet, profile::NetworkProfile};
//!
//! let network = NetworkProfile::from_toml_str(r#"
//!     rate = "8mbit"
//!     delay = "20ms"
//!     loss = { model = "gilbert-elliott", mean = "1%", burst = "3p" }
//! "#)?;
//! let mut link = Link::new(&network.forward(), 1, Direction::Forward);
//! let addr = "10.0.0.1:9".parse()?;
//! link.push(Time::ZERO, Packet::new(addr, addr, 0, vec![0; 972]));
//! // 1000 bytes on the link take 1 ms, then travel 20 ms.
//! assert_eq!(link.next_wakeup(), Some(Time::from_nanos(21_000_000)));
//! assert!(link.pop(Time::from_nanos(21_000_000)).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A driver calls [`push`](link::Link::push) when a packet arrives and
//! [`pop`](link::Link::pop), until it gives no more, at each
//! [`next_wakeup`](link::Link::next_wakeup). [`counters`](link::Link::counters) say what happened
//! so far, and [records](link::Link::take_records) what happened to each packet.
//!
//! # A network with a name, or from a line for `tc`
//!
//! ```
//! use lftp_netem::profile::{DirectionSettings, Preset};
//!
//! let lte = Preset::Lte.profile();
//! assert_eq!(lte.forward().rate_bps(), Some(12_000_000));
//! // To the options of tc-netem(8), and back.
//! let line = "delay 100ms 20ms distribution paretonormal loss gemodel 1% 10%";
//! let settings = DirectionSettings::from_tc(line)?;
//! assert_eq!(settings.delay.map(|delay| delay.0), Some(100_000_000));
//! assert!(settings.to_tc()?.starts_with("delay 100ms 20ms"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A virtual world
//!
//! [`world`] has the hosts of the first example. LFTP, quinn and s2n-quic run on such hosts
//! unchanged: see the features `quinn` and `s2n`, and `examples/quinn_in_virtual_time.rs`. LFTP's adapter is feature `netem` of `lftp-transport`.
//!
//! # A recording
//!
//! The random events of one run can be replayed in another, with another seed, another build or
//! another protocol; edited by hand; or shrunk to those that make a run fail. See [`recording`].
//!
//! ```
//! use lftp_netem::{Time, Direction, link::Link, packet::Packet, profile::NetworkProfile};
//! use lftp_netem::recording::Recording;
//!
//! let network = NetworkProfile::from_toml_str("loss = '10%'")?;
//! let addr = "10.0.0.1:9".parse()?;
//! let run = |link: &mut Link| {
//!     for at in 0..100 {
//!         link.push(Time::from_nanos(at), Packet::new(addr, addr, 0, vec![0; 100]));
//!     }
//!     link.counters().lost_wire
//! };
//! let mut first = Link::new(&network.forward(), 1, Direction::Forward);
//! first.record_events(true);
//! let lost = run(&mut first);
//! let recording: Recording = first.take_events().into_iter().collect();
//!
//! let mut second = Link::new(&network.forward(), 2, Direction::Forward);
//! second.replay(&recording);
//! assert_eq!(run(&mut second), lost);
//! // To lose three packets it takes three losses.
//! let fails = |recording: &Recording| {
//!     let mut link = Link::new(&network.forward(), 3, Direction::Forward);
//!     link.replay(recording);
//!     run(&mut link) >= 3
//! };
//! assert_eq!(recording.shrink(fails).unwrap().entries().len(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Accuracy
//!
//! `cargo run --release -p lftp-netem --example link_accuracy` sends ten million packets through
//! every model and prints, beside the profile, the expected value, the measured one and the
//! interval in which that is with a probability of 99.9 %. `tests/oracle` holds the link against
//! the formulas of Linux's `sch_netem`, fed with the same random numbers, and `tests/determinism`
//! a thousand networks at random against the outcomes they always had.

#[cfg(any(feature = "quinn", feature = "s2n"))]
pub mod adapter;
mod direction;
#[cfg(all(feature = "exec", target_os = "linux"))]
pub mod exec;
#[doc = include_str!("../FEATURES.md")]
pub mod features {}
mod impair;
mod in_flight;
pub mod link;
pub mod link_pair;
pub mod packet;
#[doc = include_str!("../PARAMETERS.md")]
pub mod parameters {}
pub mod pcapng;
pub mod profile;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod record;
pub mod recording;
pub mod rng;
mod time;
mod units;
pub mod world;

pub use direction::{Direction, PerDirection, UnknownDirection};
pub use time::Time;
