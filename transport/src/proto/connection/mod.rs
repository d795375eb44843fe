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
//! | [`handshake`], [`retry`] | SYN, SYN/ACK, ACK; their retransmission |
//! | [`secure`] | keys, and the seal of every packet |
//! | [`transmit`] | the next packet, and its bytes |
//! | [`receive`] | the effects of an arriving packet |
//! | [`recover`], [`go_back_n`] | the effects of an acknowledgement, a loss, a timeout |
//! | [`path`] | the peer's address, and its validation |
//! | [`closing`], [`error`] | the end of a connection, and its reasons |
//! | [`timer`], [`stats`], [`observe`] | deadlines, counters, traces |

mod closing;
mod error;
mod go_back_n;
mod handshake;
mod observe;
mod path;
mod receive;
mod recover;
mod retry;
mod secure;
mod stats;
mod timer;
mod transmit;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use crate::Time;
use crate::config::Config;
use crate::crypto::PublicKey;
use crate::crypto::keys::{Keys, Secrets};
use crate::crypto::noise::Initiator;
use crate::crypto::stateless_reset::ResetToken;
use crate::proto::congestion::{Controller, Params};
use crate::proto::receive::{AckState, Assembler, ReceiveWindow};
use crate::proto::recovery::{
    EcnState, FirstRtt, LossDetector, Mtu, RateSampler, RttEstimator, SentPackets, SparePass,
};
use crate::proto::send::{Pacer, SendBuffer, SendWindow};
use crate::time::nanos;
use crate::wire::{Parameters, THIRD_BYTES};

use self::handshake::ClientHandshake;
use self::path::Path;
use self::recover::Recoverer;
use self::timer::{Timer, Timers};

#[cfg(test)]
pub(super) use self::closing::PROTOCOL_RESET;
pub use self::error::{ConnectionError, Refusal};
#[cfg(test)]
pub(super) use self::handshake::read_answer;
pub(super) use self::handshake::{HalfOpen, SynKey, answer_payload, preferred_cipher, syn_payload};
pub use self::observe::{FlowId, LossTrigger, Metrics, Observer, TraceEvent};
pub(super) use self::receive::Sealed;
pub(super) use self::retry::Retry;
pub(super) use self::secure::Answer;
pub use self::stats::Stats;
pub use self::transmit::DATA_OVERHEAD_BYTES;

/// Where a connection is in its life.
#[derive(Debug)]
pub(crate) enum State {
    /// A client that waits for the server's SYN/ACK.
    Connecting(Box<ClientHandshake>),
    Established,
    /// Ended by this side: late packets are answered with RESET.
    Closing {
        reason: u32,
        answer: bool,
    },
    /// Ended by the peer or by silence, or both FINs are through: nothing more is sent.
    Drained,
}

/// The FIN of one direction.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnFin {
    pub(crate) asked: bool,
    pub(crate) sent: bool,
    pub(crate) acked: bool,
}

/// What the next packet has to carry beside data.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) ping: bool,
    pub(crate) rwnd: bool,
    pub(crate) rwnd_check: bool,
    /// The answer to a challenge.
    pub(crate) response: Option<u64>,
    /// Packets that may ignore window and pacing.
    pub(crate) probes: u8,
}

/// What the application should hear of.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct News {
    pub(crate) established: bool,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) finished: bool,
    pub(crate) closed: bool,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) config: Arc<Config>,
    pub(crate) flow: FlowId,
    pub(crate) state: State,
    pub(crate) error: Option<ConnectionError>,
    pub(crate) remote_id: u32,
    /// What only the server can show, when it has lost the connection.
    pub(crate) reset_token: Option<ResetToken>,
    pub(crate) path: Path,
    /// The third handshake message, until the server has shown that it arrived.
    pub(crate) third: Option<[u8; THIRD_BYTES]>,
    /// None before the handshake is complete.
    pub(crate) keys: Option<Box<Keys>>,
    pub(crate) peer_key: Option<PublicKey>,
    /// How the listener finds an accepted connection by a late copy of its SYN.
    pub(crate) syn_key: Option<SynKey>,
    pub(crate) peer_max_ack_delay_us: u64,
    pub(crate) timers: Timers,
    pub(crate) wanted: Wanted,
    pub(crate) news: News,
    /// The peer may have moved: its address, and the bytes that came from there.
    pub(crate) stranger: Option<(SocketAddr, u64)>,
    pub(crate) stats: Stats,
    // Sending.
    pub(crate) send: SendBuffer,
    /// The highest offset ever sent, also across a rewind.
    pub(crate) highest_sent: u64,
    pub(crate) spare: SparePass,
    pub(crate) send_window: SendWindow,
    pub(crate) own_fin: OwnFin,
    pub(crate) sent: SentPackets,
    pub(crate) rtt: RttEstimator,
    pub(crate) loss: LossDetector,
    pub(crate) recover: Recoverer,
    pub(crate) sampler: RateSampler,
    pub(crate) controller: Box<dyn Controller>,
    pub(crate) pacer: Pacer,
    pub(crate) ecn: EcnState,
    pub(crate) mtu: Mtu,
    // Receiving.
    pub(crate) acks: AckState,
    pub(crate) receive: Assembler,
    pub(crate) receive_window: ReceiveWindow,
    pub(crate) received_bytes: u64,
    /// The length of the peer's stream, once its FIN has arrived.
    pub(crate) final_offset: Option<u64>,
    /// The handshake was completed.
    established: bool,
    /// Nobody will read or write any more.
    pub(crate) abandoned: bool,
    /// The last write left no room for another.
    is_full: bool,
}

impl Connection {
    /// A client's, about to send its SYN.
    pub(crate) fn connect(now: Time, config: Arc<Config>, flow: FlowId, noise: Initiator) -> Self {
        let handshake = ClientHandshake {
            noise,
            cookie: None,
            retry: Retry::eager(now, &config),
        };
        let mut connection = Self::new(now, config, flow, 0);
        // The repeats have a limit of their own.
        connection.timers.stop(Timer::Idle);
        connection.timers.set(Timer::Handshake, now);
        connection.state = State::Connecting(Box::new(handshake));
        connection
    }

    /// A server's, whose handshake has just been completed.
    pub(crate) fn accept(
        now: Time,
        config: Arc<Config>,
        flow: FlowId,
        half: &HalfOpen,
        (peer_key, secrets): (PublicKey, &Secrets),
    ) -> Self {
        let round_trip = half.retry.round_trip(now);
        let keys = Keys::new(half.cipher, secrets, false, config.key_update_packets);
        let mut connection = Self::new(now, config, flow, half.client_id);
        connection.keys = Some(Box::new(keys));
        connection.peer_key = Some(peer_key);
        connection.syn_key = Some(half.key);
        connection.establish(now, half.parameters, round_trip);
        connection
    }

    fn new(now: Time, config: Arc<Config>, flow: FlowId, remote_id: u32) -> Self {
        let overhead = if flow.remote.is_ipv6() { 20 } else { 0 };
        let mss = (config.max_datagram_bytes as u64).clamp(576, 65_507) - overhead;
        let params = params(&config, mss, now);
        let mut timers = Timers::default();
        timers.set(Timer::Idle, now + config.idle_timeout);
        Self {
            flow,
            state: State::Established,
            error: None,
            remote_id,
            reset_token: None,
            path: Path::new(flow.remote),
            third: None,
            keys: None,
            peer_key: None,
            syn_key: None,
            peer_max_ack_delay_us: 0,
            timers,
            wanted: Wanted::default(),
            news: News::default(),
            stranger: None,
            stats: Stats::default(),
            send: SendBuffer::new(config.send_buffer_bytes, config.unsent_bytes),
            highest_sent: 0,
            spare: SparePass::default(),
            send_window: SendWindow::new(0),
            own_fin: OwnFin::default(),
            sent: SentPackets::new(),
            rtt: RttEstimator::new(config.initial_rtt),
            loss: LossDetector::new(),
            recover: Recoverer::default(),
            sampler: RateSampler::new(),
            controller: config.build_controller(&params),
            pacer: Pacer::new(now, 2 * mss),
            ecn: EcnState::new(config.ecn),
            mtu: Mtu::new(mss),
            acks: AckState::new(now),
            receive: Assembler::new(),
            receive_window: ReceiveWindow::new(
                now,
                config.receive_window_bytes,
                config.max_receive_window_bytes,
            ),
            received_bytes: 0,
            final_offset: None,
            established: false,
            abandoned: false,
            is_full: false,
            config,
        }
    }

    /// Both sides know each other now.
    pub(crate) fn establish(
        &mut self,
        now: Time,
        parameters: Parameters,
        round_trip: Option<FirstRtt>,
    ) {
        self.state = State::Established;
        self.timers.stop(Timer::Handshake);
        self.mtu.limit(parameters.max_datagram_bytes);
        self.controller.on_mtu(self.mtu.current());
        self.send_window.on_limit(parameters.initial_rwnd);
        self.peer_max_ack_delay_us = parameters.max_ack_delay_us;
        if let Some(round_trip) = round_trip {
            self.rtt.on_handshake(round_trip);
        }
        self.established = true;
        self.news.established = true;
        self.news.writable = true;
        self.touch_idle(now);
        self.trace(now, &TraceEvent::Established);
    }

    // What the application does.

    /// Room in the send buffer, bytes.
    pub(crate) fn write_room(&self) -> u64 {
        self.send.room()
    }

    pub(crate) fn write(&mut self, bytes: Bytes) {
        debug_assert!(!self.own_fin.asked, "nothing is written behind the FIN");
        self.send.write(bytes);
        self.is_full = self.send.room() == 0;
    }

    /// Whether there is room in a send buffer that was full; is so once.
    pub(crate) fn finds_room(&mut self) -> bool {
        let finds = self.is_full && self.send.room() > 0;
        self.is_full &= !finds;
        finds
    }

    /// No more will be written.
    pub(crate) const fn finish(&mut self) {
        self.own_fin.asked = true;
    }

    /// Whether every byte and the FIN are acknowledged; the FIN may well be the first.
    pub(crate) const fn is_finished(&self) -> bool {
        self.own_fin.acked && self.send.is_fully_acked()
    }

    /// The next bytes in order.
    pub(crate) fn read(&mut self, max: usize) -> Option<Bytes> {
        let bytes = self.receive.read(max);
        if bytes.is_some() && self.receive_window.should_offer(self.receive.read_offset()) {
            self.wanted.rwnd = true;
        }
        bytes
    }

    /// Whether every byte up to the peer's FIN has been read.
    pub(crate) fn is_read_out(&self) -> bool {
        self.final_offset == Some(self.receive.read_offset())
    }

    /// Whether the handshake was completed, whatever has become of the connection since.
    pub(crate) const fn is_established(&self) -> bool {
        self.established
    }

    pub(crate) const fn is_drained(&self) -> bool {
        matches!(self.state, State::Drained)
    }

    // Time.

    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        if self.timers.expired(Timer::Drain, now) {
            self.state = State::Drained;
            self.timers.stop_all();
            self.news.closed = true;
            return;
        }
        if self.timers.expired(Timer::Idle, now) {
            self.drain(now, ConnectionError::TimedOut);
            return;
        }
        if let State::Connecting(handshake) = &self.state {
            if self.timers.expired(Timer::Handshake, now) && handshake.retry.is_exhausted() {
                self.drain(now, ConnectionError::TimedOut);
            }
            return;
        }
        if let State::Closing { answer, .. } = &mut self.state {
            // A peer that only listens sends nothing to answer.
            if self.timers.expired(Timer::Probe, now) {
                *answer = true;
                self.timers.set(Timer::Probe, now + self.rtt.pto_base());
            }
            return;
        }
        if self.timers.expired(Timer::Path, now) && self.path.on_timer() {
            self.timers.set(Timer::Path, now + self.rtt.pto_base());
        }
        // What is under way asks for a sign of life by itself.
        if self.timers.expired(Timer::KeepAlive, now) && self.sent.packets_in_flight() == 0 {
            self.wanted.ping = true;
        }
        if self.timers.expired(Timer::Window, now) {
            self.wanted.rwnd_check = true;
        }
        if self.timers.expired(Timer::Loss, now) {
            self.on_loss_timer(now);
        }
        if self.timers.expired(Timer::Probe, now) {
            self.on_probe_timer(now);
        }
        // Pacing and held-back acknowledgements are looked up when a packet is built.
        self.timers.expired(Timer::Pacing, now);
        self.timers.expired(Timer::Ack, now);
    }

    /// Something was heard: silence begins anew.
    pub(crate) fn touch_idle(&mut self, now: Time) {
        self.timers.set(Timer::Idle, now + self.config.idle_timeout);
        if let Some(interval) = self.config.keep_alive {
            self.timers.set(Timer::KeepAlive, now + interval);
        }
    }

    // What it tells.

    /// Hands what the application should hear of to the caller.
    pub(crate) fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            key_updates: self.keys.as_ref().map_or(0, |keys| keys.sealer.updates()),
            rtt_samples: self.rtt.samples(),
            latest_rtt: self.rtt.latest(),
            smoothed_rtt: self.rtt.smoothed(),
            min_rtt: self.rtt.min(),
            congestion_window_bytes: self.controller.window_bytes(),
            bytes_in_flight: self.sent.bytes_in_flight(),
            receive_window_bytes: self.receive_window.window(),
            delivered_bytes: self.recover.delivered_bytes(),
            ..self.stats
        }
    }

    pub(crate) fn trace(&self, now: Time, event: &TraceEvent) {
        if let Some(observer) = &self.config.observer {
            observer.observe(now, self.flow, event);
        }
    }

    /// The controller's pacing rate, bytes a second, and a packet a round trip at least: at
    /// less than that a sender would not learn within any useful time that the path has more.
    pub(crate) fn pacing_rate(&self) -> Option<u64> {
        let rate = self
            .controller
            .pacing_rate_bytes_per_second(self.rtt.known())?;
        let round_ns = u128::from(nanos(self.rtt.smoothed()).max(1));
        let least = u128::from(self.mtu.current()) * 1_000_000_000 / round_ns;
        let rate = rate.max(u64::try_from(least).unwrap_or(u64::MAX));
        Some(rate.saturating_mul(u64::from(self.config.pacing_permille)) / 1000)
    }

    /// Where packets go.
    pub(crate) const fn remote(&self) -> SocketAddr {
        self.path.remote()
    }

    /// Returns the initial parameters of a congestion controller.
    pub(super) fn params(&self, mss: u64, now: Time) -> Params {
        params(&self.config, mss, now)
    }
}

fn params(config: &Config, mss_bytes: u64, now: Time) -> Params {
    Params {
        now,
        mss_bytes,
        initial_window_packets: u64::from(config.initial_window_packets),
    }
}
