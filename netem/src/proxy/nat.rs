//! Which upstream socket stands for which client: a table as in a home router's NAT.
//!
//! Every (listened port, client address) has an upstream socket of its own, so the server tells
//! clients apart by address as it would without the proxy. The table is bounded, and an entry
//! unused for a while makes room (RFC 4787 §4.3 asks for at least two minutes).

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use super::socket::Socket;
use crate::Time;

/// One client at one listened port.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Index of the listened port.
    pub(crate) port: usize,
    pub(crate) client: SocketAddr,
    /// The address the client knows us by: answers come from it.
    pub(crate) local_ip: Option<IpAddr>,
    pub(crate) upstream: Socket,
    pub(crate) used: Time,
}

/// The table of flows; a slot number is a flow's name while it lives.
#[derive(Debug)]
pub(crate) struct Nat {
    slots: Vec<Option<Flow>>,
    free: Vec<usize>,
    by_client: HashMap<(usize, SocketAddr), usize>,
    limit: usize,
    opened: u64,
}

impl Nat {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_client: HashMap::new(),
            limit,
            opened: 0,
        }
    }

    pub(crate) fn find(&self, port: usize, client: SocketAddr) -> Option<usize> {
        self.by_client.get(&(port, client)).copied()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.by_client.len() >= self.limit
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    /// How many flows were ever opened.
    pub(crate) const fn opened(&self) -> u64 {
        self.opened
    }

    /// The slot that the next flow will get.
    pub(crate) fn next_slot(&self) -> usize {
        self.free.last().copied().unwrap_or(self.slots.len())
    }

    /// The caller has checked that the table is not full and the client not in it.
    pub(crate) fn insert(&mut self, flow: Flow) -> usize {
        debug_assert!(!self.is_full());
        let key = (flow.port, flow.client);
        let slot = self.next_slot();
        self.free.pop();
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[slot] = Some(flow);
        let before = self.by_client.insert(key, slot);
        debug_assert!(before.is_none());
        self.opened += 1;
        slot
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&Flow> {
        self.slots.get(slot)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Flow> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Flow)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(slot, flow)| Some((slot, flow.as_ref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Flow)> {
        let slots = self.slots.iter_mut().enumerate();
        slots.filter_map(|(slot, flow)| Some((slot, flow.as_mut()?)))
    }

    /// The slots of flows last used before `before`.
    pub(crate) fn idle_since(&self, before: Time) -> Vec<usize> {
        self.iter()
            .filter(|(_, flow)| flow.used < before)
            .map(|(slot, _)| slot)
            .collect()
    }

    pub(crate) fn remove(&mut self, slot: usize) -> Option<Flow> {
        let flow = self.slots.get_mut(slot)?.take()?;
        self.by_client.remove(&(flow.port, flow.client));
        self.free.push(slot);
        Some(flow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: usize, client: &str, used_ns: u64) -> Flow {
        Flow {
            port,
            client: client.parse().unwrap(),
            local_ip: None,
            upstream: Socket::upstream("127.0.0.1:9".parse().unwrap(), 4096).unwrap(),
            used: Time::from_nanos(used_ns),
        }
    }

    #[test]
    fn the_same_client_at_two_ports_is_two_flows() {
        let mut nat = Nat::new(8);
        let a = nat.insert(flow(0, "10.0.0.1:5", 0));
        let b = nat.insert(flow(1, "10.0.0.1:5", 0));
        assert_ne!(a, b);
        assert_eq!(nat.find(0, "10.0.0.1:5".parse().unwrap()), Some(a));
        assert_eq!(nat.find(1, "10.0.0.1:5".parse().unwrap()), Some(b));
        assert_eq!(nat.find(2, "10.0.0.1:5".parse().unwrap()), None);
    }

    #[test]
    fn a_full_table_has_room_again_once_an_idle_flow_is_removed() {
        let mut nat = Nat::new(2);
        let old = nat.insert(flow(0, "10.0.0.1:5", 10));
        nat.insert(flow(0, "10.0.0.2:5", 30));
        assert!(nat.is_full());
        assert_eq!(nat.idle_since(Time::from_nanos(20)), [old]);
        assert!(nat.remove(old).is_some());
        assert!(nat.remove(old).is_none());
        assert!(!nat.is_full());
        assert_eq!(nat.find(0, "10.0.0.1:5".parse().unwrap()), None);
        assert_eq!(nat.insert(flow(0, "10.0.0.3:5", 40)), old);
        assert_eq!((nat.opened(), nat.iter().count()), (3, 2));
    }
}
