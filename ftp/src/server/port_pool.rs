//! The pool of data ports.
//!
//! Every port has one listener for as long as the server lives. What the pool hands out is the
//! right to be connected to on it, a [`Lease`], and dropping that returns the port: a transfer
//! that fails, a client that dies and a client that never comes all end in a drop.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// The data ports and which of them are free. A clone is another handle on the same pool.
#[derive(Clone, Debug)]
pub struct PortPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    size: usize,
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Free {
    ports: VecDeque<u16>,
    /// Who gets the next ports that are returned.
    waiting: VecDeque<oneshot::Sender<Lease>>,
}

impl PortPool {
    /// Creates a pool with all of `ports` free. A port may be in it several times.
    pub fn new(ports: impl IntoIterator<Item = u16>) -> Self {
        let ports: VecDeque<_> = ports.into_iter().collect();
        let waiting = VecDeque::new();
        Self {
            shared: Arc::new(Shared {
                size: ports.len(),
                free: Mutex::new(Free { ports, waiting }),
            }),
        }
    }

    /// Leases the port that has been free for longest; `None` when all are leased.
    pub fn lease(&self) -> Option<Lease> {
        let port = self.shared.free.lock().ports.pop_front()?;
        Some(Lease::new(port, &self.shared))
    }

    /// Waits in line for the next port that is returned.
    pub(super) fn next(&self) -> oneshot::Receiver<Lease> {
        let (sender, receiver) = oneshot::channel();
        self.shared.free.lock().waiting.push_back(sender);
        receiver
    }

    /// Leases this port; `None` when it is leased, or not in the pool.
    pub fn lease_at(&self, port: u16) -> Option<Lease> {
        let mut free = self.shared.free.lock();
        let index = free.ports.iter().position(|&free| free == port)?;
        free.ports.remove(index)?;
        Some(Lease::new(port, &self.shared))
    }

    /// Number of free ports.
    pub fn free(&self) -> usize {
        self.shared.free.lock().ports.len()
    }

    /// Number of ports.
    pub fn size(&self) -> usize {
        self.shared.size
    }
}

/// The right to one data port. Dropping it returns the port.
#[derive(Debug)]
pub struct Lease {
    port: u16,
    shared: Arc<Shared>,
    /// Whether another lease has the port by now.
    is_passed_on: bool,
}

impl Lease {
    fn new(port: u16, shared: &Arc<Shared>) -> Self {
        Self {
            port,
            shared: Arc::clone(shared),
            is_passed_on: false,
        }
    }

    /// Number of the port.
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        while !self.is_passed_on {
            let mut free = self.shared.free.lock();
            let Some(next) = free.waiting.pop_front() else {
                free.ports.push_back(self.port);
                debug_assert!(
                    free.ports.len() <= self.shared.size,
                    "a port was returned twice"
                );
                return;
            };
            drop(free);
            match next.send(Self::new(self.port, &self.shared)) {
                Ok(()) => self.is_passed_on = true,
                // It no longer waits: the next one gets the port.
                Err(mut lease) => lease.is_passed_on = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_panic_returns_the_port_as_well() {
        let pool = PortPool::new([1]);
        let held = pool.clone();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _lease = held.lease().unwrap();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(pool.free(), 1);
    }

    #[test]
    fn a_returned_port_goes_to_the_first_that_still_waits() {
        let pool = PortPool::new([1]);
        let lease = pool.lease().unwrap();
        let (gone, mut first, mut second) = (pool.next(), pool.next(), pool.next());
        drop(gone);
        drop(lease);
        assert_eq!(pool.free(), 0);
        assert!(second.try_recv().is_err());
        let lease = first.try_recv().unwrap();
        drop(lease);
        // A lease that nobody fetched is returned with its receiver.
        drop(second);
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
