//! The upstream socket of each client: a table as in a home router's NAT.
//!
//! Every (listened port, client address) has an upstream socket of its own, so the server tells
//! clients apart by address as it would without the proxy. The table is bounded, and an entry
//! unused for a while makes room (RFC 4787 §4.3 asks for at least two minutes).

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use slotmap::{Key, KeyData, SlotMap, new_key_type};

use super::socket::Socket;
use crate::Time;

new_key_type! {
    /// Names a flow, and no later one in the same slot.
    pub(crate) struct FlowId;
}

impl FlowId {
    /// The reactor's token of the upstream socket. It is at least 2^32: the low half is the slot,
    /// the high half its version, which is never 0.
    pub(crate) fn token(self) -> u64 {
        self.data().as_ffi()
    }

    /// The flow whose token this is, alive or not; `None` for a token below 2^32.
    pub(crate) fn from_token(token: u64) -> Option<Self> {
        // Listened ports have their index as token, so both kinds fit into one number without a
        // table.
        (token >> 32 != 0).then(|| KeyData::from_ffi(token).into())
    }
}

/// One client at one listened port.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Index of the listened port.
    pub(crate) port: usize,
    pub(crate) client: SocketAddr,
    /// The address at which the client reached the proxy: answers come from it.
    pub(crate) local_ip: Option<IpAddr>,
    pub(crate) upstream: Socket,
    pub(crate) used: Time,
}

/// The table of flows.
#[derive(Debug)]
pub(crate) struct Nat {
    flows: SlotMap<FlowId, Flow>,
    by_client: HashMap<(usize, SocketAddr), FlowId>,
    limit: usize,
    opened: u64,
}

impl Nat {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            flows: SlotMap::with_key(),
            by_client: HashMap::new(),
            limit,
            opened: 0,
        }
    }

    pub(crate) fn find(&self, port: usize, client: SocketAddr) -> Option<FlowId> {
        self.by_client.get(&(port, client)).copied()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.by_client.len() >= self.limit
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    /// The number of flows that were ever opened.
    pub(crate) const fn opened(&self) -> u64 {
        self.opened
    }

    /// Adds the flow that `flow` opens under its name. The caller has checked that the table is
    /// not full and the client not in it.
    pub(crate) fn try_insert<E>(
        &mut self,
        flow: impl FnOnce(FlowId) -> Result<Flow, E>,
    ) -> Result<FlowId, E> {
        debug_assert!(!self.is_full());
        let id = self.flows.try_insert_with_key(flow)?;
        // Named in the second table only once the flow exists: `flow` may fail to open its socket.
        let flow = &self.flows[id];
        let before = self.by_client.insert((flow.port, flow.client), id);
        debug_assert!(before.is_none());
        self.opened += 1;
        Ok(id)
    }

    pub(crate) fn get(&self, id: FlowId) -> Option<&Flow> {
        self.flows.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        self.flows.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (FlowId, &Flow)> {
        self.flows.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (FlowId, &mut Flow)> {
        self.flows.iter_mut()
    }

    /// The flows last used before `before`.
    pub(crate) fn idle_since(&self, before: Time) -> Vec<FlowId> {
        self.iter()
            .filter(|(_, flow)| flow.used < before)
            .map(|(id, _)| id)
            .collect()
    }

    pub(crate) fn remove(&mut self, id: FlowId) -> Option<Flow> {
        let flow = self.flows.remove(id)?;
        self.by_client.remove(&(flow.port, flow.client));
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

    fn insert(nat: &mut Nat, flow: Flow) -> FlowId {
        nat.try_insert(|_| Ok::<_, ()>(flow)).unwrap()
    }

    #[test]
    fn the_same_client_at_two_ports_is_two_flows() {
        let mut nat = Nat::new(8);
        let a = insert(&mut nat, flow(0, "10.0.0.1:5", 0));
        let b = insert(&mut nat, flow(1, "10.0.0.1:5", 0));
        assert_ne!(a, b);
        assert_eq!(nat.find(0, "10.0.0.1:5".parse().unwrap()), Some(a));
        assert_eq!(nat.find(1, "10.0.0.1:5".parse().unwrap()), Some(b));
        assert_eq!(nat.find(2, "10.0.0.1:5".parse().unwrap()), None);
    }

    #[test]
    fn a_full_table_has_room_again_once_an_idle_flow_is_removed() {
        let mut nat = Nat::new(2);
        let old = insert(&mut nat, flow(0, "10.0.0.1:5", 10));
        insert(&mut nat, flow(0, "10.0.0.2:5", 30));
        assert!(nat.is_full());
        assert_eq!(nat.idle_since(Time::from_nanos(20)), [old]);
        assert!(nat.remove(old).is_some());
        assert!(nat.remove(old).is_none());
        assert!(!nat.is_full());
        assert_eq!(nat.find(0, "10.0.0.1:5".parse().unwrap()), None);
        // The slot is used again under another name, so that what is left of the old flow, such
        // as an event of its socket, does not reach the new one.
        let new = insert(&mut nat, flow(0, "10.0.0.3:5", 40));
        assert_ne!(new, old);
        assert!(nat.get(old).is_none());
        assert_eq!((nat.opened(), nat.iter().count()), (3, 2));
    }

    #[test]
    fn a_token_names_a_flow_and_a_listened_port_is_none() {
        let mut nat = Nat::new(1);
        let id = insert(&mut nat, flow(0, "10.0.0.1:5", 0));
        assert_eq!(FlowId::from_token(id.token()), Some(id));
        assert_eq!(FlowId::from_token(3), None);
    }
}
