//! The network path: where the peer is, and everything that has been learnt of the way there.
//!
//! One struct, because it is replaced as one: on another network neither the round-trip time
//! nor the congestion window means anything (RFC 9000 §9.4).

use std::net::SocketAddr;
use std::time::Duration;

use super::validation::AddressValidation;
use crate::Time;
use crate::config::Config;
use crate::proto::congestion::{Controller, Params, SentInfo};
use crate::proto::recovery::{EcnState, FirstRtt, Mtu, RttEstimator};
use crate::proto::send::Pacer;
use crate::time::nanos;
use crate::wire::EcnCounts;

/// The peer's address and the state of the path to it.
#[derive(Debug)]
pub(crate) struct Path {
    address: AddressValidation,
    rtt: RttEstimator,
    mtu: Mtu,
    ecn: EcnState,
    controller: Box<dyn Controller>,
    pacer: Pacer,
    pacing_permille: u32,
}

impl Path {
    /// A path of which nothing is known but what the configuration says.
    pub(super) fn new(now: Time, config: &Config, remote: SocketAddr) -> Self {
        // An IPv6 header is 20 bytes longer: the packet on the wire stays the same.
        let overhead = if remote.is_ipv6() { 20 } else { 0 };
        let mss = (config.max_datagram_bytes as u64).clamp(576, 65_507) - overhead;
        Self {
            address: AddressValidation::new(remote),
            rtt: RttEstimator::new(config.initial_rtt),
            mtu: Mtu::new(mss),
            ecn: EcnState::new(config.ecn),
            controller: config.build_controller(&params(config, mss, now)),
            pacer: Pacer::new(now, 2 * mss),
            pacing_permille: config.pacing_permille,
        }
    }

    /// Forgets what was learnt of another network: congestion control and the round-trip time
    /// start from scratch (RFC 9000 §9.4).
    pub(super) fn reset(&mut self, now: Time, config: &Config) {
        let mss = self.mtu.current();
        self.controller = config.build_controller(&params(config, mss, now));
        self.pacer = Pacer::new(now, 2 * mss);
        self.rtt = RttEstimator::new(None);
    }

    /// The peer's address.
    pub(super) const fn remote(&self) -> SocketAddr {
        self.address.remote()
    }

    /// The validated address, and the validation of another.
    pub(super) const fn address(&self) -> &AddressValidation {
        &self.address
    }

    /// The same, to be told what happened.
    pub(super) const fn address_mut(&mut self) -> &mut AddressValidation {
        &mut self.address
    }

    /// The round-trip time.
    pub(super) const fn rtt(&self) -> &RttEstimator {
        &self.rtt
    }

    /// The probe timeout without the peer's delay and without backoff.
    pub(super) fn pto_base(&self) -> Duration {
        self.rtt.pto_base()
    }

    /// Takes the round trip of the handshake.
    pub(super) fn on_handshake(&mut self, round_trip: FirstRtt) {
        self.rtt.on_handshake(round_trip);
    }

    /// Takes a round-trip sample and the delay that the peer reports within it.
    pub(super) fn on_rtt_sample(&mut self, sample: Duration, ack_delay: Duration) {
        self.rtt.update(sample, ack_delay);
    }

    // Sizes and marks.

    /// The largest datagram to send, bytes of UDP payload.
    pub(super) const fn mss(&self) -> u64 {
        self.mtu.current()
    }

    /// Sends no datagram larger than the peer takes.
    pub(super) fn limit_mss(&mut self, max_datagram_bytes: u64) {
        self.mtu.limit(max_datagram_bytes);
        self.controller.on_mtu(self.mtu.current());
    }

    /// Takes an acknowledgement whose largest packet had so many bytes: the size may rise.
    pub(super) fn on_acked_size(&mut self, now: Time, largest_bytes: u64) {
        if self.mtu.on_ack(now, largest_bytes) {
            self.controller.on_mtu(self.mtu.current());
        }
    }

    /// Takes a probe timeout, the `count`th in a row: the path may drop large datagrams.
    pub(super) fn on_probe_timeout(&mut self, now: Time, count: u32) {
        if self.mtu.on_probe_timeout(now, count) {
            self.controller.on_mtu(self.mtu.current());
        }
    }

    /// Tells whether packets are marked ECT(0).
    pub(super) const fn is_ecn_enabled(&self) -> bool {
        self.ecn.is_enabled()
    }

    /// Takes the ECN counts of an acknowledgement of `newly_acked` packets; gives the number of
    /// new CE marks.
    pub(super) fn on_ecn_counts(&mut self, newly_acked: u64, counts: Option<EcnCounts>) -> u64 {
        self.ecn.on_ack(newly_acked, counts)
    }

    // Window and pace.

    /// The congestion controller.
    pub(super) fn controller(&self) -> &dyn Controller {
        &*self.controller
    }

    /// The congestion controller, to be told what happened.
    pub(super) fn controller_mut(&mut self) -> &mut dyn Controller {
        &mut *self.controller
    }

    /// Counts a packet that has gone out and is in flight.
    pub(super) fn on_sent(&mut self, sent: &SentInfo) {
        self.controller.on_sent(sent);
        self.pacer.on_sent(sent.bytes);
    }

    /// Tells whether the congestion window takes another full packet.
    pub(super) fn window_allows(&self, bytes_in_flight: u64) -> bool {
        bytes_in_flight + self.mtu.current() <= self.controller.window_bytes()
    }

    /// Tells whether the pacer lets another full packet go.
    pub(super) fn pacing_allows(&mut self, now: Time) -> bool {
        let mss = self.mtu.current();
        self.pacing_rate()
            .is_none_or(|rate| self.pacer.allows(now, rate, mss))
    }

    /// When the pacer lets the next packets go, if that is later than `now`.
    pub(super) fn next_release(&self, now: Time) -> Option<Time> {
        let rate = self.pacing_rate()?;
        let release = self.pacer.next_release(rate, self.mtu.current());
        (release > now).then_some(release)
    }

    /// The pacing rate, bytes a second: the controller's, but a packet a round trip at least.
    /// At less than that a sender would not learn within any useful time that the path has
    /// more.
    pub(super) fn pacing_rate(&self) -> Option<u64> {
        let rate = self
            .controller
            .pacing_rate_bytes_per_second(self.rtt.known())?;
        let round_ns = u128::from(nanos(self.rtt.smoothed()).max(1));
        let least = u128::from(self.mtu.current()) * 1_000_000_000 / round_ns;
        let rate = rate.max(u64::try_from(least).unwrap_or(u64::MAX));
        Some(rate.saturating_mul(u64::from(self.pacing_permille)) / 1000)
    }
}

/// The values a congestion controller starts from.
fn params(config: &Config, mss_bytes: u64, now: Time) -> Params {
    Params {
        now,
        mss_bytes,
        initial_window_packets: u64::from(config.initial_window_packets),
    }
}
