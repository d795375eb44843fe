//! The data ports: which there are, and who has one for the moment.
//!
//! Every port has one listener for as long as the server lives. What is handed out is the
//! right to be called back on it, a [`Lease`], and dropping that gives the port back: a
//! transfer that fails, a client that dies and a client that never comes all end in a drop.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
