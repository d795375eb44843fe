//! The shaper, which decides when a packet has left the queue: a line at a rate, a token bucket
//! before it, or the delivery opportunities of a trace.

use super::{
    bottleneck::Bottleneck, delivery_opportunities::DeliveryOpportunities, framing::Framing,
    settings::ShaperSettings, token_bucket::TokenBucket,
};
use crate::{Time, units::Rate};

#[derive(Debug)]
pub(crate) struct Shaper {
    framing: Framing,
    kind: Kind,
    /// Time at which the packet being sent will have been.
    sending: Option<Time>,
    /// Set while a pause of the schedule stops the bucket.
    paused: bool,
}

#[derive(Debug)]
enum Kind {
    Line(Bottleneck),
    /// The line at the peak rate behind the bucket, if there is such a rate.
    Bucket(TokenBucket, Bottleneck),
    Trace(DeliveryOpportunities),
}

impl Shaper {
    pub(crate) fn new(settings: &ShaperSettings, rate: Option<Rate>) -> Self {
        let kind = match (&settings.mahimahi, settings.burst_bytes) {
            // The profile refuses a rate or a burst beside a trace, so no case is lost here.
            (Some(trace), _) => Kind::Trace(DeliveryOpportunities::new(trace.clone())),
            (None, Some(bytes)) => Kind::Bucket(
                TokenBucket::new(rate, bytes),
                Bottleneck::new(settings.peak_rate),
            ),
            (None, None) => Kind::Line(Bottleneck::new(rate)),
        };
        Self {
            framing: settings.framing,
            kind,
            sending: None,
            paused: false,
        }
    }

    /// Sends as `settings` say from now on, at `rate` or not at all. A packet being sent, of
    /// `sending_bytes`, is finished at the new rate if both are lines, and starts over otherwise.
    pub(crate) fn replace(
        &mut self,
        now: Time,
        settings: &ShaperSettings,
        (rate, paused): (Option<Rate>, bool),
        sending_bytes: Option<u64>,
    ) {
        let mut new = Self::new(settings, rate);
        if let (Kind::Line(_), Kind::Line(_)) = (&self.kind, &new.kind) {
            // The line is kept with the packet on it: it has been sent in part.
            self.framing = new.framing;
            self.set_rate(now, rate, paused);
            return;
        }
        if let (Some(_), Some(bytes)) = (self.sending, sending_bytes) {
            // What a trace offered before now is gone.
            new.begin(now, bytes, false);
        }
        new.set_rate(now, rate, paused);
        *self = new;
    }

    /// Returns whether packets ever wait: without a rate none does.
    pub(crate) const fn has_rate(&self) -> bool {
        match &self.kind {
            Kind::Line(line) => line.has_rate(),
            Kind::Bucket(..) | Kind::Trace(_) => true,
        }
    }

    /// Time at which the packet being sent will have been.
    pub(crate) const fn done(&self) -> Option<Time> {
        self.sending
    }

    /// Starts to send a packet of `link_bytes`; `waited` says that it was in the queue when the
    /// one before it had been sent.
    pub(crate) fn begin(&mut self, now: Time, link_bytes: u64, waited: bool) {
        debug_assert!(self.sending.is_none(), "one packet at a time");
        let bytes = self.framing.wire_bytes(link_bytes);
        let done = match &mut self.kind {
            Kind::Line(line) => {
                line.begin(now, bytes);
                line.done().unwrap_or(now)
            }
            Kind::Bucket(bucket, line) => {
                // Without a peak rate the bucket alone decides, and the line must not count the
                // packet as sent.
                if line.has_rate() {
                    line.begin(now, bytes);
                }
                // Both at once, not one behind the other: tbf holds two buckets against each packet.
                let ready = bucket.spend(now, bytes).max(line.done().unwrap_or(now));
                if self.paused { Time::MAX } else { ready }
            }
            Kind::Trace(trace) => trace.send(now, bytes, waited),
        };
        self.sending = Some(done);
    }

    /// Notes that the packet has been sent.
    pub(crate) fn finish(&mut self) {
        self.sending = None;
        match &mut self.kind {
            Kind::Line(line) => line.finish(),
            Kind::Bucket(_, line) if line.has_rate() => line.finish(),
            Kind::Bucket(..) | Kind::Trace(_) => {}
        }
    }

    /// Sends at this rate from now on, or not at all, the packet being sent included. A trace keeps
    /// its own.
    pub(crate) fn set_rate(&mut self, now: Time, rate: Option<Rate>, paused: bool) {
        match &mut self.kind {
            Kind::Line(line) => {
                line.set_rate(now, rate, paused);
                // The packet half sent is finished at the new rate, not sent again.
                if let (Some(done), Some(new)) = (&mut self.sending, line.done()) {
                    *done = new;
                }
            }
            Kind::Bucket(bucket, line) => {
                let peak = line.rate();
                // The schedule changes the rate of the bucket; the peak rate stays.
                line.set_rate(now, peak, paused);
                self.paused = paused;
                let ready = match paused {
                    true => Time::MAX,
                    false => bucket.set_rate(now, rate),
                };
                if let Some(done) = &mut self.sending {
                    *done = ready.max(line.done().unwrap_or(now));
                }
            }
            Kind::Trace(_) => {}
        }
    }
}
