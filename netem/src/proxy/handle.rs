//! Reports of a running proxy, and changes of its links, from other threads.

use std::sync::mpsc::{self, Receiver, Sender};

use super::{reactor::Waker, report::ProxyReport, report::Snapshot};
use crate::{
    PerDirection, link_pair,
    profile::{DirectionProfile, NetworkProfile},
};

/// A request of another thread to the one that forwards.
pub(crate) enum Message {
    /// The current state.
    Report(Sender<Snapshot>),
    /// Other profiles of the links from now on.
    Network(Box<PerDirection<DirectionProfile>>, Sender<()>),
    /// Another port for each client.
    Rebind(Sender<u64>),
}

/// The thread that forwards packets, which answers requests.
pub(crate) trait Answers {
    /// The next request, if there is one.
    fn next_message(&self) -> Option<Message>;
    /// The current state.
    fn snapshot(&self) -> Snapshot;
    /// Other profiles of the links from now on.
    fn set_network(&mut self, profiles: &PerDirection<DirectionProfile>);
    /// Gives each client another port towards its server, and returns the number of clients.
    /// Nothing to do where no address is translated.
    fn rebind(&mut self) -> u64 {
        0
    }

    /// Answers all requests. A thread that no longer waits for its answer misses nothing.
    fn answer(&mut self) {
        while let Some(message) = self.next_message() {
            match message {
                Message::Report(reply) => {
                    let _ = reply.send(self.snapshot());
                }
                Message::Network(profiles, reply) => {
                    self.set_network(&profiles);
                    let _ = reply.send(());
                }
                Message::Rebind(reply) => {
                    let _ = reply.send(self.rebind());
                }
            }
        }
    }
}

/// A handle to a running proxy, for other threads. It does not keep the proxy running.
#[derive(Debug, Clone)]
pub struct ProxyHandle {
    messages: Sender<Message>,
    waker: Waker,
}

/// The proxy has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proxy has stopped")]
pub struct Stopped;

impl ProxyHandle {
    pub(crate) fn new(waker: Waker) -> (Self, Receiver<Message>) {
        let (messages, receiver) = mpsc::channel();
        (Self { messages, waker }, receiver)
    }

    /// The report as it would be if the proxy stopped now.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn report(&self) -> Result<ProxyReport, Stopped> {
        Ok(self.ask(Message::Report)?.report())
    }

    /// From now on the links are as `network` says, whose schedule begins now; see
    /// [`Link::set_profile`](crate::link::Link::set_profile). The lateness allowed becomes that
    /// of the new network where it is less.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn set_network(&self, network: &NetworkProfile) -> Result<(), Stopped> {
        let profiles = Box::new(link_pair::profiles(network));
        self.ask(|reply| Message::Network(profiles, reply))
    }

    /// Gives each client another port towards its server, as a NAT does that has forgotten it, and
    /// returns the number of clients; see [`ProxyConfig::rebind_every`](super::ProxyConfig).
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn rebind(&self) -> Result<u64, Stopped> {
        self.ask(Message::Rebind)
    }

    /// Ends the proxy's sleep.
    #[cfg(all(feature = "exec", target_os = "linux"))]
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    fn ask<T>(&self, message: impl FnOnce(Sender<T>) -> Message) -> Result<T, Stopped> {
        let (reply, answer) = mpsc::channel();
        // Sent before the thread is woken, or it could fall asleep again without the request.
        let sent = self.messages.send(message(reply));
        sent.map_err(|_| Stopped)?;
        self.waker.wake();
        answer.recv().map_err(|_| Stopped)
    }
}
