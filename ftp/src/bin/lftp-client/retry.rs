//! Retries of a transfer whose connection broke: backoff, and the time to give up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use lftp_ftp::Progress;
use lftp_transport::{Runtime, Time, sleep};

/// Delay before the second attempt; it doubles from there.
const FIRST_BACKOFF: Duration = Duration::from_millis(250);

/// Longest delay between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Times that a source which changed while it was read is read again.
const MAX_READS_AGAIN: u32 = 3;

/// Retry state of one transfer. Observes the progress of its attempts and passes it on to the
/// display.
pub(crate) struct RetryPolicy<'a> {
    runtime: Arc<dyn Runtime>,
    display: &'a dyn Progress,
    /// Time without newly verified bytes after which no attempt is made.
    give_up_after: Duration,
    granted: AtomicBool,
    verified: AtomicU64,
    /// Time and total of the last growth of the verified bytes.
    last_growth: (Time, u64),
    backoff: Duration,
    /// Times that the source has changed.
    changes: u32,
}

impl<'a> RetryPolicy<'a> {
    pub(crate) fn new(
        runtime: &Arc<dyn Runtime>,
        display: &'a dyn Progress,
        give_up_after: Duration,
    ) -> Self {
        Self {
            runtime: Arc::clone(runtime),
            display,
            give_up_after,
            granted: AtomicBool::new(false),
            verified: AtomicU64::new(0),
            last_growth: (runtime.now(), 0),
            backoff: FIRST_BACKOFF,
            changes: 0,
        }
    }

    /// Returns true if a source that has changed once more is to be read again.
    pub(crate) const fn reads_again(&mut self) -> bool {
        self.changes += 1;
        self.changes <= MAX_READS_AGAIN
    }

    /// Returns true once the server has granted the transfer. Later errors are those of the
    /// network, not of the request.
    pub(crate) fn was_granted(&self) -> bool {
        self.granted.load(Ordering::SeqCst)
    }

    /// Returns true once part of the file is verified and stored, so that it can be resumed.
    pub(crate) fn has_verified_bytes(&self) -> bool {
        self.verified.load(Ordering::SeqCst) > 0
    }

    /// Sleeps until the next attempt is due. Returns false, without sleeping, when that would be
    /// past the time to give up.
    pub(crate) async fn backoff(&mut self) -> bool {
        let (now, verified) = (self.runtime.now(), self.verified.load(Ordering::SeqCst));
        // An attempt that got further earns a fresh backoff: the network works again.
        if verified > self.last_growth.1 {
            self.last_growth = (now, verified);
            self.backoff = FIRST_BACKOFF;
        }
        // Between half and all of the backoff, at random, so that clients that lost the same
        // server do not all reconnect at the same instant.
        let mut random = [0; 1];
        self.runtime.fill_random(&mut random);
        let delay = self.backoff / 2 + self.backoff * u32::from(random[0]) / 510;
        if now.saturating_since(self.last_growth.0) + delay > self.give_up_after {
            return false;
        }
        self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        sleep(&*self.runtime, delay).await;
        true
    }
}

impl Progress for RetryPolicy<'_> {
    fn begin(&self, total_bytes: u64) {
        self.granted.store(true, Ordering::SeqCst);
        self.display.begin(total_bytes);
    }

    fn at(&self, bytes: u64) {
        self.display.at(bytes);
    }

    fn resumed(&self, bytes: u64) {
        self.verified.fetch_max(bytes, Ordering::SeqCst);
        self.display.resumed(bytes);
    }

    fn grow(&self, total_bytes: u64) {
        self.display.grow(total_bytes);
    }

    fn verified(&self, bytes: u64) {
        self.verified.fetch_max(bytes, Ordering::SeqCst);
        self.display.verified(bytes);
    }
}

#[cfg(test)]
mod tests {
    use lftp_transport::TokioRuntime;

    use super::*;

    #[tokio::test]
    async fn retries_end_when_nothing_was_verified_for_too_long() {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        let mut retry = RetryPolicy::new(&runtime, &(), Duration::from_millis(700));
        let started = runtime.now();
        let mut count = 0;
        while retry.backoff().await {
            count += 1;
            // Newly verified bytes prolong the retries.
            if count == 1 {
                retry.verified(1);
            }
            assert!(count < 20);
        }
        assert!(count >= 2, "{count}");
        assert!(runtime.now().saturating_since(started) < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_time_of_zero_allows_no_retry() {
        let runtime: Arc<dyn Runtime> = TokioRuntime::new();
        let mut retry = RetryPolicy::new(&runtime, &(), Duration::ZERO);
        assert!(!retry.backoff().await);
    }
}
