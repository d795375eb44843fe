//! A socket's end inside the network.

use std::task::{Context, Waker};

use super::{id::HostId, receive_queue::ReceiveQueue};

pub(super) struct OpenSocket {
    pub(super) host: HostId,
    pub(super) port: u16,
    pub(super) queue: ReceiveQueue,
    /// The task that waits for a datagram.
    pub(super) waker: Option<Waker>,
}

impl OpenSocket {
    pub(super) const fn new(host: HostId, port: u16, queue: ReceiveQueue) -> Self {
        Self {
            host,
            port,
            queue,
            waker: None,
        }
    }

    /// Has the task woken by the next datagram. A replaced waker is handed back: it must not be
    /// dropped under the lock.
    pub(super) fn watch(&mut self, cx: &Context<'_>) -> Option<Waker> {
        debug_assert!(
            self.queue.is_empty(),
            "waits although there is something to read"
        );
        // Most polls come from the same task: its waker is kept, and none is cloned or dropped.
        if self
            .waker
            .as_ref()
            .is_some_and(|old| old.will_wake(cx.waker()))
        {
            return None;
        }
        self.waker.replace(cx.waker().clone())
    }
}
