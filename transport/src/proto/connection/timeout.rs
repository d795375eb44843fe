//! Deadlines that have passed, and what each one sets going.

use super::Connection;
use super::error::ConnectionError;
use super::lifecycle::State;
use super::timer::Timer;
use crate::Time;

impl Connection {
    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if self.timers.expired(Timer::Drain, now) {
            self.lifecycle.drain();
            self.timers.stop_all();
            self.events.closed = true;
            return;
        }
        if self.timers.expired(Timer::Idle, now) {
            // Silent on both sides: there may be no peer to tell (RFC 9000 §10.1).
            self.drain(now, ConnectionError::TimedOut);
            return;
        }
        match self.lifecycle.state() {
            State::Connecting(handshake) => {
                let is_exhausted = handshake.retry.is_exhausted();
                if self.timers.expired(Timer::Handshake, now) && is_exhausted {
                    self.drain(now, ConnectionError::TimedOut);
                }
            }
            State::Closing { .. } => {
                // A peer that only receives sends nothing that a RESET could answer.
                if self.timers.expired(Timer::Probe, now) {
                    self.lifecycle.set_answer(true);
                    self.timers.set(Timer::Probe, now + self.path.pto_base());
                }
            }
            State::Established | State::Drained => self.handle_established_timeout(now),
        }
    }

    fn handle_established_timeout(&mut self, now: Time) {
        if self.timers.expired(Timer::Path, now) && self.path.address_mut().on_timer() {
            self.timers.set(Timer::Path, now + self.path.pto_base());
        }
        // What is in flight asks for an acknowledgement by itself.
        if self.timers.expired(Timer::KeepAlive, now) && self.recovery.packets_in_flight() == 0 {
            self.pending.ping = true;
        }
        if self.timers.expired(Timer::Window, now) {
            self.pending.rwnd_check = true;
        }
        if self.timers.expired(Timer::Loss, now) {
            self.on_loss_timer(now);
        }
        if self.timers.expired(Timer::Probe, now) {
            self.on_probe_timer(now);
        }
        // Pacing and delayed acknowledgements are consulted when a packet is built: the timers
        // only have to wake the connection.
        self.timers.expired(Timer::Pacing, now);
        self.timers.expired(Timer::Ack, now);
    }

    /// Starts the idle and keep-alive timers from scratch: something has been received.
    pub(super) fn reset_idle_timer(&mut self, now: Time) {
        self.timers.set(Timer::Idle, now + self.config.idle_timeout);
        if let Some(interval) = self.config.keep_alive {
            self.timers.set(Timer::KeepAlive, now + interval);
        }
    }
}
