//! The end of a connection: finished, reset, silent, or broken off.

use super::Connection;
use super::error::ConnectionError;
use super::lifecycle::State;
use super::observe::TraceEvent;
use super::timer::Timer;
use crate::Time;

/// The reason in a RESET that answers a broken protocol.
pub(crate) const PROTOCOL_RESET: u32 = u32::MAX;

/// RESETs sent to a peer that does not answer, a probe timeout apart.
const RESETS: u32 = 3;

/// Probe timeouts for which the side that finished last stays: the peer's own probes come
/// after one, and two more, and four more.
const CLOSE_WAIT_TIMEOUTS: u32 = 8;

impl Connection {
    /// Ends both directions at once; the peer is told `reason`.
    pub(crate) fn reset(&mut self, now: Time, reason: u32) {
        match self.lifecycle.state() {
            State::Drained | State::Closing { .. } => {}
            // The peer has no keys yet that a RESET could be sealed with.
            State::Connecting(_) => self.drain(now, ConnectionError::Closed),
            State::Established => {
                self.lifecycle.close(reason);
                self.end(now, ConnectionError::Closed);
                self.timers.set(Timer::Probe, now + self.path.pto_base());
                self.timers
                    .set(Timer::Drain, now + RESETS * self.path.pto_base());
            }
        }
    }

    /// Takes the application's leave: what both sides have finished stays until it is
    /// acknowledged, anything else is reset.
    pub(crate) fn abandon(&mut self, now: Time) {
        self.lifecycle.abandon();
        if !self.is_finished() || !self.receive.has_fin() {
            self.reset(now, 0);
        } else {
            self.close_wait(now);
        }
    }

    /// Once both FINs have arrived, stays long enough to acknowledge the peer's again: until
    /// three of its probe timeouts, each twice as long as the last, have brought nothing.
    pub(super) fn close_wait(&mut self, now: Time) {
        if self.is_through() {
            self.timers.stop_all();
            let wait = CLOSE_WAIT_TIMEOUTS * self.recovery.pto_interval(self.path.rtt(), 0);
            self.timers.set(Timer::Drain, now + wait);
        }
    }

    pub(super) fn is_through(&self) -> bool {
        self.is_finished() && self.receive.is_complete() && self.lifecycle.is_abandoned()
    }

    /// Ends the connection without another packet.
    pub(crate) fn drain(&mut self, now: Time, error: ConnectionError) {
        self.lifecycle.drain();
        self.end(now, error);
    }

    /// Ends a connection whose peer broke the protocol; the peer is told, once for each packet
    /// that still comes.
    pub(super) fn fail(&mut self, now: Time, what: &'static str) {
        if self.lifecycle.is_established() {
            self.reset(now, PROTOCOL_RESET);
            self.lifecycle
                .replace_error(ConnectionError::Protocol(what));
        }
    }

    fn end(&mut self, now: Time, error: ConnectionError) {
        self.timers.stop_all();
        self.lifecycle.set_error(error);
        self.events.closed = true;
        self.trace(now, &TraceEvent::Closed);
    }
}
