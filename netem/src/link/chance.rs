//! What chance does to a packet on the way: drawn by the stages, or read from a tape; and
//! written to another.

use crate::{
    Direction, Time,
    profile::{DirectionProfile, Phase},
    record::Fate,
    stage::{
        InFlight, corrupt::Corrupt, delay::Delay, duplicate::Duplicate, loss::Loss,
        truncate::Truncate,
    },
    tape::{Tape, TapeEntry, TapedFate},
};

#[derive(Debug)]
pub(super) struct Chance {
    direction: Direction,
    loss: Loss,
    duplicate: Duplicate,
    corrupt: Corrupt,
    truncate: Truncate,
    /// What is done instead of what is drawn.
    tape: Option<Tape>,
    /// What has been done, if that is wanted.
    written: Option<Vec<TapeEntry>>,
}

/// What damage was done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Damage {
    pub(super) corrupted: bool,
    pub(super) truncated: bool,
}

impl Chance {
    pub(super) fn new(
        profile: &DirectionProfile,
        phase: &Phase,
        seed: u64,
        direction: Direction,
    ) -> Self {
        let mut loss = Loss::new(seed, direction);
        loss.set_model(&phase.loss);
        Self {
            direction,
            loss,
            duplicate: Duplicate::new(profile, seed, direction),
            corrupt: Corrupt::new(profile, seed, direction),
            truncate: Truncate::new(profile, seed, direction),
            tape: None,
            written: None,
        }
    }

    /// From now on chance is as `profile` says; a tape stays.
    pub(super) fn set_profile(&mut self, profile: &DirectionProfile, phase: &Phase, seed: u64) {
        self.set_phase(phase);
        self.duplicate = Duplicate::new(profile, seed, self.direction);
        self.corrupt = Corrupt::new(profile, seed, self.direction);
        self.truncate = Truncate::new(profile, seed, self.direction);
    }

    pub(super) const fn direction(&self) -> Direction {
        self.direction
    }

    /// The shortest delay on the tape, if there is one.
    pub(super) fn taped_shortest_ns(&self) -> Option<u64> {
        self.tape.as_ref()?.shortest_ns()
    }

    pub(super) fn set_phase(&mut self, phase: &Phase) {
        self.loss.set_model(&phase.loss);
    }

    pub(super) fn set_tape(&mut self, tape: Tape) {
        self.tape = Some(tape);
    }

    pub(super) fn set_writing(&mut self, on: bool) {
        self.written = on.then(|| self.written.take().unwrap_or_default());
    }

    pub(super) fn take_written(&mut self) -> Vec<TapeEntry> {
        self.written
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    fn write(&mut self, in_flight: &InFlight, fate: TapedFate) {
        if let Some(written) = &mut self.written {
            written.push(TapeEntry {
                direction: self.direction,
                index: in_flight.index,
                copy: in_flight.duplicate,
                fate,
            });
        }
    }

    /// The first that `find` sees among the packet's fates on the tape; `None` without a tape.
    fn taped<T>(
        &self,
        in_flight: &InFlight,
        find: impl Fn(TapedFate) -> Option<T>,
    ) -> Option<Option<T>> {
        let tape = self.tape.as_ref()?;
        let mut fates = tape.fates(self.direction, in_flight.index, in_flight.duplicate);
        Some(fates.find_map(find))
    }

    /// Is the packet lost, and how?
    pub(super) fn loses(&mut self, in_flight: &InFlight) -> Option<Fate> {
        let taped = self.taped(in_flight, |fate| match fate {
            TapedFate::Lost => Some(Fate::LostWire),
            TapedFate::LostBurst => Some(Fate::LostBurst),
            _ => None,
        });
        let fate = match taped {
            Some(fate) => fate,
            None => self.loss.verdict(in_flight.index),
        }?;
        let burst = fate == Fate::LostBurst;
        self.write(
            in_flight,
            if burst {
                TapedFate::LostBurst
            } else {
                TapedFate::Lost
            },
        );
        Some(fate)
    }

    /// The copy of the packet, if it is to have one.
    pub(super) fn copy(&mut self, in_flight: &InFlight) -> Option<Box<InFlight>> {
        let is_duplicate = |fate| (fate == TapedFate::Duplicate).then_some(());
        let copy = match self.taped(in_flight, is_duplicate) {
            Some(taped) => taped.map(|()| in_flight.copy()),
            None => self.duplicate.copy(in_flight),
        }?;
        self.write(in_flight, TapedFate::Duplicate);
        Some(copy)
    }

    /// Damages the packet, or does not.
    pub(super) fn damage(&mut self, in_flight: &mut InFlight) -> Damage {
        let taped = self.taped(in_flight, |fate| match fate {
            TapedFate::Flip(bit) => Some(bit),
            _ => None,
        });
        let flipped = match taped {
            Some(bit) => bit.filter(|bit| in_flight.flip(*bit)),
            None => self.corrupt.pass(in_flight),
        };
        let taped = self.taped(in_flight, |fate| match fate {
            TapedFate::Cut(bytes) => Some(bytes),
            _ => None,
        });
        let cut = match taped {
            Some(bytes) => bytes.filter(|bytes| in_flight.cut(*bytes)),
            None => self.truncate.pass(in_flight),
        };
        for fate in [flipped.map(TapedFate::Flip), cut.map(TapedFate::Cut)]
            .into_iter()
            .flatten()
        {
            self.write(in_flight, fate);
        }
        Damage {
            corrupted: flipped.is_some(),
            truncated: cut.is_some(),
        }
    }

    /// Puts the packet on the wire.
    pub(super) fn propagate(&mut self, now: Time, in_flight: Box<InFlight>, delay: &mut Delay) {
        let taped = self.taped(&in_flight, |fate| match fate {
            TapedFate::Delay(ns) => Some(ns),
            _ => None,
        });
        let way = delay.way(now, &in_flight, taped);
        if way.delay_ns != delay.fixed_ns() {
            self.write(&in_flight, TapedFate::Delay(way.delay_ns));
        }
        delay.enter(way, in_flight);
    }
}
