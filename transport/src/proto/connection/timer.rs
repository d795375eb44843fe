//! The timers of a connection.

use crate::Time;

/// The purposes of a timer.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// When to retransmit a handshake packet.
    Handshake,
    /// When to declare a packet lost by time.
    Loss,
    /// When to probe because nothing was acknowledged.
    Probe,
    /// When a delayed acknowledgement has to go.
    Ack,
    /// When the pacer lets the next packet go.
    Pacing,
    /// When to ask again for a window that stays closed.
    Window,
    /// When to ask for a keep-alive.
    KeepAlive,
    /// When to challenge a new address again.
    Path,
    /// When a silent connection times out.
    Idle,
    /// When a closed connection is forgotten.
    Drain,
}

const COUNT: usize = 10;

/// One deadline a timer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    deadlines: [Option<Time>; COUNT],
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        self.deadlines[timer as usize] = Some(at);
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        self.deadlines[timer as usize] = None;
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Time> {
        self.deadlines[timer as usize]
    }

    /// Tells whether the timer has expired; it is stopped then.
    pub(crate) fn expired(&mut self, timer: Timer, now: Time) -> bool {
        let expired = self.get(timer).is_some_and(|at| at <= now);
        if expired {
            self.stop(timer);
        }
        expired
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Time> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// Stops every timer.
    pub(crate) fn stop_all(&mut self) {
        self.deadlines = [None; COUNT];
    }
}
