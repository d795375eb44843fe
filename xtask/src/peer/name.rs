//! The names of the peers.

use std::fmt;

use lftp_transport::Congestion;

use crate::run::Clock;

/// A transport in a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// LFTP itself, the scenario changed as by `--set`.
    Lftp(Vec<String>),
    /// Another transport.
    Foreign(Foreign),
}

/// A transport that is not LFTP.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// quinn, a QUIC.
    Quinn(Flavor),
    /// s2n-quic, another.
    S2n(S2nCongestion),
    /// KCP.
    Kcp,
    /// The kernel's TCP.
    Tcp(TcpCongestion),
}

/// The congestion controls of Linux's TCP, if their modules are loaded.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum TcpCongestion {
    Cubic,
    Bbr,
    Reno,
}

const TCP: [(&str, TcpCongestion); 3] = [
    ("cubic", TcpCongestion::Cubic),
    ("bbr", TcpCongestion::Bbr),
    ("reno", TcpCongestion::Reno),
];

/// A configuration of quinn.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flavor {
    pub(super) congestion: QuinnCongestion,
    /// Windows that the path cannot fill, and packets as large as it takes; or its defaults.
    pub(super) tuned: bool,
}

/// The congestion controls of quinn.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum QuinnCongestion {
    Cubic,
    NewReno,
    Bbr,
}

const QUINN: [(&str, QuinnCongestion); 3] = [
    ("cubic", QuinnCongestion::Cubic),
    ("newreno", QuinnCongestion::NewReno),
    ("bbr", QuinnCongestion::Bbr),
];

/// The congestion controls of s2n-quic.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum S2nCongestion {
    Cubic,
    Bbr,
}

const S2N: [(&str, S2nCongestion); 2] =
    [("cubic", S2nCongestion::Cubic), ("bbr", S2nCongestion::Bbr)];

/// Looks a name up in a table.
fn known_as<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    let mut rows = table.iter();
    rows.find(|(known, _)| *known == name)
        .map(|&(_, what)| what)
}

/// The name of an entry of a table.
fn name_of<T: PartialEq>(table: &[(&'static str, T)], what: T) -> &'static str {
    let mut rows = table.iter();
    rows.find(|(_, known)| *known == what)
        .map_or("", |(name, _)| *name)
}

/// The settings that make LFTP the protocol that it started from.
const ORIGINAL: [&str; 4] = [
    "transport.congestion=classic",
    "transport.recovery=go-back-n",
    "transport.fixed_window=16p",
    "transport.max_datagram=1047B",
];

impl Peer {
    /// All names on a clock, LFTP's first.
    pub(crate) fn all(clock: Clock) -> Vec<String> {
        let mut names = vec!["lftp".to_owned()];
        names.extend(Congestion::ALL.iter().map(|name| format!("lftp-{name}")));
        names.push("seed".to_owned());
        if clock == Clock::Real {
            names.extend(TCP.map(|(name, _)| format!("tcp-{name}")));
            return names;
        }
        for ending in ["", "-default"] {
            names.extend(QUINN.map(|(name, _)| format!("quinn-{name}{ending}")));
        }
        names.extend(S2N.map(|(name, _)| format!("s2n-{name}")));
        names.push("kcp".to_owned());
        names
    }

    /// The peer of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        if let Some(congestion) = name.strip_prefix("lftp-") {
            let known: Congestion = congestion.parse().ok()?;
            return Some(Self::Lftp(vec![format!("transport.congestion={known}")]));
        }
        match name {
            "lftp" => Some(Self::Lftp(Vec::new())),
            "seed" => Some(Self::Lftp(ORIGINAL.map(str::to_owned).to_vec())),
            "kcp" => Some(Self::Foreign(Foreign::Kcp)),
            other => {
                if let Some(name) = other.strip_prefix("tcp-") {
                    let congestion = known_as(&TCP, name)?;
                    return Some(Self::Foreign(Foreign::Tcp(congestion)));
                }
                if let Some(name) = other.strip_prefix("s2n-") {
                    let congestion = known_as(&S2N, name)?;
                    return Some(Self::Foreign(Foreign::S2n(congestion)));
                }
                let rest = other.strip_prefix("quinn-")?;
                let (rest, tuned) = match rest.strip_suffix("-default") {
                    Some(rest) => (rest, false),
                    None => (rest, true),
                };
                let congestion = known_as(&QUINN, rest)?;
                Some(Self::Foreign(Foreign::Quinn(Flavor { congestion, tuned })))
            }
        }
    }
}

impl Foreign {
    /// Its congestion control.
    #[cfg(feature = "peers")]
    pub(super) fn congestion(self) -> &'static str {
        match self {
            Self::Quinn(flavor) => flavor.congestion.name(),
            Self::S2n(congestion) => congestion.name(),
            Self::Kcp => "none",
            Self::Tcp(congestion) => congestion.name(),
        }
    }

    /// The implementation.
    #[cfg(feature = "peers")]
    pub(super) const fn family(self) -> &'static str {
        match self {
            Self::Quinn(_) => "quinn",
            Self::S2n(_) => "s2n",
            Self::Kcp => "kcp",
            Self::Tcp(_) => "tcp",
        }
    }

    /// The one clock it runs on.
    pub(crate) const fn clock(self) -> Clock {
        match self {
            Self::Quinn(_) | Self::S2n(_) | Self::Kcp => Clock::Virtual,
            Self::Tcp(_) => Clock::Real,
        }
    }
}

impl TcpCongestion {
    /// The kernel's name for it.
    pub(super) fn name(self) -> &'static str {
        name_of(&TCP, self)
    }
}

impl QuinnCongestion {
    fn name(self) -> &'static str {
        name_of(&QUINN, self)
    }
}

impl S2nCongestion {
    fn name(self) -> &'static str {
        name_of(&S2N, self)
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quinn(flavor) => {
                let ending = if flavor.tuned { "" } else { "-default" };
                write!(f, "quinn-{}{ending}", flavor.congestion.name())
            }
            Self::S2n(congestion) => write!(f, "s2n-{}", congestion.name()),
            Self::Kcp => f.write_str("kcp"),
            Self::Tcp(congestion) => write!(f, "tcp-{}", congestion.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_and_is_displayed_the_same() {
        for name in [Clock::Virtual, Clock::Real]
            .into_iter()
            .flat_map(Peer::all)
        {
            match Peer::named(&name) {
                Some(Peer::Foreign(foreign)) => assert_eq!(foreign.to_string(), name),
                Some(Peer::Lftp(_)) => {}
                None => panic!("{name}"),
            }
        }
        for name in [
            "quinn",
            "quinn-",
            "quinn-vegas",
            "s2n-newreno",
            "lftp-vegas",
            "tcp-",
            "tcp-vegas",
            "all",
            "",
        ] {
            assert_eq!(Peer::named(name), None, "{name:?}");
        }
    }
}
