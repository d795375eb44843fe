//! Both links of a network, and which of them leads from the clients to the servers.
//!
//! The virtual world, the proxy and the namespaces hold one pair each. A pair only groups two
//! [`Link`]s: it adds no impairment and no time of its own.

use std::ops::{Index, IndexMut};

use crate::{
    Direction, PerDirection, Time,
    link::Link,
    profile::{DirectionProfile, NetworkProfile},
    recording::Recording,
};

/// The settings of a [`LinkPair`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LinkPairConfig {
    /// The profile of each link.
    pub profiles: PerDirection<DirectionProfile>,
    /// The direction of packets from clients to servers. Default forward: the client uploads.
    pub client_to_server: Direction,
    /// Seed of both links.
    pub seed: u64,
    /// Impairments to replay; with `None` (the default) they are sampled from the seed.
    pub replay: Option<Recording>,
}

impl LinkPairConfig {
    /// The links of `network`.
    pub fn new(network: &NetworkProfile, seed: u64) -> Self {
        Self::from_profiles(profiles(network), seed)
    }

    /// Links like these.
    pub const fn from_profiles(profiles: PerDirection<DirectionProfile>, seed: u64) -> Self {
        Self {
            profiles,
            client_to_server: Direction::Forward,
            seed,
            replay: None,
        }
    }
}

/// Both directions of `network`.
pub(crate) fn profiles(network: &NetworkProfile) -> PerDirection<DirectionProfile> {
    PerDirection {
        forward: network.forward(),
        reverse: network.reverse(),
    }
}

/// A forward and a reverse [`Link`], indexed by [`Direction`].
#[derive(Debug)]
pub struct LinkPair {
    links: PerDirection<Link>,
    client_to_server: Direction,
}

impl LinkPair {
    /// The links that `config` describes.
    pub fn new(config: &LinkPairConfig) -> Self {
        let link = |direction| {
            let mut link = Link::new(&config.profiles[direction], config.seed, direction);
            if let Some(recording) = &config.replay {
                link.replay(recording);
            }
            link
        };
        Self {
            links: PerDirection::from_fn(link),
            client_to_server: config.client_to_server,
        }
    }

    /// The direction of packets from clients to servers.
    pub const fn client_to_server(&self) -> Direction {
        self.client_to_server
    }

    /// Both directions in the order in which a driver serves them: from clients to servers first.
    ///
    /// The order decides which packet is delivered first when packets come out of both links at the
    /// same instant, and must not depend on which of the directions is called forward.
    pub const fn service_order(&self) -> [Direction; 2] {
        [self.client_to_server, self.client_to_server.opposite()]
    }

    /// The time of the earlier of both links' next events; see [`Link::next_wakeup`].
    pub fn next_wakeup(&self) -> Option<Time> {
        let links = [&self.links.forward, &self.links.reverse];
        links.into_iter().filter_map(Link::next_wakeup).min()
    }

    /// Both links, forward first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        [&mut self.links.forward, &mut self.links.reverse].into_iter()
    }
}

impl Index<Direction> for LinkPair {
    type Output = Link;

    fn index(&self, direction: Direction) -> &Link {
        &self.links[direction]
    }
}

impl IndexMut<Direction> for LinkPair {
    fn index_mut(&mut self, direction: Direction) -> &mut Link {
        &mut self.links[direction]
    }
}
