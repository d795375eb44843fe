//! Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
//! IEEE Transactions on Software Engineering 28(2), 2002, algorithm ddmin).

use super::{Tape, TapeEntry};

impl Tape {
    /// The least tape ddmin finds with which `fails` still says yes: without any one of its
    /// entries it says no. `None` if it says no to the whole tape.
    ///
    /// `fails` should be deterministic, such as a run in the virtual world. It is asked about
    /// `n log n` times if one entry of `n` is to blame, and `n^2` times at the worst.
    pub fn shrink(&self, mut fails: impl FnMut(&Self) -> bool) -> Option<Self> {
        if !fails(self) {
            return None;
        }
        if fails(&Self::default()) {
            return Some(Self::default());
        }
        let mut tape = self.clone();
        let mut parts = 2;
        while tape.entries.len() > 1 {
            parts = parts.min(tape.entries.len());
            if let Some((less, next)) = tape.lessened(parts, &mut fails) {
                (tape, parts) = (less, next);
            } else if parts == tape.entries.len() {
                break;
            } else {
                parts *= 2;
            }
        }
        Some(tape)
    }

    /// A part, or all but a part, with which it still fails, and into how many parts to cut it.
    fn lessened(
        &self,
        parts: usize,
        fails: &mut impl FnMut(&Self) -> bool,
    ) -> Option<(Self, usize)> {
        let all = &self.entries;
        let bounds: Vec<usize> = (0..=parts).map(|part| all.len() * part / parts).collect();
        let tape = |entries: &[&[TapeEntry]]| Self {
            entries: entries.concat(),
        };
        let alone = bounds
            .windows(2)
            .map(|pair| tape(&[&all[pair[0]..pair[1]]]));
        if let Some(part) = alone.into_iter().find(|part| fails(part)) {
            return Some((part, 2));
        }
        // Of two parts each is the other's complement, and has been tried.
        let without = bounds
            .windows(2)
            .map(|pair| tape(&[&all[..pair[0]], &all[pair[1]..]]));
        let rest = without.into_iter().find(|rest| parts > 2 && fails(rest))?;
        Some((rest, parts - 1))
    }
}
