//! Notices when nothing moves any more.
//!
//! One timer for a whole transfer: it is not set again at every step, but looks, when it
//! fires, whether there was a step meanwhile. Standstill is thus noticed after one to two
//! times the limit.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use lftp_transport::{Runtime, Timer};

use crate::protocol::channel::LinkError;

/// Nothing moved for too long.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing moved for too long")]
pub(crate) struct Stalled;

impl From<Stalled> for LinkError {
    fn from(_: Stalled) -> Self {
        Self::Stalled
    }
}

/// Watches over the steps of one transfer.
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

    /// Takes one step, unless it takes too long.
    pub(crate) async fn step<F: Future>(&mut self, step: F) -> Result<F::Output, Stalled> {
        let mut step = pin!(step);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = step.as_mut().poll(cx) {
                self.stepped = true;
                return Poll::Ready(Ok(output));
            }
            while self.timer.as_mut().poll_fire(cx).is_ready() {
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
