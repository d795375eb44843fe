//! `HOST[:PORT]`, where an IPv6 address with a port is in brackets.

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use lftp_ftp::DEFAULT_PORT;

/// A server's name or address, and its control port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    name: String,
    port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = || format!("{text:?} is not HOST[:PORT]; write for example host.example:3154");
        // A bare IPv6 address is all colons: none of them can be that of the port.
        let (name, port) = if text.parse::<Ipv6Addr>().is_ok() {
            (text, None)
        } else if let Some(rest) = text.strip_prefix('[') {
            let (name, suffix) = rest.split_once(']').ok_or_else(fault)?;
            name.parse::<Ipv6Addr>().map_err(|_| fault())?;
            match suffix {
                "" => (name, None),
                suffix => (name, Some(suffix.strip_prefix(':').ok_or_else(fault)?)),
            }
        } else {
            match text.split_once(':') {
                Some((name, port)) => (name, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            Some(port) => port
                .parse()
                .ok()
                .filter(|&port| port != 0)
                .ok_or_else(fault)?,
            None => DEFAULT_PORT,
        };
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(fault());
        }
        Ok(Self {
            name: name.to_owned(),
            port,
        })
    }
}

impl Host {
    /// Resolves the name to at least one address. Blocks.
    pub(crate) fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let addresses: Vec<_> = (self.name.as_str(), self.port).to_socket_addrs()?.collect();
        if addresses.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the name has no address",
            ));
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_parsed_with_and_without_a_port() {
        for (text, written) in [
            ("a", "a:3154"),
            ("a.example:9", "a.example:9"),
            ("10.0.0.1:9", "10.0.0.1:9"),
            ("::1", "[::1]:3154"),
            ("[::1]", "[::1]:3154"),
            ("[::1]:9", "[::1]:9"),
        ] {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), written);
        }
    }

    #[test]
    fn an_invalid_host_is_rejected_with_an_example() {
        for text in [
            "", ":9", "a:", "a:0", "a:70000", "a:b:c", "[::1", "[::1]9", "[a]:9", "a b",
        ] {
            let error = text.parse::<Host>().unwrap_err();
            assert!(error.contains("host.example:3154"), "{text}");
        }
    }
}
