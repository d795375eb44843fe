//! Detects a stalled transfer.
//!
//! One timer serves the whole transfer. It is not reset at every step, which would cost more than
//! the step; when it fires, it checks whether there was a step since the last time. A stall is
//! therefore detected after one to two times the limit.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use lftp_transport::{Runtime, Timer};

use crate::protocol::channel::ChannelError;

/// A transfer without progress for too long.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no progress for too long")]
pub(crate) struct Stalled;

impl From<Stalled> for ChannelError {
    fn from(_: Stalled) -> Self {
        Self::Stalled
    }
}

/// Limits the time between two steps of one transfer.
#[derive(Debug)]
pub(crate) struct Watchdog {
    runtime: Arc<dyn Runtime>,
    timer: Pin<Box<dyn Timer>>,
    limit: Duration,
    stepped: bool,
}

impl Watchdog {
    pub(crate) fn new(runtime: &Arc<dyn Runtime>, limit: Duration) -> Self {
        let runtime = Arc::clone(runtime);
        let timer = runtime.timer(runtime.now() + limit);
        Self {
            runtime,
            timer,
            limit,
            stepped: false,
        }
    }

    /// Runs one step, unless the transfer stalls in it.
    pub(crate) async fn step<F: Future>(&mut self, step: F) -> Result<F::Output, Stalled> {
        let mut step = pin!(step);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = step.as_mut().poll(cx) {
                self.stepped = true;
                return Poll::Ready(Ok(output));
            }
            while self.timer.as_mut().poll_fire(cx).is_ready() {
                // A step since the timer was last set: it is set again, once for the interval
                // instead of once a step.
                if !std::mem::take(&mut self.stepped) {
                    return Poll::Ready(Err(Stalled));
                }
                let next = self.runtime.now() + self.limit;
                self.timer.as_mut().reset(next);
            }
            Poll::Pending
        })
        .await
    }
}
