//! How a connection ends: finished, reset, silent, or given up.

use super::observe::TraceEvent;
use super::timer::Timer;
use super::{Connection, ConnectionError, State};
use crate::Time;

/// The reason in a RESET that answers a broken protocol.
pub(crate) const PROTOCOL_RESET: u32 = u32::MAX;

/// How often the peer is told of a reset, a probe timeout apart, unless it answers.
const RESETS: u32 = 3;

impl Connection {
    /// Ends both directions at once.
    pub(crate) fn reset(&mut self, now: Time, reason: u32) {
        if matches!(self.state, State::Drained | State::Closing { .. }) {
            return;
        }
        if matches!(self.state, State::Connecting(_)) {
            self.drain(now, ConnectionError::Closed);
            return;
        }
        self.state = State::Closing {
            reason,
            answer: true,
        };
        self.end(now, ConnectionError::Closed);
        self.timers.set(Timer::Probe, now + self.rtt.pto_base());
        self.timers
            .set(Timer::Drain, now + RESETS * self.rtt.pto_base());
    }

    /// Nobody will read or write any more: what is under way is let finish, anything else
    /// is reset.
    pub(crate) fn abandon(&mut self, now: Time) {
        self.abandoned = true;
        if !self.is_finished() || self.final_offset.is_none() {
            self.reset(now, 0);
        } else {
            self.linger(now);
        }
    }

    /// Once both FINs are through, stays long enough to acknowledge the peer's again: until
    /// three of its probe timeouts, each twice as long as the last, have brought nothing.
    pub(crate) fn linger(&mut self, now: Time) {
        let through = self.is_finished()
            && self.final_offset == Some(self.receive.contiguous_end())
            && self.abandoned;
        if through {
            self.timers.stop_all();
            self.timers
                .set(Timer::Drain, now + 8 * self.pto_interval(0));
        }
    }

    /// Over, and nothing more is said.
    pub(crate) fn drain(&mut self, now: Time, error: ConnectionError) {
        self.state = State::Drained;
        self.end(now, error);
    }

    /// The peer broke the rules: it is told, once for each packet that still comes.
    pub(crate) fn fail(&mut self, now: Time, what: &'static str) {
        if matches!(self.state, State::Established) {
            self.reset(now, PROTOCOL_RESET);
            self.error = Some(ConnectionError::Protocol(what));
        }
    }

    fn end(&mut self, now: Time, error: ConnectionError) {
        self.timers.stop_all();
        self.error.get_or_insert(error);
        self.news.closed = true;
        self.trace(now, &TraceEvent::Closed);
    }
}
