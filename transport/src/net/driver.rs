//! The loop that moves datagrams: receive, transmit, wake the application, handle timeouts.
//!
//! One task drives one endpoint. The lock around the state machine is held while it computes and
//! never across a system call.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};

use super::error::Failure;
use super::runtime::{Runtime, Socket, Timer, Transmit};
use super::scratch;
use crate::config::Config;
use crate::proto::{ConnectionId, Endpoint, Event, Outgoing};
use crate::{Ecn, Time};

/// Iterations of the loop before the task yields to others.
const MAX_ITERATIONS: usize = 32;

/// State shared between the driver and the application's handles.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) local_addr: SocketAddr,
    state: Mutex<State>,
}

/// The state machine, and the wakers of the tasks that wait for it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) endpoint: Endpoint,
    pub(super) accepted: VecDeque<ConnectionId>,
    pub(super) accept_waker: Option<Waker>,
    wakers: BTreeMap<ConnectionId, StreamWakers>,
    driver: Option<Waker>,
    /// Listeners and streams in use; the driver ends after the last.
    handles: usize,
    failure: Option<std::io::ErrorKind>,
}

#[derive(Debug, Default)]
struct StreamWakers {
    read: Option<Waker>,
    write: Option<Waker>,
}

impl Shared {
    /// Opens a socket and starts a driver for it; the caller holds the first handle.
    pub(super) fn start(
        runtime: Arc<dyn Runtime>,
        addr: SocketAddr,
        config: Config,
    ) -> std::io::Result<Arc<Self>> {
        let socket = runtime.bind(addr)?;
        let local_addr = socket.local_addr()?;
        let source = Arc::clone(&runtime);
        let random = Box::new(move |bytes: &mut [u8]| source.fill_random(bytes));
        let mut endpoint = Endpoint::new(Arc::new(config), random);
        endpoint.set_local_port(local_addr.port());
        let shared = Arc::new(Self {
            local_addr,
            state: Mutex::new(State {
                endpoint,
                accepted: VecDeque::new(),
                accept_waker: None,
                wakers: BTreeMap::new(),
                driver: None,
                handles: 1,
                failure: None,
            }),
            runtime,
        });
        let driver = Driver::new(Arc::clone(&shared), socket);
        shared.runtime.spawn(Box::pin(driver));
        Ok(shared)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Applies `act` to the state machine and wakes the driver if there is something to send.
    pub(super) fn act<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = act(&mut state);
        // The waker is called after the lock is released: the woken driver would take it at once,
        // on another thread.
        let waker = if state.endpoint.wants_transmit() {
            state.driver.take()
        } else {
            None
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    /// Gives up a handle; the driver ends when none is left and every connection is done.
    pub(super) fn release(&self) {
        let mut state = self.lock();
        // Woken always, also when other handles are left: the driver alone knows whether it is
        // done.
        state.handles -= 1;
        let waker = state.driver.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    pub(super) const fn hold(&mut self) {
        self.handles += 1;
    }

    pub(super) fn failure(&self, id: ConnectionId) -> Option<Failure> {
        // A failed socket explains every connection's end, and comes before what the connection
        // says of it.
        let socket = self.failure.map(Failure::Socket);
        socket.or_else(|| self.endpoint.error(id).map(Failure::Connection))
    }

    pub(super) const fn socket_failure(&self) -> Option<std::io::ErrorKind> {
        self.failure
    }

    pub(super) fn wait_read(&mut self, id: ConnectionId, cx: &Context<'_>) {
        self.wakers.entry(id).or_default().read = Some(cx.waker().clone());
    }

    pub(super) fn wait_write(&mut self, id: ConnectionId, cx: &Context<'_>) {
        self.wakers.entry(id).or_default().write = Some(cx.waker().clone());
    }

    pub(super) fn forget(&mut self, id: ConnectionId) {
        self.wakers.remove(&id);
    }

    /// Moves the wakers of the tasks that the pending events concern to `out`.
    fn collect_wakers(&mut self, now: Time, out: &mut Vec<Waker>) {
        while let Some(event) = self.endpoint.poll_event() {
            let (id, read, write) = match event {
                Event::Accepted(id) => {
                    self.accepted.push_back(id);
                    out.extend(self.accept_waker.take());
                    continue;
                }
                Event::Readable(id) => (id, true, false),
                // The writing task waits for all three: `established`, `write` and `finish` never
                // wait at the same time.
                Event::Writable(id) | Event::Finished(id) | Event::Established(id) => {
                    (id, false, true)
                }
                Event::Closed(id) => {
                    // It ended before it was accepted: no handle exists that would let go of it.
                    if let Some(place) = self.accepted.iter().position(|it| *it == id) {
                        self.accepted.remove(place);
                        self.endpoint.abandon(now, id);
                        continue;
                    }
                    (id, true, true)
                }
            };
            if let Some(wakers) = self.wakers.get_mut(&id) {
                out.extend(read.then(|| wakers.read.take()).flatten());
                out.extend(write.then(|| wakers.write.take()).flatten());
            }
        }
    }

    fn fail(&mut self, kind: std::io::ErrorKind, out: &mut Vec<Waker>) {
        self.failure = Some(kind);
        out.extend(self.accept_waker.take());
        for wakers in std::mem::take(&mut self.wakers).into_values() {
            out.extend(wakers.read);
            out.extend(wakers.write);
        }
    }
}

/// Drives one endpoint until it is no longer in use.
struct Driver {
    shared: Arc<Shared>,
    socket: Arc<dyn Socket>,
    timer: Pin<Box<dyn Timer>>,
    timer_at: Option<Time>,
    /// A burst that the socket refused with `WouldBlock`, to be sent first.
    held: Option<(Outgoing, Vec<u8>)>,
    wakers: Vec<Waker>,
}

/// The result of one step of the loop.
#[derive(PartialEq)]
enum Step {
    Progress,
    Idle,
}

impl Driver {
    fn new(shared: Arc<Shared>, socket: Arc<dyn Socket>) -> Self {
        let timer = shared.runtime.timer(Time::MAX);
        Self {
            shared,
            socket,
            timer,
            timer_at: None,
            held: None,
            wakers: Vec::new(),
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> std::io::Result<Step> {
        scratch::with_batch(|batch| match self.socket.poll_recv(cx, batch) {
            Poll::Pending => Ok(Step::Idle),
            // ICMP reports on an earlier datagram are not authenticated, so they must not end a
            // connection: if the peer is really gone, its idle timeout does.
            Poll::Ready(Err(error)) if is_transient(&error) => Ok(Step::Progress),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) => {
                let now = self.shared.runtime.now();
                let mut state = self.shared.lock();
                for (meta, datagram) in batch.datagrams_mut() {
                    state
                        .endpoint
                        .handle_datagram(now, meta.source, meta.ecn, datagram);
                }
                Ok(Step::Progress)
            }
        })
    }

    /// Sends until there is nothing more to send or the socket is full. Each burst is assembled in
    /// `burst`.
    fn transmit(&mut self, cx: &mut Context<'_>, burst: &mut Vec<u8>) -> std::io::Result<()> {
        let max_segments = self.socket.max_segments();
        loop {
            // The burst that was held back has its packet numbers: a new one in its place would
            // leave a gap that looks like loss.
            let outgoing = match self.held.take() {
                Some((outgoing, contents)) => {
                    *burst = contents;
                    outgoing
                }
                None => {
                    burst.clear();
                    let now = self.shared.runtime.now();
                    let mut state = self.shared.lock();
                    match state.endpoint.poll_transmit(now, max_segments, burst) {
                        Some(outgoing) => outgoing,
                        None => return Ok(()),
                    }
                }
            };
            match self.socket.try_send(&transmit_of(&outgoing, burst)) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.held = Some((outgoing, std::mem::take(burst)));
                    match self.socket.poll_writable(cx) {
                        Poll::Pending => return Ok(()),
                        Poll::Ready(ready) => ready?,
                    }
                }
                // Not fatal: treated as a loss, since the network may come back before the timeout.
                Err(error) => tracing::debug!(%error, to = %outgoing.destination, "not sent"),
            }
        }
    }

    /// Wakes the application and handles the next deadline if it has passed.
    fn wake_and_wait(&mut self, cx: &mut Context<'_>) -> Step {
        let now = self.shared.runtime.now();
        let mut state = self.shared.lock();
        state.collect_wakers(now, &mut self.wakers);
        let deadline = state.endpoint.poll_timeout();
        state.driver = Some(cx.waker().clone());
        // With a burst held back, only the socket can make progress: another turn would spin.
        let more = state.endpoint.wants_transmit() && self.held.is_none();
        drop(state);
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
        if more {
            return Step::Progress;
        }
        // No deadline: nothing is in flight and no connection waits. A datagram or the application
        // wakes the task.
        let Some(deadline) = deadline else {
            return Step::Idle;
        };
        // Resetting a timer is a system call, and most packets leave the deadline as it was.
        if self.timer_at != Some(deadline) {
            self.timer.as_mut().reset(deadline);
            self.timer_at = Some(deadline);
        }
        if self.timer.as_mut().poll_fire(cx).is_pending() {
            return Step::Idle;
        }
        self.timer_at = None;
        let now = self.shared.runtime.now();
        self.shared.lock().endpoint.handle_timeout(now);
        Step::Progress
    }

    fn is_done(&self) -> bool {
        let state = self.shared.lock();
        state.handles == 0 && state.endpoint.connection_count() == 0
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..MAX_ITERATIONS {
            // Received first: acknowledgements open the window that is sent into, and go out with
            // the data.
            let stepped = this.receive(cx).and_then(|received| {
                scratch::with_burst(|burst| this.transmit(cx, burst))?;
                Ok(received)
            });
            let received = match stepped {
                Ok(received) => received,
                Err(error) => {
                    tracing::error!(%error, addr = %this.shared.local_addr, "the socket failed");
                    let mut wakers = Vec::new();
                    // The socket is all that the endpoint has: every task that waits is told, and
                    // the driver ends.
                    this.shared.lock().fail(error.kind(), &mut wakers);
                    wakers.into_iter().for_each(Waker::wake);
                    return Poll::Ready(());
                }
            };
            let waited = this.wake_and_wait(cx);
            if this.is_done() {
                return Poll::Ready(());
            }
            if received == Step::Idle && waited == Step::Idle {
                return Poll::Pending;
            }
        }
        // Other tasks of the thread get a turn: a fast sender would never be out of work.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn transmit_of<'a>(outgoing: &Outgoing, contents: &'a [u8]) -> Transmit<'a> {
    // One datagram goes without a segment size: kernels without segmentation offload refuse the
    // option.
    let several = contents.len() > outgoing.segment_bytes;
    Transmit {
        destination: outgoing.destination,
        // A sender sets ECT(0) or nothing (RFC 9000 §13.4.1); CE is the network's to set.
        ecn: outgoing.ecn.filter(|&ecn| ecn == Ecn::Ect0),
        contents,
        segment_size: several.then_some(outgoing.segment_bytes),
    }
}

fn is_transient(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted};
    use std::io::ErrorKind::{NetworkUnreachable, WouldBlock};
    matches!(
        error.kind(),
        ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkUnreachable
            | Interrupted
            | WouldBlock
    )
}
