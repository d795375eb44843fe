//! Trying again: how often, and until when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lftp_ftp::Progress;
use lftp_transport::{Runtime, Time, sleep};

/// Between the first two tries; the wait doubles from there.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How far the tries of one transfer have come. Passes on what it is told.
pub(crate) struct Tries<'a> {
    runtime: Arc<dyn Runtime>,
    shown: &'a dyn Progress,
    give_up_after: Duration,
    begun: AtomicBool,
    verified: AtomicU64,
    /// When something was verified for the last time, and how much.
    last: (Time, u64),
    wait: Duration,
}

impl<'a> Tries<'a> {
    pub(crate) fn new(
        runtime: &Arc<dyn Runtime>,
        shown: &'a dyn Progress,
        give_up_after: Duration,
    ) -> Self {
        Self {
            runtime: Arc::clone(runtime),
            shown,
            give_up_after,
            begun: AtomicBool::new(false),
            verified: AtomicU64::new(0),
            last: (runtime.now(), 0),
            wait: FIRST_WAIT,
        }
    }

    /// Whether the server granted the transfer once: what is wrong from then on is the way, not
    /// the request.
    pub(crate) fn is_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    /// Whether something of the file has arrived and is kept.
    pub(crate) fn has_arrived(&self) -> bool {
        self.verified.load(Ordering::SeqCst) > 0
    }

    /// Waits until the next try; `false` when it is time to give up.
    pub(crate) async fn wait(&mut self) -> bool {
        let (now, verified) = (self.runtime.now(), self.verified.load(Ordering::SeqCst));
        if verified > self.last.1 {
            self.last = (now, verified);
            self.wait = FIRST_WAIT;
        }
        // Many clients that lost the same server do not come back at the same moment.
        let mut random = [0; 1];
        self.runtime.fill_random(&mut random);
        let wait = self.wait / 2 + self.wait * u32::from(random[0]) / 510;
        if now.saturating_since(self.last.0) + wait > self.give_up_after {
            return false;
        }
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        sleep(&*self.runtime, wait).await;
        true
    }
}

impl Progress for Tries<'_> {
    fn begin(&self, total_bytes: u64) {
        self.begun.store(true, Ordering::SeqCst);
        self.shown.begin(total_bytes);
    }

    fn at(&self, bytes: u64) {
        self.shown.at(bytes);
    }

    fn resumed(&self, bytes: u64) {
        self.verified.fetch_max(bytes, Ordering::SeqCst);
        self.shown.resumed(bytes);
    }

    fn grow(&self, total_bytes: u64) {
        self.shown.grow(total_bytes);
    }

    fn verified(&self, bytes: u64) {
        self.verified.fetch_max(bytes, Ordering::SeqCst);
        self.shown.verified(bytes);
    }
}

#[cfg(test)]
mod tests {
    use lftp_transport::TokioRuntime;

    use super::*;

    #[tokio::test]
    async fn tries_end_when_nothing_was_verified_for_too_long() {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        let mut tries = Tries::new(&runtime, &(), Duration::from_millis(700));
        let begun = runtime.now();
        let mut count = 0;
        while tries.wait().await {
            count += 1;
            // A file that comes on is worth more patience.
            if count == 1 {
                tries.verified(1);
            }
            assert!(count < 20);
        }
        assert!(count >= 2, "{count}");
        assert!(runtime.now().saturating_since(begun) < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn without_patience_there_is_one_try() {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        assert!(!Tries::new(&runtime, &(), Duration::ZERO).wait().await);
    }
}
