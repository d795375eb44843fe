//! Anywhere: short naps, and a look at every socket after each.
//!
//! Correct wherever `std` is, but it costs some thousand wake-ups a second and, where the system
//! does not stamp arrivals, reads them up to one nap late.

use std::{io, thread, time::Duration};

/// The longest nap: how late an arrival may be noticed.
const NAP_NS: u64 = 250_000;
const WRITABLE_NAP_NS: u64 = 100_000;

/// Every socket, each of which might be readable.
#[derive(Debug)]
pub(crate) struct Reactor {
    tokens: Vec<u64>,
}

/// Nothing to wake: the naps are short.
#[derive(Debug, Clone)]
pub(crate) struct Waker;

impl Waker {
    pub(crate) fn wake(&self) {}
}

#[cfg_attr(
    target_os = "linux",
    expect(dead_code, reason = "only its tests run here")
)]
impl Reactor {
    pub(crate) fn new() -> io::Result<(Self, Waker)> {
        Ok((Self { tokens: Vec::new() }, Waker))
    }

    pub(crate) fn prepare_thread(&self) {}

    pub(crate) fn add<S>(&mut self, _socket: &S, token: u64) -> io::Result<()> {
        self.tokens.push(token);
        Ok(())
    }

    pub(crate) fn woken(&self) {}

    pub(crate) fn remove<S>(&mut self, _socket: &S, token: u64) -> io::Result<()> {
        self.tokens.retain(|known| *known != token);
        Ok(())
    }

    pub(crate) fn poll(&mut self, ready: &mut Vec<u64>) -> io::Result<()> {
        // Any of them may be readable: a read that finds nothing costs a system call and is no
        // error.
        ready.clone_from(&self.tokens);
        Ok(())
    }

    pub(crate) fn sleep(&mut self, timeout_ns: u64) -> io::Result<()> {
        nap(timeout_ns.min(NAP_NS));
        Ok(())
    }

    pub(crate) fn wait_writable<S>(_socket: &S, timeout_ns: u64) {
        nap(timeout_ns.min(WRITABLE_NAP_NS));
    }
}

#[expect(clippy::disallowed_methods, reason = "the driver's own sleep")]
fn nap(ns: u64) {
    thread::sleep(Duration::from_nanos(ns));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_socket_is_looked_at_until_it_is_removed() {
        let (mut reactor, waker) = Reactor::new().unwrap();
        let mut ready = Vec::new();
        reactor.add(&(), 3).unwrap();
        reactor.add(&(), 4).unwrap();
        reactor.remove(&(), 3).unwrap();
        waker.wake();
        reactor.sleep(u64::MAX).unwrap();
        reactor.poll(&mut ready).unwrap();
        assert_eq!(ready, [4]);
    }
}
