//! The least rate of a transfer: one that its peer holds back is the first to end when another
//! client waits for its place.
//!
//! Only time in which the peer holds the transfer counts. While the server itself reads, writes or
//! hashes, nothing is to be expected of the peer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fmt, io};

use lftp_transport::{BoxFuture, Runtime, Socket, StreamMonitor, Time, Timer, sleep};

use super::config::ServerConfig;
use super::lease_table::LeaseEntry;

/// Looks at a transfer in the time that its rate is measured over.
const LOOKS: u32 = 12;

/// The server's runtime, for one transfer: counts the jobs that the server does for it.
struct TransferRuntime {
    inner: Arc<dyn Runtime>,
    jobs: Arc<AtomicUsize>,
}

impl fmt::Debug for TransferRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferRuntime")
            .field("jobs", &self.jobs)
            .finish_non_exhaustive()
    }
}

/// Number of jobs that the server does for a transfer at the moment.
#[derive(Clone, Debug)]
pub(super) struct Jobs(Arc<AtomicUsize>);

/// Returns a runtime for one transfer, and the number of its jobs.
pub(super) fn counting(inner: &Arc<dyn Runtime>) -> (Arc<dyn Runtime>, Jobs) {
    let jobs = Arc::new(AtomicUsize::new(0));
    let runtime = TransferRuntime {
        inner: Arc::clone(inner),
        jobs: Arc::clone(&jobs),
    };
    (Arc::new(runtime), Jobs(jobs))
}

/// A job in progress.
struct Job(Arc<AtomicUsize>);

impl Job {
    fn start(jobs: &Arc<AtomicUsize>) -> Self {
        jobs.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(jobs))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Runtime for TransferRuntime {
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
        self.inner.bind(addr)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.inner.fill_random(bytes);
    }

    fn spawn_blocking(&self, job: Box<dyn FnOnce() + Send>) -> BoxFuture<()> {
        let running = Job::start(&self.jobs);
        self.inner.spawn_blocking(Box::new(move || {
            job();
            drop(running);
        }))
    }
}

/// Least rate of a transfer: so many bytes per second, measured over so long.
#[derive(Copy, Clone, Debug)]
pub(super) struct LeastRate {
    bytes_per_second: u64,
    over: Duration,
}

impl LeastRate {
    pub(super) const fn of(config: &ServerConfig) -> Self {
        Self {
            bytes_per_second: config.least_rate,
            over: config.least_rate_over,
        }
    }
}

/// Measures the rate of a transfer for as long as it runs, and marks it while it is too slow.
pub(super) async fn watch(
    runtime: &dyn Runtime,
    rate: LeastRate,
    (monitor, jobs): (StreamMonitor, Jobs),
    lease: &LeaseEntry,
) -> Infallible {
    let look = rate.over / LOOKS;
    let least = rate.bytes_per_second.saturating_mul(rate.over.as_secs());
    let moved = || {
        let stats = monitor.stats();
        stats.bytes_received.saturating_add(stats.delivered_bytes)
    };
    let (mut before, mut looks) = (moved(), 0);
    loop {
        sleep(runtime, look).await;
        if jobs.0.load(Ordering::SeqCst) == 0 {
            looks += 1;
        }
        if looks < LOOKS {
            continue;
        }
        let now = moved();
        lease.set_slow(now.saturating_sub(before) < least);
        (before, looks) = (now, 0);
    }
}
