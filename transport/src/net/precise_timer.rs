//! A timer with microsecond precision for near deadlines.
//!
//! Tokio's timers tick in milliseconds: a packet paced by them leaves up to a millisecond late. On
//! Linux a near deadline is kept by a `timerfd`; a far one, as of most timeouts, needs no file
//! descriptor.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use crate::Time;
use crate::net::runtime::Timer;

/// Deadlines nearer than this use the `timerfd`.
#[cfg(target_os = "linux")]
const NEAR: Duration = Duration::from_millis(50);

/// A timer on the tokio runtime in which it was created.
#[derive(Debug)]
pub(super) struct PreciseTimer {
    origin: Instant,
    at: Time,
    coarse: Pin<Box<Sleep>>,
    #[cfg(target_os = "linux")]
    fine: Option<Fine>,
    #[cfg(target_os = "linux")]
    use_fine: bool,
}

impl PreciseTimer {
    pub(super) fn new(origin: Instant, at: Time) -> Self {
        let far = tokio::time::Instant::from_std(origin);
        let mut timer = Self {
            origin,
            at,
            coarse: Box::pin(tokio::time::sleep_until(far)),
            #[cfg(target_os = "linux")]
            fine: None,
            #[cfg(target_os = "linux")]
            use_fine: false,
        };
        timer.set(at);
        timer
    }

    fn set(&mut self, at: Time) {
        self.at = at;
        #[cfg(target_os = "linux")]
        {
            let wait = at.saturating_since(self.now());
            // Where no `timerfd` can be had (out of descriptors), a millisecond too late is better
            // than never.
            self.use_fine = wait < NEAR && self.set_fine(wait);
            if self.use_fine {
                return;
            }
        }
        // `Instant` cannot represent `Time::MAX`; 18 years are beyond every timeout.
        let from_origin = Duration::from_nanos(at.as_nanos().min(u64::MAX / 32));
        self.coarse
            .as_mut()
            .reset(tokio::time::Instant::from_std(self.origin + from_origin));
    }

    #[cfg(target_os = "linux")]
    fn set_fine(&mut self, wait: Duration) -> bool {
        if self.fine.is_none() {
            self.fine = Fine::new().ok();
        }
        self.fine
            .as_mut()
            .is_some_and(|fine| fine.set(wait).is_ok())
    }

    fn now(&self) -> Time {
        Time::ZERO + self.origin.elapsed()
    }
}

impl Timer for PreciseTimer {
    fn reset(self: Pin<&mut Self>, at: Time) {
        Self::set(self.get_mut(), at);
    }

    fn poll_fire(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Without a system call: under load most deadlines have passed when they are polled.
        if self.now() >= self.at {
            return Poll::Ready(());
        }
        #[cfg(target_os = "linux")]
        if self.use_fine {
            let this = &mut *self;
            let fired = this
                .fine
                .as_mut()
                .is_none_or(|fine| fine.poll(cx).is_ready());
            if !fired {
                return Poll::Pending;
            }
            // Early by the rounding between the two clocks: wait for the rest.
            if this.now() < this.at {
                let at = this.at;
                this.set(at);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(());
        }
        self.coarse.as_mut().poll(cx)
    }
}

#[cfg(target_os = "linux")]
use std::future::Future;

/// A `timerfd` registered with tokio.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Fine {
    fd: tokio::io::unix::AsyncFd<rustix::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Fine {
    fn new() -> std::io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "an `OwnedFd` is what the unsafe successor asks for"
        )]
        let fd = tokio::io::unix::AsyncFd::with_interest(fd, tokio::io::Interest::READABLE)?;
        Ok(Self { fd })
    }

    fn set(&mut self, wait: Duration) -> std::io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        // An interval of zero would disarm the timer.
        let wait = wait.max(Duration::from_nanos(1));
        let spec = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: wait.as_secs() as _,
                tv_nsec: wait.subsec_nanos().into(),
            },
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &spec)?;
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Poll::Ready(ready) = self.fd.poll_read_ready(cx) else {
                return Poll::Pending;
            };
            // The reactor is shutting down: to fire ends the wait, and the task with it.
            let Ok(mut guard) = ready else {
                return Poll::Ready(());
            };
            let mut expirations = [0; 8];
            match guard.try_io(|fd| Ok(rustix::io::read(fd, &mut expirations)?)) {
                Ok(_) => return Poll::Ready(()),
                // Readiness of an earlier setting, which a later one has replaced: polled again to
                // register the waker.
                Err(_would_block) => {}
            }
        }
    }
}
