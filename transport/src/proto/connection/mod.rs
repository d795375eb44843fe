//! One peer: the life of a connection, from the SYN to the last acknowledgement.
//!
//! [`Connection`] holds the parts, which know nothing of each other, and these files tie them
//! together. Change a rule of one part in its own room ([`send`](super::send),
//! [`receive`](super::receive), [`recovery`](super::recovery),
//! [`congestion`](super::congestion)); change here only what follows for the others. The room
//! relies on these four, on `wire` and `crypto`, and knows nothing of the endpoint above it.
//!
//! | file | content |
//! |---|---|
//! | [`lifecycle`], [`closing`], [`error`] | the stages of a connection, its end, the reasons |
//! | [`handshake`], [`retry`] | SYN, SYN/ACK, ACK; their retransmission |
//! | [`establish`], [`peer`] | a handshake answered; the peer that it shows |
//! | [`protection`] | keys, and the seal of every packet |
//! | [`path`], [`validation`], [`migration`] | the way to the peer, and a change of its address |
//! | [`transmit`], [`packet`] | whether a packet goes now; its bytes |
//! | [`receive`] | the effects of an arriving packet |
//! | [`acknowledgement`], [`losses`] | the effects of an acknowledgement, a loss, a probe timeout |
//! | [`go_back_n`] | the recovery of the original protocol, in their place |
//! | [`memory`] | what is held for the peer, and given back |
//! | [`timer`], [`timeout`] | deadlines, and what happens then |
//! | [`pending`] | frames and events that wait |
//! | [`stats`], [`observe`], [`trace`] | counters and traces |

mod acknowledgement;
mod closing;
mod error;
mod establish;
mod go_back_n;
mod handshake;
mod lifecycle;
mod losses;
mod memory;
mod migration;
mod observe;
mod packet;
mod path;
mod peer;
mod pending;
mod protection;
mod receive;
mod retry;
mod stats;
mod timeout;
mod timer;
mod trace;
mod transmit;
mod validation;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use self::lifecycle::Lifecycle;
use self::memory::Account;
use self::path::Path;
use self::peer::RemotePeer;
use self::pending::{PendingEvents, PendingFrames};
use self::protection::PacketProtection;
use self::timer::{Timer, Timers};
use super::receive::{AckState, ReceiveStream};
use super::recovery::{LossRecovery, ProactiveRetransmission, SkipSecret};
use super::send::SendStream;
use crate::Time;
use crate::config::{Config, Recovery};
use crate::crypto::PublicKey;

#[cfg(test)]
pub(super) use self::closing::PROTOCOL_RESET;
pub use self::error::{ConnectionError, Refusal};
pub(super) use self::establish::SynAckOutcome;
#[cfg(test)]
pub(super) use self::handshake::read_answer;
pub(super) use self::handshake::{HalfOpen, SynKey, answer_payload, preferred_cipher, syn_payload};
pub use self::observe::{FlowId, Metrics, Observer, TraceEvent};
pub use self::packet::DATA_OVERHEAD_BYTES;
pub(super) use self::protection::ProtectedPacket;
pub(super) use self::retry::Retry;
pub use self::stats::Stats;

/// One connection. Each part is private to its room and changes by its methods only.
#[derive(Debug)]
pub(crate) struct Connection {
    config: Arc<Config>,
    flow: FlowId,
    lifecycle: Lifecycle,
    peer: RemotePeer,
    protection: PacketProtection,
    path: Path,
    // The two halves of the stream.
    send: SendStream,
    receive: ReceiveStream,
    // Packets: those received, those sent, those retransmitted proactively.
    acks: AckState,
    recovery: LossRecovery,
    proactive: ProactiveRetransmission,
    // What is to be done, and by when.
    pending: PendingFrames,
    events: PendingEvents,
    timers: Timers,
    stats: Stats,
    account: Account,
}

impl Connection {
    fn new(
        now: Time,
        config: Arc<Config>,
        flow: FlowId,
        peer: RemotePeer,
        receive_window_bytes: u64,
        secret: SkipSecret,
    ) -> Self {
        let is_selective = config.recovery == Recovery::Selective;
        let go_back_n = (!is_selective).then_some(config.go_back_n_timeout);
        let mut timers = Timers::default();
        timers.set(Timer::Idle, now + config.idle_timeout);
        Self {
            flow,
            lifecycle: Lifecycle::established(),
            peer,
            protection: PacketProtection::default(),
            path: Path::new(now, &config, flow.remote),
            send: SendStream::new(config.send_buffer_bytes, config.unsent_bytes),
            receive: ReceiveStream::new(now, receive_window_bytes, config.max_receive_window_bytes),
            acks: AckState::new(now),
            recovery: LossRecovery::new(go_back_n, secret),
            proactive: ProactiveRetransmission::new(is_selective),
            pending: PendingFrames::default(),
            events: PendingEvents::default(),
            timers,
            stats: Stats::default(),
            account: Account::default(),
            config,
        }
    }

    // The application's calls.

    /// Room in the send buffer, bytes.
    pub(crate) fn write_room(&self) -> u64 {
        self.send.room()
    }

    /// Takes bytes to send; one write may exceed the room.
    pub(crate) fn write(&mut self, bytes: Bytes) {
        self.send.write(bytes);
    }

    /// Reports, once, that a send buffer that was full has room again.
    pub(crate) fn take_room_again(&mut self) -> bool {
        self.send.take_room_again()
    }

    /// Ends the stream behind the last byte written.
    pub(crate) const fn finish(&mut self) {
        self.send.finish();
    }

    /// Tells whether every byte written and the FIN are acknowledged.
    pub(crate) const fn is_finished(&self) -> bool {
        self.send.is_finished()
    }

    /// The next bytes in order, at most `max`.
    pub(crate) fn read(&mut self, max: usize) -> Option<Bytes> {
        let bytes = self.receive.read(max);
        if bytes.is_some() && self.receive.should_offer_window() {
            self.pending.rwnd = true;
        }
        bytes
    }

    /// Tells whether every byte up to the peer's FIN has been read.
    pub(crate) fn is_read_out(&self) -> bool {
        self.receive.is_read_out()
    }

    /// Asks the peer for a keep-alive; gives the number of the packet that will ask.
    pub(crate) fn ping(&mut self) -> u64 {
        self.pending.ping = true;
        self.recovery.next_number()
    }

    /// The highest packet number that the peer has acknowledged.
    pub(crate) fn newest_acked(&self) -> Option<u64> {
        self.recovery.newest_acked()
    }

    // State.

    /// The connection's name in traces.
    pub(crate) const fn flow(&self) -> FlowId {
        self.flow
    }

    /// The peer's validated address: packets go there.
    pub(crate) const fn remote(&self) -> SocketAddr {
        self.path.remote()
    }

    /// The key that the peer has proved to hold.
    pub(crate) const fn peer_key(&self) -> Option<PublicKey> {
        self.peer.key()
    }

    /// The key by which a late copy of its SYN finds an accepted connection.
    pub(crate) const fn syn_key(&self) -> Option<SynKey> {
        self.peer.syn_key()
    }

    /// Tells whether the handshake was completed, whatever followed.
    pub(crate) const fn was_established(&self) -> bool {
        self.lifecycle.was_established()
    }

    /// Why the connection has ended.
    pub(crate) const fn error(&self) -> Option<ConnectionError> {
        self.lifecycle.error()
    }

    /// Tells whether neither side nor the application needs the connection any more.
    pub(crate) const fn is_forgettable(&self) -> bool {
        self.lifecycle.is_drained() && self.lifecycle.is_abandoned()
    }

    /// When the idle timer was last started: something was received then.
    pub(crate) fn last_heard(&self) -> Time {
        let deadline = self.timers.get(Timer::Idle).unwrap_or(Time::ZERO);
        deadline - self.config.idle_timeout
    }

    /// Tells whether the application has let go of the connection.
    pub(crate) const fn is_abandoned(&self) -> bool {
        self.lifecycle.is_abandoned()
    }

    /// Tells whether the connection is over: it ended early, or both sides have finished and it
    /// stays only to acknowledge the peer's FIN again.
    pub(crate) fn is_over(&self) -> bool {
        !self.lifecycle.is_established() || self.is_through()
    }

    /// Tells whether a window update waits to be sent.
    pub(crate) const fn wants_to_offer_window(&self) -> bool {
        self.pending.rwnd
    }

    /// Takes the events that the application has not been told of.
    pub(crate) fn take_events(&mut self) -> PendingEvents {
        std::mem::take(&mut self.events)
    }

    /// The next deadline.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Counters and the present state.
    pub(crate) fn stats(&self) -> Stats {
        let rtt = self.path.rtt();
        Stats {
            key_updates: self.protection.updates(),
            rtt_samples: rtt.samples(),
            latest_rtt: rtt.latest(),
            smoothed_rtt: rtt.smoothed(),
            min_rtt: rtt.min(),
            congestion_window_bytes: self.path.controller().window_bytes(),
            bytes_in_flight: self.recovery.bytes_in_flight(),
            receive_window_bytes: self.receive.window_bytes(),
            delivered_bytes: self.send.acked_bytes(),
            ..self.stats
        }
    }

    fn is_go_back_n(&self) -> bool {
        self.config.recovery == Recovery::GoBackN
    }
}

/// Views for tests, which look into packets, invent them, and check what is inside.
#[cfg(any(test, feature = "fuzzing"))]
impl Connection {
    pub(crate) fn keys_mut(&mut self) -> Option<&mut crate::crypto::keys::Keys> {
        self.protection.keys_mut()
    }
}

#[cfg(test)]
impl Connection {
    pub(crate) const fn peer_id(&self) -> u32 {
        self.peer.id()
    }

    pub(crate) fn cipher(&self) -> Option<crate::Cipher> {
        self.protection.cipher()
    }

    pub(crate) const fn mss(&self) -> u64 {
        self.path.mss()
    }

    pub(crate) const fn is_ecn_enabled(&self) -> bool {
        self.path.is_ecn_enabled()
    }

    pub(crate) const fn send_buffer(&self) -> &super::send::SendBuffer {
        self.send.buffer()
    }

    pub(crate) fn buffered_bytes(&self) -> u64 {
        self.receive.assembler().buffered_bytes()
    }

    /// Ranges of received bytes behind a gap.
    pub(crate) fn range_count(&self) -> usize {
        self.receive.assembler().range_count()
    }

    /// Checks what holds at any time: sums and orders.
    pub(crate) fn assert_conserved(&self) {
        self.recovery.assert_conserved();
        let send = self.send.buffer();
        assert!(send.acked_prefix() <= send.sent() && send.sent() <= send.end());
        assert!(self.receive.is_within_window());
    }
}
