//! The UDP ports of the protocol: the control port, and the ports for files.

use std::fmt;
use std::str::FromStr;

/// Default control port.
pub const DEFAULT_PORT: u16 = 3154;

/// Number of data ports of `auto` and `same` without a number.
pub const DEFAULT_DATA_PORTS: u16 = 10;

/// UDP ports that files are transferred on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataPorts {
    /// Given ports, for one transfer each. Written `9000-9009`, `9000,9002`, or both.
    List(Vec<u16>),
    /// A number of ports that the system chooses. Written `auto` or `auto:N`.
    Auto(u16),
    /// The control port, for a number of concurrent transfers: one open port in a firewall is
    /// enough. Written `same` or `same:N`.
    Same(u16),
}

impl Default for DataPorts {
    /// Ports 9000 to 9009.
    fn default() -> Self {
        Self::List((9000..=9009).collect())
    }
}

impl DataPorts {
    /// Number of concurrent transfers.
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

/// A text that does not name data ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a list of data ports: {fault}; write for instance \"9000-9009\", \
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
        Some((word, count)) => (word, count.parse().map_err(|_| "the number is invalid")?),
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
        return Err("a port is listed twice");
    }
    Ok(DataPorts::List(ports))
}

#[cfg(test)]
mod tests {
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
    fn invalid_lists_are_refused_with_an_example_of_a_valid_one() {
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
}
