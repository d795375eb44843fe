//! The data ports: which there are, and who has one for the moment.
//!
//! Every port has one listener for as long as the server lives. What is handed out is the
//! right to be called back on it, a [`Lease`], and dropping that gives the port back: a
//! transfer that fails, a client that dies and a client that never comes all end in a drop.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Data ports that `auto` and `same` stand for when no number is given: the seed's ten.
pub const DEFAULT_DATA_PORTS: u16 = 10;

/// Which UDP ports carry the files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataPorts {
    /// These, one transfer each. Written `9000-9009`, `9000,9002`, or both.
    List(Vec<u16>),
    /// As many as given, chosen by the system. Written `auto` or `auto:N`.
    Auto(u16),
    /// The control port, for as many transfers at once as given: one hole in a firewall is
    /// enough. Written `same` or `same:N`.
    Same(u16),
}

impl Default for DataPorts {
    /// The seed's: 9000 to 9009.
    fn default() -> Self {
        Self::List((9000..=9009).collect())
    }
}

impl DataPorts {
    /// Transfers at once.
    pub fn count(&self) -> usize {
        match self {
            Self::List(ports) => ports.len(),
            Self::Auto(count) | Self::Same(count) => usize::from(*count),
        }
    }
}

impl fmt::Display for DataPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto(count) => write!(f, "auto:{count}"),
            Self::Same(count) => write!(f, "same:{count}"),
            Self::List(ports) => write_ranges(f, ports),
        }
    }
}

fn write_ranges(f: &mut fmt::Formatter<'_>, ports: &[u16]) -> fmt::Result {
    let mut rest = ports;
    let mut separator = "";
    while let Some(&first) = rest.first() {
        let run = rest
            .iter()
            .zip(first..=u16::MAX)
            .take_while(|&(&port, next)| port == next)
            .count();
        let last = rest[run - 1];
        write!(f, "{separator}{first}")?;
        if last != first {
            write!(f, "-{last}")?;
        }
        separator = ",";
        rest = &rest[run..];
    }
    Ok(())
}

/// A text that names no data ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no list of data ports: {fault}; write for instance \"9000-9009\", \
     \"9000,9002\", \"auto:10\" or \"same\""
)]
pub struct DataPortsError {
    text: String,
    fault: &'static str,
}

impl FromStr for DataPorts {
    type Err = DataPortsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|fault| DataPortsError {
            text: text.to_owned(),
            fault,
        })
    }
}

fn parse(text: &str) -> Result<DataPorts, &'static str> {
    let (word, count) = match text.split_once(':') {
        Some((word, count)) => (word, count.parse().map_err(|_| "the number is not one")?),
        None => (text, DEFAULT_DATA_PORTS),
    };
    if word == "auto" || word == "same" {
        if count == 0 || count > 1000 {
            return Err("the number must be between 1 and 1000");
        }
        return Ok(if word == "auto" {
            DataPorts::Auto(count)
        } else {
            DataPorts::Same(count)
        });
    }
    let mut ports = Vec::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let port = |text: &str| text.trim().parse::<u16>().ok().filter(|&port| port != 0);
        let (Some(first), Some(last)) = (port(first), port(last)) else {
            return Err("a port is a number from 1 to 65535");
        };
        if first > last {
            return Err("a range goes upwards");
        }
        ports.extend(first..=last);
        if ports.len() > 1000 {
            return Err("more than 1000 ports");
        }
    }
    let mut distinct = ports.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() != ports.len() {
        return Err("a port is there twice");
    }
    Ok(DataPorts::List(ports))
}

/// The ports and which of them are free. A clone is another handle on the same pool.
#[derive(Clone, Debug)]
pub struct PortPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    size: usize,
    free: Mutex<VecDeque<u16>>,
}

impl Shared {
    fn free(&self) -> MutexGuard<'_, VecDeque<u16>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PortPool {
    /// A pool with all of `ports` free. A port may be in it several times.
    pub fn new(ports: impl IntoIterator<Item = u16>) -> Self {
        let free: VecDeque<_> = ports.into_iter().collect();
        Self {
            shared: Arc::new(Shared {
                size: free.len(),
                free: Mutex::new(free),
            }),
        }
    }

    /// Takes the port that has been free for longest; `None` when all are taken.
    pub fn lease(&self) -> Option<Lease> {
        let port = self.shared.free().pop_front()?;
        Some(Lease {
            port,
            shared: Arc::clone(&self.shared),
        })
    }

    /// Takes this port; `None` when it is taken, or not one of them.
    pub fn lease_at(&self, port: u16) -> Option<Lease> {
        let mut free = self.shared.free();
        let index = free.iter().position(|&free| free == port)?;
        free.remove(index)?;
        Some(Lease {
            port,
            shared: Arc::clone(&self.shared),
        })
    }

    /// How many ports are free.
    pub fn free(&self) -> usize {
        self.shared.free().len()
    }

    /// How many ports there are.
    pub fn size(&self) -> usize {
        self.shared.size
    }
}

/// The right to one data port. Dropping it gives the port back.
#[derive(Debug)]
pub struct Lease {
    port: u16,
    shared: Arc<Shared>,
}

impl Lease {
    /// The port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut free = self.shared.free();
        free.push_back(self.port);
        debug_assert!(
            free.len() <= self.shared.size,
            "a port was given back twice"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn port_lists_are_read_and_written() {
        for (text, written) in [
            ("9000-9009", "9000-9009"),
            ("9000", "9000"),
            ("9000,9002-9003", "9000,9002-9003"),
            ("65534-65535", "65534-65535"),
            ("auto", "auto:10"),
            ("auto:3", "auto:3"),
            ("same", "same:10"),
        ] {
            assert_eq!(text.parse::<DataPorts>().unwrap().to_string(), written);
        }
        assert_eq!("9000-9009".parse(), Ok(DataPorts::default()));
    }

    #[test]
    fn nonsense_is_refused_with_an_example_of_what_fits() {
        for text in [
            "",
            "x",
            "0",
            "9009-9000",
            "1-65536",
            "9000,9000",
            "auto:0",
            "same:x",
            "1-",
        ] {
            let error = text.parse::<DataPorts>().unwrap_err().to_string();
            assert!(
                error.contains("9000-9009") && error.contains("same"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_panic_gives_the_port_back_too() {
        let pool = PortPool::new([1]);
        let held = pool.clone();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _lease = held.lease().unwrap();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(pool.free(), 1);
    }

    proptest! {
        #[test]
        fn no_port_is_leased_twice_and_none_is_lost(
            count in 1_u16..12,
            steps in prop::collection::vec((any::<Option<u8>>(), prop::option::of(0_u16..14)), 0..100),
        ) {
            let pool = PortPool::new(1..=count);
            let mut held: Vec<Lease> = Vec::new();
            for (step, at) in steps {
                match (step, at) {
                    (Some(pick), _) if !held.is_empty() => {
                        held.remove(usize::from(pick) % held.len());
                    }
                    (_, Some(at)) => {
                        let is_free = (1..=count).contains(&at)
                            && held.iter().all(|other| other.port() != at);
                        let lease = pool.lease_at(at);
                        prop_assert_eq!(lease.as_ref().map(Lease::port), is_free.then_some(at));
                        held.extend(lease);
                    }
                    _ => match pool.lease() {
                        Some(lease) => {
                            prop_assert!(held.iter().all(|other| other.port() != lease.port()));
                            held.push(lease);
                        }
                        None => prop_assert_eq!(held.len(), usize::from(count)),
                    },
                }
                prop_assert_eq!(pool.free() + held.len(), pool.size());
            }
            drop(held);
            prop_assert_eq!(pool.free(), usize::from(count));
        }
    }
}
