//! An attacker that sees every datagram of a host and can send any, to both sides.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use lftp_transport::{BoxFuture, RecvBatch, RecvMeta, Runtime, Socket, Time, Timer, Transmit};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::count::Count;

/// Datagrams that the attacker remembers.
const REMEMBERED: usize = 64;

/// The packet type of a stateless reset, in front of the connection's id and a token.
const STATELESS_RESET: u8 = 0x37;
const ID_END: usize = 5;
const TOKEN_BYTES: usize = 16;

/// The host's runtime, with the attacker between it and the network.
#[derive(Debug)]
pub(super) struct OnPath {
    pub(super) inner: Arc<dyn Runtime>,
    pub(super) attacker: Arc<Attacker>,
}

/// The attacker.
#[derive(Debug)]
pub(super) struct Attacker {
    state: Mutex<State>,
    count: Count,
}

struct State {
    rng: ChaCha8Rng,
    per_mille: u32,
    seen: VecDeque<Seen>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("per_mille", &self.per_mille)
            .finish_non_exhaustive()
    }
}

/// A datagram that was seen.
struct Seen {
    direction: HostDirection,
    bytes: Vec<u8>,
}

/// A direction, from the host's point of view.
#[derive(Copy, Clone, PartialEq, Eq)]
enum HostDirection {
    Out,
    In,
}

impl Attacker {
    /// An attacker that adds a datagram of its own to `per_mille` in a thousand.
    pub(super) fn new(seed: u64, per_mille: u32, count: Count) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                rng: ChaCha8Rng::seed_from_u64(seed),
                per_mille,
                seen: VecDeque::new(),
            }),
            count,
        })
    }

    /// Stops the attack.
    pub(super) fn stop(&self) {
        self.state().per_mille = 0;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Observes a datagram; returns the one to add, if any.
    fn observe(&self, direction: HostDirection, datagram: &[u8]) -> Option<Vec<u8>> {
        let state = &mut *self.state();
        // No random number is used once the attack has stopped: nothing depends on when it did.
        if state.per_mille == 0 || datagram.is_empty() {
            return None;
        }
        let own = (state.rng.random_range(0..1000) < state.per_mille)
            .then(|| state.answer(direction, datagram))
            .flatten();
        if state.seen.len() == REMEMBERED {
            state.seen.pop_front();
        }
        let bytes = datagram.to_vec();
        state.seen.push_back(Seen { direction, bytes });
        let (what, bytes) = own?;
        self.count.one(what);
        Some(bytes)
    }
}

impl State {
    fn answer(
        &mut self,
        direction: HostDirection,
        datagram: &[u8],
    ) -> Option<(&'static str, Vec<u8>)> {
        let kind = self.rng.random_range(0..6);
        if kind < 2 {
            // To the side that has seen it already, or back to its sender, which must not take its
            // own packets for the peer's.
            let same = kind == 0;
            let fits: Vec<&Seen> = self
                .seen
                .iter()
                .filter(|seen| (seen.direction == direction) == same)
                .collect();
            let chosen = fits.get(self.rng.random_range(0..fits.len().max(1)))?;
            let what = if same {
                "datagram: replayed"
            } else {
                "datagram: reflected"
            };
            return Some((what, chosen.bytes.clone()));
        }
        let mut bytes = datagram.to_vec();
        Some(match kind {
            2 => {
                bytes.truncate(self.rng.random_range(0..bytes.len()));
                ("datagram: truncated", bytes)
            }
            3 => {
                let bit = self.rng.random_range(0..8 * bytes.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
                ("datagram: a bit flipped", bytes)
            }
            4 => {
                // A reset from an attacker that knows all but the token.
                let back = self.seen.iter().rfind(|seen| seen.direction != direction)?;
                bytes = back.bytes.get(..ID_END)?.to_vec();
                bytes[0] = STATELESS_RESET;
                bytes.resize(ID_END + TOKEN_BYTES, 0);
                self.rng.fill_bytes(&mut bytes[ID_END..]);
                ("datagram: a stateless reset forged", bytes)
            }
            _ => {
                // A genuine beginning: random bytes alone would fail at the first check, and test
                // nothing behind it.
                let genuine = self.rng.random_range(0..bytes.len().min(64));
                self.rng.fill_bytes(&mut bytes[genuine..]);
                ("datagram: forged", bytes)
            }
        })
    }
}

impl Runtime for OnPath {
    fn now(&self) -> Time {
        self.inner.now()
    }

    fn timer(&self, at: Time) -> Pin<Box<dyn Timer>> {
        self.inner.timer(at)
    }

    fn spawn(&self, future: BoxFuture<()>) {
        self.inner.spawn(future);
    }

    fn bind(&self, addr: SocketAddr) -> io::Result<Arc<dyn Socket>> {
        Ok(Arc::new(Tapped {
            inner: self.inner.bind(addr)?,
            attacker: Arc::clone(&self.attacker),
        }))
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.inner.fill_random(bytes);
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<()> {
        self.inner.spawn_blocking(job)
    }
}

#[derive(Debug)]
struct Tapped {
    inner: Arc<dyn Socket>,
    attacker: Arc<Attacker>,
}

impl Socket for Tapped {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn poll_recv(&self, cx: &mut Context<'_>, batch: &mut RecvBatch) -> Poll<io::Result<()>> {
        ready!(self.inner.poll_recv(cx, batch))?;
        let added: Vec<(RecvMeta, Vec<u8>)> = batch
            .datagrams_mut()
            .filter_map(|(meta, datagram)| {
                Some((meta, self.attacker.observe(HostDirection::In, datagram)?))
            })
            .collect();
        // Without a free slot it is lost, as on a full receive queue.
        let free = RecvBatch::SLOTS - batch.metas.len();
        for (meta, bytes) in added.into_iter().take(free) {
            let at = batch.metas.len() * RecvBatch::SLOT_BYTES;
            batch.buffer[at..at + bytes.len()].copy_from_slice(&bytes);
            batch.metas.push(RecvMeta {
                len: bytes.len(),
                stride: bytes.len(),
                ..meta
            });
        }
        Poll::Ready(Ok(()))
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)?;
        let size = transmit.segment_size.unwrap_or(transmit.contents.len());
        for datagram in transmit.contents.chunks(size.max(1)) {
            if let Some(contents) = self.attacker.observe(HostDirection::Out, datagram) {
                // Without room in the buffer it is lost like any other.
                let _ = self.inner.try_send(&Transmit {
                    destination: transmit.destination,
                    ecn: transmit.ecn,
                    contents: &contents,
                    segment_size: None,
                });
            }
        }
        Ok(())
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_writable(cx)
    }

    fn max_segments(&self) -> usize {
        self.inner.max_segments()
    }
}
