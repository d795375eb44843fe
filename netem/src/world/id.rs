//! Names of hosts and sockets.

use slotmap::new_key_type;

/// Names a host: its index in the order in which hosts were added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HostId(pub(super) u32);

impl HostId {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A host between two kills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Incarnation {
    pub(super) host: HostId,
    pub(super) epoch: u32,
}

new_key_type! {
    /// Names a socket, and no later one in the same slot.
    pub(super) struct SocketId;
}
