//! Linux: an epoll set, slept on by `ppoll`, whose timeout counts nanoseconds.

use std::{
    io,
    mem::MaybeUninit,
    num::NonZeroU64,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};

use super::WAKE;

const EVENTS: usize = 64;
const NS_PER_S: u64 = 1_000_000_000;

/// The set of sockets that can be read, and a sleep that ends when one can.
#[derive(Debug)]
pub(crate) struct Reactor {
    epoll: OwnedFd,
    wake: Waker,
}

/// Ends the reactor's sleep from another thread.
#[derive(Debug, Clone)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(crate) fn wake(&self) {
        // It fails only when the counter is full, and then the sleeper is awake.
        let _ = rustix::io::write(&*self.0, &1u64.to_ne_bytes());
    }
}

impl Reactor {
    pub(crate) fn new() -> io::Result<(Self, Waker)> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(
            &epoll,
            &wake,
            epoll::EventData::new_u64(WAKE),
            epoll::EventFlags::IN,
        )?;
        let waker = Waker(Arc::new(wake));
        let reactor = Self {
            epoll,
            wake: waker.clone(),
        };
        Ok((reactor, waker))
    }

    /// Makes the calling thread's sleeps end when asked, not up to 50 µs later.
    pub(crate) fn prepare_thread(&self) {
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    }

    pub(crate) fn add(&mut self, socket: &impl AsFd, token: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token);
        Ok(epoll::add(
            &self.epoll,
            socket,
            data,
            epoll::EventFlags::IN,
        )?)
    }

    /// A waking has been noticed: the next sleep is one again.
    pub(crate) fn woken(&self) {
        // It fails only when there was no waking.
        let _ = rustix::io::read(&*self.wake.0, &mut [0; 8]);
    }

    pub(crate) fn remove(&mut self, socket: &impl AsFd, _token: u64) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, socket)?)
    }

    /// Puts the tokens of what can be read now into `ready`; a busy socket is named each time.
    pub(crate) fn poll(&mut self, ready: &mut Vec<u64>) -> io::Result<()> {
        ready.clear();
        let mut events = [MaybeUninit::uninit(); EVENTS];
        // Without a wait: the sleep is `ppoll`'s, because epoll's own timeout counts milliseconds
        // on kernels before 5.11.
        match epoll::wait(&self.epoll, &mut events, Some(&Timespec::default())) {
            Ok((events, _)) => ready.extend(events.iter().map(|event| event.data.u64())),
            // A signal is no datagram: the caller looks at the clock and waits again.
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Sleeps until something can be read, at most `timeout_ns`.
    pub(crate) fn sleep(&mut self, timeout_ns: u64) -> io::Result<()> {
        let timeout = Timespec {
            tv_sec: (timeout_ns / NS_PER_S) as _,
            tv_nsec: (timeout_ns % NS_PER_S) as _,
        };
        // One descriptor stands for all sockets: the set itself becomes readable.
        let mut fds = [PollFd::new(&self.epoll, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until `socket` takes more to send, at most `timeout_ns`.
    pub(crate) fn wait_writable(socket: &impl AsFd, timeout_ns: u64) {
        let timeout = Timespec {
            tv_sec: (timeout_ns / NS_PER_S) as _,
            tv_nsec: (timeout_ns % NS_PER_S) as _,
        };
        // However it ends, the send that follows reports it.
        let _ = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&timeout));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn a_socket_is_ready_until_it_is_read_and_silent_once_removed() {
        let (mut reactor, _waker) = Reactor::new().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut ready = Vec::new();
        reactor.add(&socket, 7).unwrap();
        reactor.poll(&mut ready).unwrap();
        assert!(ready.is_empty());
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        reactor.sleep(NS_PER_S).unwrap();
        for _ in 0..2 {
            reactor.poll(&mut ready).unwrap();
            assert_eq!(ready, [7]);
        }
        reactor.remove(&socket, 7).unwrap();
        reactor.poll(&mut ready).unwrap();
        assert!(ready.is_empty());
    }

    #[test]
    fn waking_from_another_thread_ends_a_sleep() {
        let (mut reactor, waker) = Reactor::new().unwrap();
        let thread = std::thread::spawn(move || waker.wake());
        reactor.sleep(60 * NS_PER_S).unwrap();
        let mut ready = Vec::new();
        reactor.poll(&mut ready).unwrap();
        assert_eq!(ready, [WAKE]);
        reactor.woken();
        reactor.poll(&mut ready).unwrap();
        assert!(ready.is_empty());
        thread.join().unwrap();
    }
}
