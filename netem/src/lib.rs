//! A seeded bad network for any UDP protocol.
//!
//! The heart is [`Link`](link::Link), one direction of a network: it is told the time and handed
//! packets, and answers with packets and with the next time it wants to be called. It reads no
//! clock, opens no socket and draws from no global generator, so a seed gives the same fates on
//! every machine. Two drivers stand around it:
//!
//! - [`proxy`]: real time, real UDP sockets, any program.
//! - [`world`]: virtual time, virtual hosts, a minute of network in a blink.
//!
//! What a network is like is said by a [`NetworkProfile`](profile::NetworkProfile):
//!
//! A [`Preset`](profile::Preset) is a network known by name, and a line of `tc netem` can be read
//! and written ([`DirectionSettings`](profile::DirectionSettings::from_tc)). What chance did in
//! one run can be done again in another: see [`tape`].
//!
//! ```
//! use lftp_netem::{Time, link::{Direction, Link}, packet::Packet, profile::NetworkProfile};
//!
//! let network = NetworkProfile::from_toml_str(r#"
//!     rate = "8mbit"
//!     delay = "20ms"
//!     loss = "1%"
//! "#)?;
//! let mut link = Link::new(&network.forward(), 1, Direction::Forward);
//! let addr = "10.0.0.1:9".parse()?;
//! link.push(Time::ZERO, Packet::new(addr, addr, 0, vec![0; 972]));
//! // 1000 bytes on the link take 1 ms, then travel 20 ms.
//! assert_eq!(link.next_wakeup(), Some(Time::from_nanos(21_000_000)));
//! assert!(link.pop(Time::from_nanos(21_000_000)).is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(target_os = "linux")]
pub mod exec;
pub mod link;
pub mod packet;
pub mod pcapng;
pub mod profile;
pub mod proxy;
pub mod record;
pub mod rng;
mod stage;
pub mod tape;
mod time;
pub mod world;

pub use time::Time;
